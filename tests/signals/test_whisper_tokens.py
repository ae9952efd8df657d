"""Whisper's tokens: how many a text may have behind a prompt, and the segments that timestamps make of them."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from faster_whisper import WhisperModel

from speechlake.errors import UsageError
from speechlake.signals import Whisper
from speechlake.signals.whisper_prompt import token_limits
from speechlake.signals.whisper_times import with_times

LIMITS = [
    # tokens wanted of a text, tokens before it; CTranslate2's length, tokens that the text may have
    (224, 5, 448, 224),
    (78, 5, 156, 78),
    (78, 228, 305, 78),
    (224, 228, 448, 221),  # the longest prompt
]


@pytest.mark.parametrize(("most", "before", "length", "text"), LIMITS)
def test_a_prompt_and_its_text_never_pass_the_positions_of_the_model(
    most: int, before: int, length: int, text: int
) -> None:
    assert token_limits(most, before) == (length, text)


def test_a_prompt_and_hotwords_that_leave_no_room_for_a_text_are_refused_before_anything_runs() -> None:
    words = "telephone " * 150
    assert Whisper(model="whisper-tiny.en", initial_prompt=words).identity()
    assert Whisper(model="whisper-tiny.en", hotwords=words, initial_prompt="Hello").identity()
    with pytest.raises(UsageError, match=r"300 tokens.* no more than 223"):
        Whisper(model="whisper-tiny.en", hotwords=words, initial_prompt=words).identity()


RATES = [
    # how; times the seconds that greedy decoding may take
    ({}, 1.0),
    ({"beam_size": 3}, 3.0),
    ({"temperatures": (0.0, 0.4)}, 5.0),
    ({"beam_size": 8, "temperatures": (0.0, 0.4), "timestamps": "words"}, 12.0),
]


@pytest.mark.parametrize(("how", "times"), RATES)
def test_a_batch_may_take_as_long_as_its_beams_samples_and_words_ask_for(
    how: dict[str, Any], times: float
) -> None:
    for device in ("cpu", "cuda"):
        greedy = Whisper(device=device).seconds_per_second
        assert Whisper(device=device, **how).seconds_per_second == pytest.approx(times * greedy)


# Letters are their code, 0 to 10 seconds are a timestamp each.
EOT, BEGIN = 1000, 2000
PER_S = 50


class Letters:
    """A tokenizer of letters."""

    eot, timestamp_begin = EOT, BEGIN

    def decode(self, tokens: list[int]) -> str:
        return "".join(chr(token) for token in tokens if token < EOT)


def tokens_of(*said: str | int) -> list[int]:
    """Letters of texts, timestamps of seconds."""
    return [
        token for one in said for token in (map(ord, one) if isinstance(one, str) else [BEGIN + PER_S * one])
    ]


SEGMENTS = [
    # what was said with its timestamps in 5 s; segments
    ((0, "one", 2, 2, "two", 4), [("one", 0, 2), ("two", 2, 4)]),
    ((0, "one", 2, 2, "two"), [("one", 0, 2), ("two", 2, 5)]),
    ((0, "one", 2, 2), [("one", 0, 2)]),
    ((0, "one", 6, 6, "two"), [("one", 0, 6), ("two", 6, 6)]),
    ((0, "one"), [("one", 0, 5)]),
]


@pytest.mark.parametrize(("said", "found"), SEGMENTS)
def test_segments_say_the_whole_text_also_where_the_last_one_has_no_end(
    said: tuple[str | int, ...], found: list[tuple[str, int, int]]
) -> None:
    from test_whisper_extractor import said as transcription

    decoder: Any = SimpleNamespace(time_precision=1 / PER_S, input_stride=2, tokenizer_of=lambda _: Letters())
    decoder._split_segments_by_timestamps = partial(WhisperModel._split_segments_by_timestamps, decoder)
    result = SimpleNamespace(sequences_ids=[tokens_of(*said)])
    (timed,) = with_times(decoder, [transcription("text")], [result], None, [5.0], words=False)
    assert [(one.text, one.start_s, one.end_s) for one in timed.segments or ()] == found
