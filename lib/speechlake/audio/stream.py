"""A recording as a stream of blocks, decoded as they are asked for: neither process holds the whole.

The child writes samples to a pipe and waits while it is full. A child that crashes, hangs or runs out of
memory is replaced once, and the new one goes on where the samples ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from speechlake.audio.errors import TRY_AGAIN, AudioError
from speechlake.audio.feed import Feed
from speechlake.audio.limits import Limits
from speechlake.audio.pipe_sink import Start
from speechlake.audio.process import ChildProcess, Lost

Samples = npt.NDArray[np.float32]

# A block holds this much, or less where rate and channels would make it larger than BLOCK_BYTES.
BLOCK_S = 8.0
BLOCK_BYTES = 1 << 24


class Stream:
    """Blocks of (frames, channels) float32 of one open file, full scale 1; iterate once.

    `sample_rate_hz`, `channels`, `container` and `codec` are known from the start, and `start_frame`, the
    first frame of the first block. After the last block, `frames` is the decoded length of the whole
    recording (what lies before the start is counted), and `header_duration_s` what the file claims of
    itself; both are None before. Time that passes between two blocks is the caller's own.

    `lend` gives a child that runs, `give_back` takes it (True: it is ready for another file).
    """

    sample_rate_hz: int
    channels: int
    container: str
    codec: str
    start_frame: int
    frames: int | None = None
    header_duration_s: float | None = None

    def __init__(
        self,
        fd: int,
        limits: Limits,
        start: Start,
        lend: Callable[[], ChildProcess],
        give_back: Callable[[ChildProcess, bool], None],
    ) -> None:
        self._fd, self._limits, self._start = fd, limits, start
        self._lend, self._give_back = lend, give_back
        self._may_retry = True
        self._feed: Feed | None = self._opened(start)
        told = self._feed.told
        self.sample_rate_hz, self.channels = told.sample_rate_hz, told.channels
        self.container, self.codec = told.container, told.codec
        self.start_frame = start.at(told.sample_rate_hz)
        self._next: int = self.start_frame

    @property
    def duration_s(self) -> float | None:
        """Decoded length in seconds, once the end was reached."""
        return None if self.frames is None else self.frames / self.sample_rate_hz

    def __iter__(self) -> Iterator[Samples]:
        """The blocks; AudioError where the rest cannot be decoded: then the recording cannot be used."""
        while self._feed is not None:
            try:
                block = self._block(self._feed)
            except (Lost, AudioError) as error:
                self._retry(error, replace(self._start, frame=self._next))
                continue
            self._next += len(block)
            if len(block):
                yield block

    def close(self) -> None:
        """Let go of the child; before the end, it is told so by its pipe."""
        feed, self._feed = self._feed, None
        if feed is not None:
            self._give_back(feed.child, feed.close())

    def _block(self, feed: Feed) -> Samples:
        """The next block, shorter at the end, where the feed is closed."""
        frame_bytes = 4 * self.channels
        whole = min(round(BLOCK_S * self.sample_rate_hz), BLOCK_BYTES // frame_bytes)
        samples = np.empty((whole, self.channels), dtype=np.float32)
        free = samples.data.cast("B")
        filled = 0
        while filled < len(free) and (read := feed.read_into(free[filled:])):
            filled += read
        frames = filled // frame_bytes
        if self._next + frames > self._limits.max_duration_s * self.sample_rate_hz:
            raise Lost("DECODER_CRASHED", "sent more than the limits allow")
        if filled < len(free):
            self._settle(feed, filled)
        return samples[:frames]

    def _settle(self, feed: Feed, filled: int) -> None:
        """Believe the child's account only where it agrees with what came."""
        frames, claimed = feed.account()
        came = self._next + filled // (4 * self.channels)
        starts_behind_end = frames < came == self.start_frame
        if filled % (4 * self.channels) or not (frames == came or starts_behind_end):
            raise Lost("DECODER_CRASHED", f"accounts for {frames} frames, {came} came")
        self.frames, self.header_duration_s = frames, claimed
        self.close()

    def _opened(self, start: Start) -> Feed:
        while True:
            child = self._lend()
            try:
                return Feed(child, self._fd, self._limits, start)
            except (Lost, AudioError) as error:
                self._give_back(child, isinstance(error, AudioError) and error.code not in TRY_AGAIN)
                self._refuse_third(error)
            except BaseException:
                self._give_back(child, False)
                raise

    def _retry(self, error: Lost | AudioError, start: Start) -> None:
        """Go on with another child, once, where another may do better; AudioError otherwise."""
        feed, self._feed = self._feed, None
        assert feed is not None
        usable = feed.close(lost=isinstance(error, Lost))
        self._give_back(feed.child, usable and error.code not in TRY_AGAIN)
        self._refuse_third(error)
        self._feed = self._opened(start)
        if self._feed.told != feed.told:
            told = self._feed.told
            self.close()
            raise AudioError("DECODER_CRASHED", f"was {feed.told}, then {told}")

    def _refuse_third(self, error: Lost | AudioError) -> None:
        if error.code in TRY_AGAIN and self._may_retry:
            self._may_retry = False
        elif isinstance(error, AudioError):
            raise error
        else:
            raise AudioError(error.code, error.detail) from error
