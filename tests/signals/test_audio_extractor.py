"""Levels and defects of literal samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from signal_clips import clip_of, noise, sine

from speechlake.schemas import SIGNALS_AUDIO
from speechlake.signals.audio import Audio, clipped_ratio, samples_sha256
from speechlake.signals.extractor import RATE_HZ


def measured(samples: npt.ArrayLike, rate_hz: int = RATE_HZ) -> Any:
    """The values of one clip."""
    (measurement,) = Audio().measure(None, [clip_of(samples, rate_hz)])
    assert measurement.error is None
    return measurement.values


def test_a_sine_at_half_scale_peaks_at_minus_six_and_has_an_rms_of_minus_nine() -> None:
    values = measured(sine(1000, amplitude=0.5))
    assert values["peak_dbfs"] == pytest.approx(-6.02, abs=0.01)
    assert values["rms_dbfs"] == pytest.approx(-9.03, abs=0.01)
    assert values["dc_offset"] == pytest.approx(0, abs=1e-6)
    assert values["clipped_ratio"] == 0
    assert values["silence_ratio"] == 0
    assert values["duration_s"] == 1.0


def test_digital_silence_has_no_level_and_no_bandwidth() -> None:
    values = measured(np.zeros(RATE_HZ))
    assert [values[name] for name in ("peak_dbfs", "rms_dbfs", "bandwidth_hz")] == [None, None, None]
    assert values["silence_ratio"] == 1


def test_a_constant_offset_is_dc_and_silence() -> None:
    values = measured(np.full(RATE_HZ, 0.25))
    assert (values["dc_offset"], values["silence_ratio"], values["bandwidth_hz"]) == (0.25, 1, None)


def test_half_a_second_of_silence_in_a_second_is_a_silence_ratio_of_one_half() -> None:
    assert measured(np.concatenate([np.zeros(8000), noise(count=8000)]))["silence_ratio"] == 0.5


@pytest.mark.parametrize(
    ("samples", "ratio"),
    [
        ([0, 1, 1, 1, 0, 0, 0, 0], 3 / 8),  # three in a row
        ([0, 1, 1, 0, 1, 0, 0, 0], 0),  # honest peaks
        ([1, 1, 1, -1, -1, -1, -1, 0], 7 / 8),  # both signs
        ([1, -1, 1, -1, 1, -1, 1, -1], 0),  # full scale, but never a run of one sign
        ([0.98, 0.98, 0.98, 0, 0, 0, 0, 0], 3 / 8),  # the top of mu-law
        ([0.5, 0.5, 0.5, 0, 0, 0, 0, 0], 0),  # a plateau, but not at full scale
        ([1.2, 1.1, 1.3, 0, 0, 0, 0, 0], 3 / 8),  # a lossy decoder's overshoot
        ([0.99, 0.985, 0.99, 0.985, 0, 0, 0, 0], 0),  # loud
    ],
)
def test_clipping_is_a_run_of_three_at_full_scale(samples: list[float], ratio: float) -> None:
    assert clipped_ratio(np.array(samples, np.float32)) == ratio


def test_a_sine_driven_into_clipping_is_clipped_and_a_sine_at_full_scale_is_not() -> None:
    assert measured(np.clip(sine(440, amplitude=2.0), -1, 1))["clipped_ratio"] == pytest.approx(
        2 / 3, abs=0.05
    )
    assert measured(sine(440, amplitude=1.0))["clipped_ratio"] == 0


def test_telephone_band_audio_resampled_to_other_rates_keeps_its_bandwidth() -> None:
    import soxr

    narrow = noise(count=8000)
    assert measured(narrow, 8000)["bandwidth_hz"] == pytest.approx(4000, abs=50)
    for rate_hz in (16_000, 44_100):
        wide = np.round(soxr.resample(narrow, 8000, rate_hz, quality="HQ") * 32768) / 32768
        assert measured(wide, rate_hz)["bandwidth_hz"] == pytest.approx(4000, abs=250)


def test_white_noise_reaches_half_the_rate_and_a_tone_its_own_frequency() -> None:
    assert measured(noise())["bandwidth_hz"] == pytest.approx(8000, abs=50)
    assert measured(sine(1000))["bandwidth_hz"] == pytest.approx(1000, abs=200)


def test_the_hash_is_of_samples_and_rate_not_of_the_container(tmp_path: Path) -> None:
    import soundfile

    samples = np.round(noise(count=800) * 32768) / 32768
    hashes = set()
    for name in ("a.wav", "a.flac"):
        soundfile.write(tmp_path / name, samples, 8000, subtype="PCM_16")
        read, rate_hz = soundfile.read(tmp_path / name, dtype="float32")
        hashes.add(samples_sha256(read, rate_hz))
    assert len(hashes) == 1
    assert samples_sha256(read, 16_000) not in hashes
    assert samples_sha256(read[1:], 8000) not in hashes


def test_the_hash_of_known_samples_never_changes() -> None:
    assert samples_sha256(np.array([0.0, 0.5, -1.0], np.float32), 16_000) == (
        "23249d31e1658c3a7e7dafcd54763ec8785f60b925a476ac90fed6c0b0da460c"
    )


def test_minus_zero_hashes_as_zero() -> None:
    assert samples_sha256(np.array([-0.0], np.float32), 1) == samples_sha256(np.array([0.0], np.float32), 1)


def test_an_empty_interval_is_an_error_not_a_crash() -> None:
    (measurement,) = Audio().measure(None, [clip_of([])])
    assert (measurement.error, measurement.transient) == ("INTERVAL_OUTSIDE", False)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_an_error_of_that_clip_alone(wrong: float) -> None:
    bad, good = Audio().measure(None, [clip_of([0.0, wrong, 0.5]), clip_of([0.0, 0.1])])
    assert (bad.error, good.error) == ("NOT_FINITE", None)


def test_the_difference_to_the_header_is_null_where_the_header_claims_nothing() -> None:
    clip = replace(clip_of(np.zeros(1600)), recording_duration_s=3.0)
    lying, silent = replace(clip, header_duration_s=1.0), replace(clip, header_duration_s=None)
    assert [m.values["header_difference_s"] for m in Audio().measure(None, [lying, silent])] == [2.0, None]


def test_the_values_are_the_columns_of_the_contract() -> None:
    engine = {"corpus", "utterance_id", "content_sha256", "fingerprint", "inputs_hash", "error", "run_id"}
    assert set(measured([0.1])) == {column.name for column in SIGNALS_AUDIO.columns} - engine


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=400), st.integers(1, 400_000))
def test_any_finite_samples_at_any_rate_give_shares_and_bandwidth_within_bounds(
    samples: list[float], rate_hz: int
) -> None:
    (measurement,) = Audio().measure(None, [replace(clip_of(samples), native_rate_hz=rate_hz)])
    values = measurement.values
    assert 0 <= values["clipped_ratio"] <= 1
    assert 0 <= values["silence_ratio"] <= 1
    assert values["bandwidth_hz"] is None or 0 < values["bandwidth_hz"] <= rate_hz / 2
    assert values["rms_dbfs"] is None or values["rms_dbfs"] <= values["peak_dbfs"] + 1e-6
