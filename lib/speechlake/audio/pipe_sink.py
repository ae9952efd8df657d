"""Where the blocks of a stream go: a pipe, so that neither process ever holds a whole recording."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

import numpy as np

from speechlake.audio.limits import Limits
from speechlake.audio.sink import Block, Sink


class Abandoned(Exception):
    """Nobody reads the pipe any more."""


@dataclass(frozen=True)
class Start:
    """Where a stream begins: at `frame` where that is known, else at `seconds`.

    `rehearsed` says that what cannot be read to its end by the first reader is left to the next from its beginning:
    that decodes a compressed file twice, which is much for a glance at the first seconds of hours.
    """

    seconds: float = 0.0
    frame: int | None = None
    rehearsed: bool = True

    def at(self, rate_hz: int) -> int:
        """The first frame, rounded half up on the decimal that was written (as milliseconds are)."""
        if self.frame is not None:
            return self.frame
        exact = Decimal(str(self.seconds)) * rate_hz
        return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))


class PipeSink(Sink):
    """Writes interleaved samples from `start` on to a pipe, waiting while it is full.

    `announce` is called once, before the first block and at the latest by `finish`, when rate, channels,
    container and codec are known. Where a reader gives up midway, the next goes on behind what was passed
    on: nothing can be taken back. `max_decoded_bytes` does not count, because only a block lies in memory.
    """

    def __init__(self, fd: int, limits: Limits, start: Start, announce: Callable[[Sink], None]) -> None:
        super().__init__(limits)
        self._fd = fd
        self._start = start
        self._announce = announce
        self._announced = False
        self._passed_on = 0

    def rehearsal(self) -> Sink | None:
        """A sink with the same limits that keeps nothing; None where nothing is rehearsed."""
        return Sink(self._limits) if self._start.rehearsed else None

    def wanted_from(self) -> int:
        """The start, or the end of what was passed on already."""
        return max(self._start.at(self.rate_hz), self._passed_on)

    def finish(self) -> None:
        """Announce a stream without blocks: it begins at or behind the end."""
        if not self._announced:
            self._announced = True
            self._announce(self)

    def _keep(self, block: Block, frames: int) -> None:
        self.finish()
        wanted = self.wanted_from() - self.frames
        if wanted < len(block):
            kept = block[max(wanted, 0) :]
            self._pass_on(np.ascontiguousarray(kept, dtype=np.float32).data.cast("B"))
            self._passed_on = frames

    def _pass_on(self, data: memoryview) -> None:
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except BrokenPipeError as error:
            raise Abandoned from error
