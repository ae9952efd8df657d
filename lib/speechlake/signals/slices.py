"""Many intervals out of one stream of blocks: decoded once, kept no longer than needed.

A recording of eight hours with 10,000 intervals, overlapping or not, needs the memory of the longest
interval that is open at a time, which is limited, and as many steps as there are blocks and samples to copy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop

import numpy as np
import numpy.typing as npt

from speechlake.audio.errors import AudioError
from speechlake.audio.limits import Limits
from speechlake.audio.signal import sample_at, select_channel, span

Samples = npt.NDArray[np.float32]
# Start and end in milliseconds (None: the end of the recording), and a channel (see `select_channel`).
Interval = tuple[int, int | None, str]
Found = Samples | AudioError
_NEVER = 1 << 62


def slices(
    blocks: Iterable[Samples],
    rate_hz: int,
    intervals: Sequence[Interval],
    *,
    first_frame: int = 0,
    limits: Limits | None = None,
) -> Iterator[tuple[int, Found]]:
    """Yield (index, mono samples) of every interval once, as soon as its end is decoded.

    `blocks` are (frames, channels) at `rate_hz`, from the start of the recording on, or from
    `first_frame`, before which no interval may begin (ValueError). The samples are
    those of `select_channel` and `cut` on the whole recording, in an array of their own; what those
    refuse is yielded as their AudioError: CHANNEL_MISSING with the first block, INTERVAL_OUTSIDE after
    the last, when the length is known. An interval of which more was decoded than `limits` (by default those
    of a file that is decoded whole) let anybody hold twice is TOO_LARGE, and let go of. Intervals that end in one
    block come in order of their ends. The caller may stop once it has them all; going on reads the blocks to
    their end.
    """
    limits = limits or Limits()
    # Eight bytes a sample: as blocks, and in the array that is made of them.
    most = min(int(limits.max_duration_s * rate_hz), limits.max_decoded_bytes // 8)
    waiting = {
        channel: _Waiting([(i, one) for i, one in enumerate(intervals) if one[2] == channel], rate_hz)
        for channel in sorted({one[2] for one in intervals})
    }
    if first_frame and any(sample_at(start_ms, rate_hz) < first_frame for start_ms, _, _ in intervals):
        raise ValueError(f"an interval begins before frame {first_frame}")
    decoded = first_frame
    for block in blocks:
        if decoded == first_frame:
            yield from _without_channel(waiting, block)
        decoded += len(block)
        for channel, those in waiting.items():
            those.hear(block, channel, decoded)
        yield from _in_order(those.ended(decoded) for those in waiting.values())
        for those in waiting.values():
            yield from those.too_large(decoded, most)
    yield from _in_order(those.at_the_end(decoded, rate_hz, intervals) for those in waiting.values())


def _without_channel(waiting: dict[str, _Waiting], block: Samples) -> Iterator[tuple[int, AudioError]]:
    for channel in list(waiting):
        try:
            select_channel(block[:0], channel)
        except AudioError as error:
            yield from ((index, error) for index in waiting.pop(channel).all())


def _in_order(found: Iterable[Iterable[tuple[int, int, Found]]]) -> Iterator[tuple[int, Found]]:
    """(index, value) of (end, index, value) of all channels, by end and index."""
    everything = [one for each in found for one in each]
    for _, index, value in sorted(everything, key=lambda one: one[:2]):
        yield index, value


@dataclass
class _Waiting:
    """The intervals of one channel that are not yet yielded, and the samples that they need."""

    numbered: Sequence[tuple[int, Interval]]
    rate_hz: int
    starts: list[tuple[int, int]] = field(default_factory=list)  # heap of (first sample, index)
    ends: list[tuple[int, int]] = field(default_factory=list)  # heap of (sample behind the last, index)
    first: dict[int, int] = field(default_factory=dict)  # index -> first sample, while unfinished
    kept: deque[tuple[int, Samples]] = field(default_factory=deque)  # (position, mono samples)

    def __post_init__(self) -> None:
        for index, (start_ms, end_ms, _) in self.numbered:
            start = sample_at(start_ms, self.rate_hz)
            end = _NEVER if end_ms is None else sample_at(end_ms, self.rate_hz)
            # What can be told to be outside waits for the end, where the length is known.
            outside = start_ms < 0 or start >= end
            self.first[index] = _NEVER if outside else start
            self.ends.append((_NEVER if outside else end, index))
        self.starts = [(start, index) for index, start in self.first.items()]
        heapify(self.starts)
        heapify(self.ends)

    def all(self) -> list[int]:
        """Indices, in order."""
        return [index for index, _ in self.numbered]

    def hear(self, block: Samples, channel: str, decoded: int) -> None:
        """Keep a block, which ends at `decoded`, where an unfinished interval needs it; forget others."""
        while self.starts and self.starts[0][1] not in self.first:
            heappop(self.starts)
        needed = self.starts[0][0] if self.starts else _NEVER
        while self.kept and self.kept[0][0] + len(self.kept[0][1]) <= needed:
            self.kept.popleft()
        if needed < decoded:
            self.kept.append((decoded - len(block), select_channel(block, channel)))

    def ended(self, decoded: int) -> Iterator[tuple[int, int, Found]]:
        """(end, index, samples) of intervals whose end is decoded."""
        while self.ends and self.ends[0][0] <= decoded:
            end, index = heappop(self.ends)
            if index in self.first:
                yield end, index, self._copy(self.first.pop(index), end)

    def too_large(self, decoded: int, most: int) -> Iterator[tuple[int, AudioError]]:
        """(index, error) of unfinished intervals of which more than `most` samples are decoded."""
        while self.starts and self.starts[0][0] < decoded - most:
            _, index = heappop(self.starts)
            if self.first.pop(index, None) is not None:
                said = f"an utterance of more than {most / self.rate_hz / 3600:.1f} h: cut it (segment: true)"
                yield index, AudioError("TOO_LARGE", said)

    def at_the_end(
        self, length: int, rate_hz: int, intervals: Sequence[Interval]
    ) -> Iterator[tuple[int, int, Found]]:
        """(end, index, samples or error) of what is left when `length` samples were decoded."""
        while self.ends:
            end, index = heappop(self.ends)
            if index not in self.first:
                continue
            start_ms, end_ms, _ = intervals[index]
            try:
                yield end, index, self._copy(*span(length, rate_hz, start_ms, end_ms))
            except AudioError as error:
                yield end, index, error

    def _copy(self, start: int, end: int) -> Samples:
        """The samples from `start` to `end`; found from the right, where the newest interval ends."""
        parts: list[Samples] = []
        for position, samples in reversed(self.kept):
            if position < end:
                parts.append(samples[max(0, start - position) : end - position])
            if position <= start:
                break
        return np.concatenate(parts[::-1])
