"""Keys as bits, and what is alike by them: literal bits, then copies and strangers among real clips."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from key_tools import ALL, drawn, keys, noisy, sharing

from speechlake.duplicates.keys import (
    LEAST_FRAMES,
    LOOSE_FRAMES,
    SAME_BELOW,
    Keys,
    Shared,
    pack,
    shared,
    unpack,
)
from speechlake.signals.audio_keys import keys_of

Samples = npt.NDArray[np.float32]
HZ = 16_000


def test_keys_are_stored_as_little_endian_words_and_a_bit_per_frame() -> None:
    one = keys(1, 0xA0000002, 3, 4, 5, 6, 7, 8, 9, active=[1, 0, 1, 0, 0, 0, 0, 0, 1])
    words, flags = pack(one)
    assert words[:8] == bytes([1, 0, 0, 0, 2, 0, 0, 0xA0])
    assert flags == bytes([0b101, 0b1])
    again = unpack(words, flags)
    assert again.bits.tolist() == one.bits.tolist()
    assert again.active.tolist() == one.active.tolist()


def glued(*parts: Keys) -> Keys:
    """Clips one after another."""
    return Keys(np.concatenate([p.bits for p in parts]), np.concatenate([p.active for p in parts]))


def silence(frames: int) -> Keys:
    """Frames that are not active."""
    return Keys(np.zeros(frames, np.uint32), np.zeros(frames, bool))


SPOKEN = drawn(120, seed=1)


@pytest.mark.parametrize(
    ("other", "offset", "said"),
    [
        (SPOKEN, 0, Shared("near", 0.0, 0, 120, 0, 120)),
        (glued(silence(8), SPOKEN), 8, Shared("near", 0.0, 8, 120, 0, 120)),
        (glued(silence(8), SPOKEN), 7, Shared("near", 0.0, 8, 120, 0, 120)),  # beside is looked at too
        (
            Keys(SPOKEN.bits[20:], SPOKEN.active[20:]),
            -20,
            Shared("near", 0.0, -20, 100, 20, 120),
        ),  # half a second cut
        (
            Keys(SPOKEN.bits[31:], SPOKEN.active[31:]),
            -31,
            Shared("contained", 0.0, -31, 89, 31, 120),
        ),  # more was cut
        (glued(drawn(90, 2), SPOKEN, drawn(90, 3)), 90, Shared("contained", 0.0, 90, 120, 0, 120)),
        (glued(drawn(90, 2), Keys(SPOKEN.bits[:63], SPOKEN.active[:63])), 90, None),  # less than two seconds
        (drawn(120, 4), 0, None),
    ],
)
def test_copies_are_near_a_common_part_of_two_seconds_is_contained(
    other: Keys, offset: int, said: Shared | None
) -> None:
    found = shared(SPOKEN, other, offset)
    assert found.kind is None if said is None else found == said


def test_a_prompt_with_another_word_in_the_middle_is_no_copy_however_low_the_rate() -> None:
    spoken = drawn(1000, seed=5)
    other = glued(
        Keys(spoken.bits[:500], spoken.active[:500]),
        drawn(20, 6),
        Keys(spoken.bits[520:], spoken.active[520:]),
    )
    found = shared(spoken, other, 0)
    assert found.rate < 0.02
    assert found.kind == "contained"
    assert found.end - found.start == pytest.approx(506, abs=10)


def test_short_clips_must_agree_better() -> None:
    long, short = drawn(60, seed=7), drawn(30, seed=8)
    assert shared(long, noisy(long, 0.15, seed=1), 0).kind == "near"
    assert shared(short, noisy(short, 0.15, seed=1), 0).kind is None
    assert shared(short, noisy(short, 0.05, seed=1), 0).kind == "near"


def test_quiet_frames_do_not_count_and_too_few_say_nothing() -> None:
    flags = [1] * LEAST_FRAMES + [0] * 28
    one, other = keys(*[5] * 40, active=flags), keys(*[5] * LEAST_FRAMES, *[ALL] * 28, active=flags)
    assert shared(one, other, 0).rate == 0.0
    assert shared(one, other, 0).frames == LEAST_FRAMES
    assert shared(one, keys(*[5] * 11), 0).kind is None
    assert shared(one, keys(), 0).kind is None
    assert shared(one, other, 99).kind is None


def test_what_one_shares_with_the_other_the_other_shares_with_the_one() -> None:
    whole = drawn(500, seed=9)
    part = Keys(whole.bits[100:300], whole.active[100:300])
    a, b = shared(part, whole, 100), shared(whole, part, -100)
    assert (a.kind, a.rate, a.frames, a.start) == ("contained", 0.0, 200, 0)
    assert (b.kind, b.rate, b.frames, b.start) == ("contained", 0.0, 200, 100)
    assert LOOSE_FRAMES < 300


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
def test_every_copy_of_sixty_clips_meets_its_clip_and_is_near(clips: list[Samples], copy: str) -> None:
    made = [keys_of(clip) for clip in clips]
    again = [keys_of(COPIES[copy](clip)) for clip in clips]
    found = sharing(made + again)
    missed = [n for n in range(len(made)) if (n, n + len(made)) not in found]
    assert not missed
    rates = [found[n, n + len(made)].rate for n in range(len(made))]
    assert max(rates) < SAME_BELOW / 2


@pytest.mark.slow
def test_no_two_of_sixty_different_clips_share_anything(clips: list[Samples]) -> None:
    assert sharing([keys_of(clip) for clip in clips]) == {}
