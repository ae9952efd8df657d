"""Voice activity of a stream is that of the whole recording, however it comes in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from long_audio import RATE_HZ, Samples, conversation, prompts

from speechlake.audio.signal import to_16k
from speechlake.segments.voice import FRAME_SAMPLES, Probabilities, Voice, open_voice_model


@pytest.fixture(scope="module")
def session() -> Any:
    return open_voice_model()


@pytest.fixture(scope="module")
def talk(speech_folder: Path) -> Samples:
    return conversation(prompts(speech_folder, 8), 1.0)[0]


@pytest.fixture(scope="module")
def speech_folder(request: pytest.FixtureRequest) -> Path:
    return Path(request.getfixturevalue("speech"))


def heard(session: Any, samples: Samples, rate_hz: int, sizes: Iterator[int]) -> Probabilities:
    """What a Voice says of `samples` in blocks of `sizes`."""
    voice, at = Voice(session, rate_hz), 0
    while at < len(samples):
        size = next(sizes)
        voice.hear(samples[at : at + size])
        at += size
    return voice.finish()


def sizes(seed: int, most: int) -> Iterator[int]:
    rng = np.random.default_rng(seed)
    while True:
        yield int(rng.integers(1, most))


def test_a_stream_says_what_faster_whisper_says_of_the_whole(session: Any, talk: Samples) -> None:
    from faster_whisper.vad import SileroVADModel, get_vad_model

    whole = to_16k(talk, RATE_HZ)
    whole = whole[: len(whole) // FRAME_SAMPLES * FRAME_SAMPLES]
    model: SileroVADModel = get_vad_model()
    expected = model(whole.copy())
    got = heard(session, whole, 16_000, sizes(1, 40_000))
    # It sets the last 64 samples of the whole to zero.
    assert np.array_equal(got[:-1], expected[:-1])
    assert got.max() > 0.9
    assert got.min() < 0.1


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 44_100])
def test_the_size_of_blocks_changes_nothing(session: Any, talk: Samples, rate_hz: int) -> None:
    first, *others = [
        heard(session, talk, rate_hz, sizes(n, most)) for n, most in enumerate([300_000, 5000, 700])
    ]
    for other in others:
        assert np.array_equal(first, other)


def test_a_resampled_stream_says_what_the_whole_resampled_says(session: Any, talk: Samples) -> None:
    whole = heard(session, to_16k(talk, RATE_HZ), 16_000, sizes(0, 300_000))
    stream = heard(session, talk, RATE_HZ, sizes(1, 9000))
    assert len(whole) == len(stream)
    assert np.abs(whole - stream).max() < 0.01


def test_the_last_frame_is_padded_and_silence_of_no_length_has_no_frame(session: Any) -> None:
    assert len(heard(session, np.zeros(513, np.float32), 16_000, sizes(0, 600))) == 2
    assert len(Voice(session, 16_000).finish()) == 0
