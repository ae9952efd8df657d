"""Keys of literal sounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from signal_clips import clip_from, clip_of, noise, sine

from speechlake.duplicates.keys import shared, unpack
from speechlake.schemas import SIGNALS_AUDIO_KEYS
from speechlake.signals.audio_keys import HOP, AudioKeys, keys_of
from speechlake.signals.extractor import Clip, Measurement
from speechlake.signals.rebuild import rebuild


def measured(*clips: Clip) -> list[Measurement]:
    """Measurements of clips."""
    return AudioKeys().measure(None, clips)


@pytest.mark.parametrize(
    ("samples", "frames"), [(1, 0), (399, 0), (400, 1), (799, 1), (800, 2), (16_000, 40), (48_000, 120)]
)
def test_there_is_a_key_per_whole_hop(samples: int, frames: int) -> None:
    (measurement,) = measured(clip_of(noise(count=samples)))
    assert measurement.values["frames"] == frames
    assert len(measurement.values["keys"]) == 4 * frames
    assert len(measurement.values["active"]) == -(-frames // 8)


def test_a_tone_that_steps_from_band_10_to_band_20_sets_bits_9_and_20_and_clears_10_and_19() -> None:
    centre_hz = [300 * (3400 / 300) ** ((band + 0.5) / 33) for band in range(33)]
    bits = keys_of(np.concatenate([sine(centre_hz[10]), sine(centre_hz[20])])).bits
    # Key n is of the frame centred at (n + 1) * 25 ms; the step is at 1 s, and a window reaches 0.185 s.
    for n in range(36, 43):
        assert [int(bits[n]) >> m & 1 for m in (9, 10, 19, 20)] == [1, 0, 0, 1]


def test_frames_more_than_30_db_below_the_loudest_are_not_active() -> None:
    loud, quiet, quieter = noise(0.5), noise(0.5 * 10 ** (-20 / 20)), noise(0.5 * 10 ** (-40 / 20))
    (measurement,) = measured(clip_of(np.concatenate([loud, quiet, quieter])))
    active = unpack(measurement.values["keys"], measurement.values["active"]).active
    assert active[:72].all()
    assert not active[90:].any()


def test_scaling_changes_no_key_and_silence_before_moves_them() -> None:
    spoken = noise(count=24_000) * np.hanning(24_000).astype(np.float32)
    one = keys_of(spoken)
    assert keys_of(spoken * np.float32(0.25)).bits.tolist() == one.bits.tolist()
    later = keys_of(np.pad(spoken, (8 * HOP, 0)))
    assert later.bits[8:].tolist() == one.bits.tolist()
    assert later.active[8:].tolist() == one.active.tolist()


def test_two_prompts_differ_and_a_prompt_is_like_itself_through_its_stored_bytes(speech: Path) -> None:
    folder = speech / "en_US_f_Allison"
    one, other = measured(clip_from(folder / "vm-intro.wav"), clip_from(folder / "demo-thanks.wav"))
    a, b = (unpack(each.values["keys"], each.values["active"]) for each in (one, other))
    assert (shared(a, a, 0).kind, shared(a, a, 0).rate) == ("near", 0.0)
    assert {shared(a, b, offset).kind for offset in range(-len(a.bits), len(b.bits))} == {None}


def test_silence_has_frames_but_none_that_is_active() -> None:
    (measurement,) = measured(clip_of(np.zeros(1600)))
    assert measurement.values == {"keys": bytes(16), "active": bytes(1), "frames": 4, "key_version": 1}


def test_bad_samples_are_errors_of_their_clip_alone() -> None:
    empty, wrong, good = measured(clip_of([]), clip_of([0.0, np.nan]), clip_of(sine(440)))
    assert (empty.error, wrong.error, good.error) == ("INTERVAL_OUTSIDE", "NOT_FINITE", None)


def test_a_clip_measures_the_same_alone_and_after_others() -> None:
    clip = clip_of(noise())
    assert measured(clip) == measured(clip_of(sine(440)), clip)[1:]


def test_the_values_are_the_columns_of_the_contract() -> None:
    engine = {"corpus", "utterance_id", "content_sha256", "fingerprint", "inputs_hash", "error", "run_id"}
    (measurement,) = measured(clip_of(noise()))
    assert set(measurement.values) == {column.name for column in SIGNALS_AUDIO_KEYS.columns} - engine


def test_it_is_rebuilt_from_its_identity() -> None:
    said = AudioKeys().identity()
    assert rebuild("audio_keys", None, said.parameters, fingerprint=said.fingerprint) == AudioKeys()
