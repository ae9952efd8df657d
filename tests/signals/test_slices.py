"""Slices of a stream are what channel and interval of the whole recording are, at a fraction of its memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechlake.audio.errors import AudioError
from speechlake.audio.limits import Limits
from speechlake.audio.signal import cut, select_channel
from speechlake.signals.slices import Found, Interval, Samples, slices

RATE_HZ = 1000
RAMP = np.stack([np.arange(100), -np.arange(100)], axis=1).astype(np.float32)


def blocks_of(samples: Samples, size: int) -> Iterator[Samples]:
    """`samples` in blocks of `size`."""
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def expected(samples: Samples, rate_hz: int, interval: Interval) -> Found:
    """What the whole recording says."""
    start_ms, end_ms, channel = interval
    try:
        return cut(select_channel(samples, channel), rate_hz, start_ms, end_ms)
    except AudioError as error:
        return error


def told(found: Found) -> object:
    """A slice in a form that can be compared."""
    return (found.code, found.detail) if isinstance(found, AudioError) else found.tobytes()


SLICED = [
    # interval, what comes
    ((0, 3, "0"), [0, 1, 2]),
    ((98, None, "0"), [98, 99]),
    ((9, 12, "1"), [-9, -10, -11]),
    ((9, 11, "mix"), [0, 0]),
    ((95, 150, "0"), [95, 96, 97, 98, 99]),  # less than 0.1 s behind the end
    ((99, 201, "0"), "INTERVAL_OUTSIDE"),
    ((100, None, "0"), "INTERVAL_OUTSIDE"),
    ((5, 5, "0"), "INTERVAL_OUTSIDE"),
    ((-1, 5, "0"), "INTERVAL_OUTSIDE"),
    ((0, 3, "2"), "CHANNEL_MISSING"),
]


@pytest.mark.parametrize(("interval", "expected"), SLICED)
def test_an_interval_of_a_stream(interval: Interval, expected: object) -> None:
    ((index, found),) = slices(blocks_of(RAMP, 7), RATE_HZ, [interval])
    assert index == 0
    assert (found.code if isinstance(found, AudioError) else found.tolist()) == expected


def test_each_interval_comes_as_soon_as_its_end_is_decoded() -> None:
    read = []

    def watched() -> Iterator[Samples]:
        for n, block in enumerate(blocks_of(RAMP, 10)):
            read.append(n)
            yield block

    intervals = [(50, 60, "0"), (0, None, "0"), (0, 10, "1"), (5, 5, "0"), (0, 60, "mix"), (0, 9, "7")]
    came = [(index, len(read)) for index, _ in slices(watched(), RATE_HZ, intervals)]
    assert came == [(5, 1), (2, 1), (0, 6), (4, 6), (1, 10), (3, 10)]


def test_without_a_block_nothing_has_samples() -> None:
    assert [
        (i, found.code) for i, found in slices([], RATE_HZ, [(0, None, "0")]) if isinstance(found, AudioError)
    ] == [(0, "INTERVAL_OUTSIDE")]


def test_slices_do_not_hold_on_to_blocks() -> None:
    ((_, found),) = slices([RAMP[:, :1]], RATE_HZ, [(0, 100, "0")])
    assert not np.shares_memory(found, RAMP)


def test_a_stream_may_begin_where_the_first_interval_does() -> None:
    intervals: list[Interval] = [(60, 62, "0"), (70, None, "1")]
    found = dict(slices(blocks_of(RAMP[60:], 7), RATE_HZ, intervals, first_frame=60))
    assert [told(found[i]) for i in (0, 1)] == [told(expected(RAMP, RATE_HZ, one)) for one in intervals]
    with pytest.raises(ValueError, match="before frame 61"):
        next(slices(blocks_of(RAMP[61:], 7), RATE_HZ, intervals, first_frame=61))


milliseconds = st.integers(-3, 700)
intervals_of_any_kind = st.lists(
    st.tuples(milliseconds, st.none() | milliseconds, st.sampled_from(["mix", "0", "1", "2", "x"])),
    max_size=30,
)


@settings(max_examples=300, deadline=None)
@given(
    intervals=intervals_of_any_kind,
    frames=st.integers(1, 600),
    channels=st.integers(1, 9),
    rate_hz=st.sampled_from([1000, 441, 1102, 977]),
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=8),
)
def test_any_intervals_of_any_blocks_are_those_of_the_whole(
    intervals: Sequence[Interval], frames: int, channels: int, rate_hz: int, sizes: Sequence[int]
) -> None:
    samples = np.random.default_rng(frames).normal(size=(frames, channels)).astype(np.float32)
    borders = np.minimum(np.cumsum(np.tile(sizes, frames)), frames)
    blocks = [block for block in np.split(samples, np.unique(borders)) if len(block)]
    found = dict(slices(blocks, rate_hz, intervals))
    assert sorted(found) == list(range(len(intervals)))
    for i, interval in enumerate(intervals):
        assert told(found[i]) == told(expected(samples, rate_hz, interval))


def test_ten_thousand_intervals_of_an_hour_need_the_memory_of_what_is_open() -> None:
    hour, rate_hz = 3600, 8000
    intervals: list[Interval] = [(n * 360, n * 360 + 2000, "0") for n in range(9999)]
    block = np.zeros((8 * rate_hz, 1), np.float32)
    tracemalloc.start()
    began = time.perf_counter()
    heard = sum(
        len(found)
        for _, found in slices((block.copy() for _ in range(hour // 8)), rate_hz, intervals)
        if not isinstance(found, AudioError)
    )
    took_s, (_, peak) = time.perf_counter() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert heard >= 9990 * 2 * rate_hz
    assert peak < 20 * block.nbytes + 10_000_000  # the whole is 115 MB
    assert took_s < 20


@pytest.mark.parametrize("limits", [Limits(max_duration_s=0.05), Limits(max_decoded_bytes=8 * 50)])
def test_an_utterance_that_nobody_may_hold_is_too_large_and_let_go_of_at_once(limits: Limits) -> None:
    intervals: list[Interval] = [
        (0, None, "0"),
        (0, 45, "0"),
        (20, 90, "1"),
        (60, None, "0"),
        (200, None, "0"),
    ]
    found = dict(slices(blocks_of(RAMP, 7), RATE_HZ, intervals, limits=limits))
    codes = {i: each.code for i, each in found.items() if isinstance(each, AudioError)}
    assert codes == {0: "TOO_LARGE", 2: "TOO_LARGE", 4: "INTERVAL_OUTSIDE"}
    assert [len(found[i]) for i in (1, 3)] == [45, 40]  # type: ignore[arg-type]


def test_a_day_in_one_utterance_takes_no_more_memory_than_the_limit() -> None:
    block = np.zeros((60 * RATE_HZ, 1), np.float32)
    tracemalloc.start()
    limits = Limits(max_duration_s=3600.0)
    ((_, found),) = slices((block.copy() for _ in range(24 * 60)), RATE_HZ, [(0, None, "0")], limits=limits)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(found, AudioError)
    assert peak < 3600 * RATE_HZ * 4 + 10 * block.nbytes
