"""Where decoded blocks go: a memory file, under the limits, checked as they pass."""

from __future__ import annotations

import errno
import os

import numpy as np
import numpy.typing as npt

from speechlake.audio.errors import AudioError
from speechlake.audio.limits import Limits

Block = npt.NDArray[np.float32]


class Sink:
    """Appends blocks of interleaved float32 samples to a file; refuses what the limits forbid.

    `begin` comes first and may be repeated with the same values; `rewind` forgets everything.
    """

    def __init__(self, fd: int, limits: Limits) -> None:
        self._fd = fd
        self._limits = limits
        self.rewind()

    def rewind(self) -> None:
        """Forget what was written, for another reader to begin again."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self.rate_hz = self.channels = self.frames = 0

    def begin(self, rate_hz: int, channels: int) -> None:
        """Say what comes; BAD_RATE or BAD_CHANNELS outside the limits, CORRUPT when it changes midway."""
        if not self._limits.min_rate_hz <= rate_hz <= self._limits.max_rate_hz:
            raise AudioError("BAD_RATE", f"{rate_hz} Hz")
        if not 1 <= channels <= self._limits.max_channels:
            raise AudioError("BAD_CHANNELS", f"{channels} channels")
        if self.frames and (rate_hz, channels) != (self.rate_hz, self.channels):
            raise AudioError(
                "CORRUPT", f"{self.rate_hz} Hz x {self.channels} turns into {rate_hz} Hz x {channels} midway"
            )
        self.rate_hz, self.channels = rate_hz, channels

    def write(self, block: Block) -> None:
        """Append a (frames, channels) block; TOO_LONG, TOO_LARGE, NOT_FINITE, OUT_OF_MEMORY."""
        if not np.isfinite(block).all():
            raise AudioError("NOT_FINITE", f"after {self.frames / self.rate_hz:.3f} s")
        frames = self.frames + len(block)
        if frames > self._limits.max_duration_s * self.rate_hz:
            raise AudioError("TOO_LONG", f"more than {self._limits.max_duration_s:g} s")
        if frames * self.channels * 4 > self._limits.max_decoded_bytes:
            raise AudioError("TOO_LARGE", f"more than {self._limits.max_decoded_bytes} decoded bytes")
        self._append(np.ascontiguousarray(block, dtype=np.float32).data.cast("B"))
        self.frames = frames

    def _append(self, data: memoryview) -> None:
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            code = "TOO_LARGE" if error.errno == errno.EFBIG else "OUT_OF_MEMORY"
            raise AudioError(code, f"memory file: {error.strerror}") from error
