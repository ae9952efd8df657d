"""Keys as bits, and what is alike by them: literal bits, then copies and strangers among real clips."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from speechlake.duplicates.keys import (
    BLOCK_FRAMES,
    SAME_BELOW,
    Alignment,
    Keys,
    best_alignment,
    bit_error_rate,
    pack,
    unpack,
)
from speechlake.signals.audio_keys import keys_of

Samples = npt.NDArray[np.float32]
HZ = 16_000
ALL = 0xFFFFFFFF


def keys(*bits: int, active: list[int] | None = None) -> Keys:
    """Literal keys, all frames active unless told otherwise."""
    flags = [1] * len(bits) if active is None else active
    return Keys(np.array(bits, np.uint32), np.array(flags, bool))


def drawn(count: int, seed: int) -> Keys:
    """Random keys."""
    bits = np.random.default_rng(seed).integers(0, ALL, count, dtype=np.uint32, endpoint=True)
    return Keys(bits, np.ones(count, bool))


def test_keys_are_stored_as_little_endian_words_and_a_bit_per_frame() -> None:
    one = keys(1, 0xA0000002, 3, 4, 5, 6, 7, 8, 9, active=[1, 0, 1, 0, 0, 0, 0, 0, 1])
    words, flags = pack(one)
    assert words[:8] == bytes([1, 0, 0, 0, 2, 0, 0, 0xA0])
    assert flags == bytes([0b101, 0b1])
    again = unpack(words, flags)
    assert again.bits.tolist() == one.bits.tolist()
    assert again.active.tolist() == one.active.tolist()


@pytest.mark.parametrize(
    ("one", "other", "alignment"),
    [
        (keys(1, 2, 3), keys(1, 2, 3), Alignment(0.0, 0, 3)),
        (keys(1, 2, 3, 4), keys(9, 9, 1, 2, 3, 4), Alignment(0.0, 2, 4)),  # a lead
        (keys(9, 9, 1, 2, 3, 4), keys(1, 2, 3, 4), Alignment(0.0, -2, 4)),  # a trim
        (keys(0, 0), keys(ALL, ALL), Alignment(1.0, 0, 2)),
        (keys(0, 0, 0, 0), keys(0, 0, 0, 0xFF), Alignment(0.0, -1, 3)),  # 3 of 4 frames are enough overlap
        (keys(0, ALL), keys(1, ALL), Alignment(1 / 64, 0, 2)),
        (keys(7, 1, 2), keys(8, 1, 2, 5), Alignment(4 / 96, 0, 3)),  # 2 of 3 would do better by less
    ],
)
def test_the_best_offset_has_the_fewest_differing_bits_over_enough_frames(
    one: Keys, other: Keys, alignment: Alignment
) -> None:
    assert best_alignment(one, other) == alignment


def test_quiet_frames_do_not_count() -> None:
    one, other = keys(0, ALL, 5), keys(0, 0, 5, active=[1, 0, 1])
    assert best_alignment(one, other) == Alignment(0.0, 0, 2)


@pytest.mark.parametrize("none", [keys(), keys(1, 2, active=[0, 0])])
def test_a_clip_without_active_frames_is_like_nothing(none: Keys) -> None:
    assert bit_error_rate(none, keys(1, 2)) is None
    assert bit_error_rate(keys(1, 2), none) is None


def test_frames_that_never_meet_in_number_are_like_nothing() -> None:
    ends = [1] + [0] * 8 + [1]
    assert bit_error_rate(keys(*range(10), active=ends), keys(4, 5), minimum_overlap=1.0) is None


def test_the_rate_is_the_same_both_ways_and_across_blocks() -> None:
    whole = drawn(3 * BLOCK_FRAMES + 7, seed=1)
    part = Keys(whole.bits[100:1400], whole.active[100:1400])
    assert best_alignment(part, whole) == Alignment(0.0, 100, 1300)
    assert best_alignment(whole, part) == Alignment(0.0, -100, 1300)
    assert bit_error_rate(whole, drawn(900, seed=2)) == bit_error_rate(drawn(900, seed=2), whole)


def resampled(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    import soxr

    return np.asarray(soxr.resample(samples, from_hz, to_hz, quality="HQ"), dtype=np.float32)


def coded(samples: Samples, hz: int, **how: Any) -> Samples:
    """Written and read again."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, hz, **how)
    file.seek(0)
    read, _ = soundfile.read(file, dtype="float32")
    return np.asarray(read, dtype=np.float32)


def mp3(samples: Samples) -> Samples:
    how = {"format": "MP3", "subtype": "MPEG_LAYER_III"}
    return coded(samples, HZ, **how, bitrate_mode="CONSTANT", compression_level=0.65)  # 64 kbit/s


def mu_law(samples: Samples) -> Samples:
    narrow = resampled(samples, HZ, 8000)
    return resampled(coded(narrow, 8000, format="WAV", subtype="ULAW"), 8000, HZ)


COPIES: dict[str, Callable[[Samples], Samples]] = {
    "mp3 at 64 kbit/s": mp3,
    "opus": lambda samples: coded(samples, HZ, format="OGG", subtype="OPUS"),
    "mu-law at 8 kHz": mu_law,
    "12 dB quieter, 16 bit": lambda samples: coded(samples / 4, HZ, format="WAV", subtype="PCM_16"),
    "200 ms of silence before": lambda samples: np.pad(samples, (3200, 0)),
    "210 ms of silence before": lambda samples: np.pad(samples, (3360, 0)),  # between two hops
    "44.1 kHz": lambda samples: resampled(resampled(samples, HZ, 44_100), 44_100, HZ),
}


@pytest.fixture(scope="module")
def clips(speech: Path) -> list[Samples]:
    """Ten prompts of 0.9 s or more of each of six voices, no two the same."""
    import soundfile

    found = []
    for voice in sorted(speech.glob("*_*")):
        spoken = [path for path in sorted(voice.glob("*.wav")) if 0.9 < soundfile.info(path).duration < 8]
        for path in spoken[:: len(spoken) // 10][:10]:
            samples, hz = soundfile.read(path, dtype="float32")
            found.append(resampled(samples, hz, HZ))
    assert len(found) == 60
    return found


@pytest.mark.slow
@pytest.mark.parametrize("copy", COPIES)
def test_every_copy_of_sixty_clips_is_alike(clips: list[Samples], copy: str) -> None:
    rates = [bit_error_rate(keys_of(clip), keys_of(COPIES[copy](clip))) for clip in clips]
    assert max(1.0 if rate is None else rate for rate in rates) < SAME_BELOW


@pytest.mark.slow
def test_no_two_of_sixty_different_clips_are_alike(clips: list[Samples]) -> None:
    made = [keys_of(clip) for clip in clips]
    rates = [bit_error_rate(made[i], made[j]) for i in range(len(made)) for j in range(i)]
    assert min(rate for rate in rates if rate is not None) > SAME_BELOW
