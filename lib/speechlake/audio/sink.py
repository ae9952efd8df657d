"""Where decoded blocks go, under the limits, checked as they pass: nowhere, or into a memory file."""

from __future__ import annotations

import errno
import os

import numpy as np
import numpy.typing as npt

from speechlake.audio.errors import AudioError
from speechlake.audio.limits import Limits

Block = npt.NDArray[np.float32]


class Sink:
    """Checks blocks of float32 samples and keeps none of them; refuses what the limits forbid.

    `begin` comes first and may be repeated with the same values; `rewind` forgets everything. `frames`
    counts from the start of the recording. A reader that seeks exactly may begin at `wanted_from`
    frames, and says so by `jump`.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.container = self.codec = ""
        self.rate_hz = self.channels = self.frames = 0

    def rewind(self) -> None:
        """Forget what was written, for another reader to begin again."""
        self.rate_hz = self.channels = self.frames = 0

    def rehearsal(self) -> Sink | None:
        """Where to read a file first, to see that it reads to its end, when `rewind` cannot forget."""
        return None

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

    def name(self, container: str, codec: str) -> None:
        """Say how the reader calls what it reads; before the first block."""
        self.container, self.codec = container, codec

    def wanted_from(self) -> int:
        """The first frame that anybody wants; known after `begin`."""
        return 0

    def jump(self, frame: int) -> None:
        """The next block begins at `frame`: what lies before was not decoded."""
        self.frames = frame

    def write(self, block: Block) -> None:
        """Take the next (frames, channels) block; TOO_LONG, TOO_LARGE, NOT_FINITE, OUT_OF_MEMORY."""
        if not np.isfinite(block).all():
            raise AudioError("NOT_FINITE", f"after {self.frames / self.rate_hz:.3f} s")
        frames = self.frames + len(block)
        if frames > self._limits.max_duration_s * self.rate_hz:
            raise AudioError("TOO_LONG", f"more than {self._limits.max_duration_s:g} s")
        self._keep(block, frames)
        self.frames = frames

    def _keep(self, block: Block, frames: int) -> None:
        """Do with a checked block what this sink is for; `frames` is the count with it."""


class Enough(Exception):
    """What was asked of the audio is known; the rest need not be decoded."""


class FirstBlock(Sink):
    """Stops its reader at the first block: rate and channels are those of decoded samples by then."""

    def _keep(self, block: Block, frames: int) -> None:
        raise Enough


class MemorySink(Sink):
    """Appends interleaved samples to a memory file, which holds the whole recording at the end."""

    def __init__(self, fd: int, limits: Limits) -> None:
        super().__init__(limits)
        self._fd = fd
        self.rewind()

    def rewind(self) -> None:
        """Empty the file too."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        super().rewind()

    def _keep(self, block: Block, frames: int) -> None:
        if frames * self.channels * 4 > self._limits.max_decoded_bytes:
            raise AudioError("TOO_LARGE", f"more than {self._limits.max_decoded_bytes} decoded bytes")
        self._append(np.ascontiguousarray(block, dtype=np.float32).data.cast("B"))

    def _append(self, data: memoryview) -> None:
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            code = "TOO_LARGE" if error.errno == errno.EFBIG else "OUT_OF_MEMORY"
            raise AudioError(code, f"memory file: {error.strerror}") from error
