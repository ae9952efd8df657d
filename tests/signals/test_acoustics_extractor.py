"""Noise and pitch of sounds of which both are known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from signal_clips import clip_from, clip_of, noise, sine

from speechlake.schemas import SIGNALS_ACOUSTICS
from speechlake.signals.acoustics import Acoustics, pitch_hz, snr_db, spreads
from speechlake.signals.extractor import RATE_HZ, Clip, Measurement
from speechlake.signals.rebuild import rebuild

NO_PITCH = {"voiced_ratio": 0, "pitch_hz": None, "pitch_low_hz": None, "pitch_high_hz": None}


def measured(*clips: Clip) -> list[Measurement]:
    """Measurements of clips."""
    return Acoustics().measure(None, clips)


def values(samples: npt.ArrayLike, rate_hz: int = RATE_HZ) -> Mapping[str, Any]:
    """The values of one clip."""
    (measurement,) = measured(clip_of(samples, rate_hz))
    assert measurement.error is None
    return measurement.values


def like_speech(snr: float, seconds: float = 4.0) -> npt.NDArray[np.float32]:
    """Amplitudes as Kim & Stern found them in clean speech, at -26 dBFS, and white noise `snr` dB below."""
    draw, count = np.random.default_rng(7), round(seconds * RATE_HZ)
    speech = draw.gamma(0.4, size=count) * draw.choice([-1, 1], count)
    speech *= 0.05 / np.sqrt(np.mean(speech**2))
    return np.asarray(speech + 0.05 * 10 ** (-snr / 20) * draw.standard_normal(count), dtype=np.float32)


def harmonics(frequency_hz: float, seconds: float = 1.0) -> npt.NDArray[np.float32]:
    """A tone with eight harmonics, as a voice has."""
    tones = [sine(frequency_hz * k, 0.2 / k, seconds=seconds) for k in range(1, 9)]
    return np.asarray(np.sum(tones, axis=0), dtype=np.float32)


@pytest.mark.parametrize(
    ("snr", "error"), [(-5, 2), (0, 1), (5, 1), (10, 1), (15, 1), (20, 1), (25, 1), (30, 2)]
)
def test_noise_under_a_signal_like_speech_is_estimated_within_one_db_from_0_to_25(
    snr: int, error: float
) -> None:
    assert snr_db(like_speech(snr)) == pytest.approx(snr, abs=error)


def test_more_noise_on_a_real_prompt_gives_a_lower_estimate(speech: Path) -> None:
    clip = clip_from(speech / "en_US_f_Allison" / "vm-intro.wav").native
    level, added = float(np.sqrt(np.mean(clip**2))), noise(1.0, len(clip))
    found = [snr_db(clip + np.float32(level * 10 ** (-snr / 20)) * added) for snr in (0, 5, 10, 15, 20, 30)]
    assert found == sorted(found)
    # Its pauses and its own noise make it read a few dB low; the order is what counts.
    assert found[0] == pytest.approx(0, abs=5)
    assert found[3] == pytest.approx(15, abs=6)


def test_the_table_rises_from_gaussian_noise_to_gamma_and_meets_what_was_drawn() -> None:
    table, draw = spreads(), np.random.default_rng(1)
    assert np.all(np.diff(table) > 0)
    # Exact for noise alone: log sqrt(2 / pi) + (Euler's constant + log 2) / 2; for Gamma: log 0.4 - psi(0.4).
    assert table[0] == pytest.approx(0.40940, abs=2e-4)
    assert table[-1] == pytest.approx(1.64509, abs=0.02)
    gamma = draw.gamma(0.4, size=1_000_000) / np.sqrt(0.56)
    mixed = np.abs(gamma + 10 ** (-10 / 20) * draw.standard_normal(1_000_000))
    assert table[30] == pytest.approx(np.log(mixed.mean()) - np.log(mixed).mean(), abs=3e-3)


def test_noise_alone_is_the_lowest_and_scale_offset_and_padding_change_nothing() -> None:
    assert values(noise())["snr_db"] < -10
    plain = like_speech(15)
    for other in (plain * np.float32(2), plain + np.float32(0.01), np.pad(plain, 8000)):
        assert snr_db(other) == pytest.approx(snr_db(plain), abs=0.3)


@pytest.mark.parametrize("frequency_hz", [65, 80, 100, 200, 233.1, 440, 490])
def test_a_harmonic_tone_has_its_pitch_in_every_frame(frequency_hz: float) -> None:
    found = values(harmonics(frequency_hz))
    assert found["voiced_ratio"] == 1
    for name in ("pitch_hz", "pitch_low_hz", "pitch_high_hz"):
        assert found[name] == pytest.approx(frequency_hz, rel=0.002)


def test_the_pitch_is_that_of_200_hz_when_the_fundamental_itself_is_missing() -> None:
    telephone = sine(400, 0.2) + sine(600, 0.2) + sine(800, 0.1)
    assert values(telephone)["pitch_hz"] == pytest.approx(200, rel=0.002)


def test_percentiles_span_a_voice_that_moves_and_pauses_are_not_voiced() -> None:
    found = values(np.concatenate([harmonics(120), np.zeros(RATE_HZ), harmonics(240), harmonics(240)]))
    assert found["pitch_low_hz"] == pytest.approx(120, rel=0.01)
    assert found["pitch_hz"] == pytest.approx(240, rel=0.01)
    assert found["pitch_high_hz"] == pytest.approx(240, rel=0.01)
    assert found["voiced_ratio"] == pytest.approx(0.75, abs=0.03)


def test_pitch_is_heard_at_16_khz_and_noise_at_the_native_rate() -> None:
    tone = sine(200, 0.3, rate_hz=44_100) + sine(400, 0.2, rate_hz=44_100)
    assert values(tone, 44_100)["pitch_hz"] == pytest.approx(200, rel=0.002)
    clip = clip_of(like_speech(20), 8000)
    (measurement,) = measured(clip)
    assert measurement.values["snr_db"] == snr_db(clip.native)


@pytest.mark.parametrize("samples", [np.zeros(RATE_HZ), np.full(RATE_HZ, 0.25), [0.1], np.zeros(3)])
def test_what_never_varies_has_neither_noise_nor_pitch(samples: npt.ArrayLike) -> None:
    assert values(samples) == {"snr_db": None, **NO_PITCH}


def test_white_noise_has_no_pitch_and_a_clip_shorter_than_a_frame_has_none_either() -> None:
    assert {name: values(noise())[name] for name in NO_PITCH} == NO_PITCH
    assert len(pitch_hz(noise(count=600))) == 0
    assert {name: values(noise(count=600))[name] for name in NO_PITCH} == NO_PITCH


def test_blocks_do_not_change_pitch(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pitch_hz(harmonics(150))
    monkeypatch.setattr("speechlake.signals.acoustics.BLOCK_FRAMES", 7)
    assert np.allclose(pitch_hz(harmonics(150)), whole, equal_nan=True)


def test_a_real_voice_speaks_at_a_usual_height(speech: Path) -> None:
    clips = [clip_from(speech / "en_US_f_Allison" / f"{name}.wav") for name in ("vm-intro", "demo-thanks")]
    for measurement in measured(*clips):
        assert 160 < measurement.values["pitch_hz"] < 260
        assert 0.3 < measurement.values["voiced_ratio"] < 0.9


def test_bad_samples_are_errors_of_their_clip_alone() -> None:
    empty, wrong, good = measured(clip_of([]), clip_of([0.0, np.inf]), clip_of(sine(200)))
    assert (empty.error, wrong.error, good.error) == ("INTERVAL_OUTSIDE", "NOT_FINITE", None)


def test_a_clip_measures_the_same_alone_and_after_others() -> None:
    clip = clip_of(harmonics(150))
    assert measured(clip) == measured(clip_of(noise()), clip)[1:]


def test_the_values_are_the_columns_of_the_contract() -> None:
    engine = {"corpus", "utterance_id", "content_sha256", "fingerprint", "inputs_hash", "error", "run_id"}
    assert set(values(noise())) == {column.name for column in SIGNALS_ACOUSTICS.columns} - engine


def test_it_is_rebuilt_from_its_identity() -> None:
    said = Acoustics().identity()
    assert rebuild("acoustics", None, said.parameters, fingerprint=said.fingerprint) == Acoustics()
