"""Where long recordings are cut: literal probabilities in, milliseconds out."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechlake.errors import UsageError
from speechlake.segments.cutting import cut_points, speech_ms
from speechlake.segments.segmenter import Segmenter
from speechlake.segments.voice import FRAME_MS, Probabilities

SECOND = 1000 / FRAME_MS
HOW = Segmenter()


def frames(*parts: tuple[float, float]) -> Probabilities:
    """`(seconds, probability)` one after another; seconds in whole frames of 32 ms."""
    return np.concatenate([np.full(round(s * SECOND), p, np.float32) for s, p in parts])


def cut(*parts: tuple[float, float]) -> list[tuple[int, int]]:
    """The cuts of a recording of these parts."""
    probabilities = frames(*parts)
    return cut_points(probabilities, len(probabilities) * FRAME_MS, HOW)


CUTS = [
    ("silence", [(64, 0.1)], []),
    ("nothing", [], []),
    ("speech between silences is padded by 200 ms", [(9.6, 0), (6.4, 0.9), (9.6, 0)], [(9400, 16_200)]),
    ("speech from edge to edge is not padded", [(6.4, 0.9)], [(0, 6400)]),
    ("a pause of a second is kept", [(3.2, 0.9), (0.96, 0), (3.2, 0.9)], [(0, 7360)]),
    ("a longer one divides", [(3.2, 0.9), (3.2, 0), (3.2, 0.9)], [(0, 3400), (6200, 9600)]),
    (
        "a pause that is divided for length is shared half and half",
        [(25.6, 0.9), (0.32, 0), (25.6, 0.9)],
        [(0, 25_760), (25_760, 51_520)],
    ),
    ("a click is no speech", [(9.6, 0), (0.064, 0.99), (9.6, 0)], []),
    ("a dip is no pause", [(3.2, 0.9), (0.064, 0.1), (3.2, 0.9)], [(0, 6464)]),
    ("between the thresholds speech goes on", [(3.2, 0.9), (3.2, 0.4), (3.2, 0.9)], [(0, 9600)]),
    ("between the thresholds speech does not begin", [(9.6, 0.4), (3.2, 0.9)], [(9400, 12_800)]),
    (
        "a short piece goes to the nearer neighbour",
        [(3.2, 0.9), (1.92, 0), (0.64, 0.9), (1.28, 0), (3.2, 0.9)],
        [(0, 3400), (4920, 10_240)],
    ),
    ("a short piece far from others stays alone", [(9.6, 0), (0.64, 0.9), (9.6, 0)], [(9400, 10_440)]),
    (
        "a short piece does not make a long one too long",
        [(29.44, 0.9), (1.28, 0), (0.64, 0.9)],
        [(0, 29_640), (30_520, 31_360)],
    ),
]


@pytest.mark.parametrize(("parts", "expected"), [row[1:] for row in CUTS], ids=[row[0] for row in CUTS])
def test_a_recording_is_cut_where_nobody_speaks(
    parts: list[tuple[float, float]], expected: list[tuple[int, int]]
) -> None:
    assert cut(*parts) == expected if parts else cut_points(np.empty(0, np.float32), 0, HOW) == expected


def test_a_speaker_without_pauses_is_cut_where_speech_is_least_likely() -> None:
    # Valleys at 6.4 s (deeper, but in the first half) and at 19.2 s, 0.32 s wide.
    ((_, first), (second, end)) = cut((6.4, 0.9), (0.32, 0.51), (12.48, 0.9), (0.32, 0.55), (12.8, 0.9))
    assert first == second == 19_200 + 160
    assert end == 32_320


def test_a_speaker_without_pauses_or_valleys_is_cut_as_late_as_possible_but_leaves_no_crumb() -> None:
    assert cut((96, 0.9)) == [(0, 29_600), (29_600, 59_200), (59_200, 88_800), (88_800, 96_000)]
    ((_, first), (_, end)) = cut((30.4, 0.9))
    assert (end - first, end) == (1984, 30_400)


def test_the_last_frame_does_not_reach_behind_the_recording() -> None:
    assert cut_points(frames((3.2, 0.9)), 3190, HOW) == [(0, 3190)]
    assert cut_points(frames((3.2, 0.1), (0.032, 0.9)), 3200, HOW) == []


def test_speech_is_counted_without_pauses_and_padding() -> None:
    assert speech_ms(frames((3.2, 0), (3.2, 0.9), (1.6, 0), (1.6, 0.9)), HOW) == 4800


@pytest.mark.parametrize(
    "wrong",
    [{"min_s": 16}, {"max_s": 31}, {"longer_than_s": 29}, {"min_s": 0}, {"longer_than_s": float("inf")}],
)
def test_lengths_that_contradict_each_other_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"--min-s .*, --max-s .* and --longer-than .* contradict"):
        Segmenter(**wrong)  # type: ignore[arg-type]


def test_a_maximum_that_is_hardly_more_than_the_padding_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--max-s 0\.5 leaves 0\.1 s of speech"):
        Segmenter(min_s=0.25, max_s=0.5)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 1500), st.sampled_from([0.0, 0.2, 0.4, 0.6, 1.0])), max_size=30))
def test_pieces_are_ordered_apart_not_too_long_and_hold_all_speech(runs: list[tuple[int, float]]) -> None:
    probabilities = np.concatenate([np.empty(0, np.float32), *[np.full(n, p, np.float32) for n, p in runs]])
    length_ms = len(probabilities) * FRAME_MS
    pieces = cut_points(probabilities, length_ms, HOW)
    assert all(0 <= start < end <= length_ms and end - start <= 30_000 for start, end in pieces)
    assert all(end <= start for (_, end), (start, _) in pairwise(pieces))
    held = np.zeros(len(probabilities), bool)
    for start, end in pieces:
        held[-(-start // FRAME_MS) : end // FRAME_MS] = True
    speaking = sum(n for n, p in runs if p == 1.0 and n * FRAME_MS >= HOW.min_speech_ms)
    # A cut inside a frame costs the frame on one side.
    assert (held & (probabilities == 1.0)).sum() >= speaking - 2 * len(pieces)
