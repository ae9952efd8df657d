"""One try at streaming a file: a decode child at one end of a pipe, its header, bytes, and its account."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import time
from dataclasses import dataclass
from typing import Any

from speechlake.audio.errors import CODES, AudioError
from speechlake.audio.limits import Limits
from speechlake.audio.pipe_sink import Start
from speechlake.audio.process import ChildProcess, Lost

# The most that Linux gives without privileges; with its default of 64 KiB the two processes wait more.
_PIPE_BYTES = 1 << 20
# How long a child may take to notice that nobody reads any more; starting another costs 0.2 s.
_NOTICE_S = 0.5


@dataclass(frozen=True)
class Told:
    """What the child says before the first sample."""

    sample_rate_hz: int
    channels: int
    container: str
    codec: str


class Feed:
    """`told` is there at once, then come bytes by `read_into`, at their end `account`; `close` in any case.

    Every method raises AudioError when the file is at fault, Lost when the child is. Only time spent
    waiting for the child counts towards the deadline of `limits`.
    """

    def __init__(self, child: ChildProcess, fd: int, limits: Limits, start: Start) -> None:
        self.child = child
        self._allowed_s = self._left_s = limits.deadline_s(os.fstat(fd).st_size)
        self._settled = False
        self._pipe, theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            try:
                os.set_blocking(theirs, True)
                # Linux allows a user 64 MiB in all pipes together; what is refused is only speed.
                with contextlib.suppress(OSError):
                    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
                request = json.dumps({**vars(limits), "stream": vars(start)}).encode()
                child.request(request, (fd, theirs), self._left_s)
            finally:
                os.close(theirs)
            self.told = _believed(self._message(), limits)
        except BaseException:
            os.close(self._pipe)
            raise

    def read_into(self, free: memoryview) -> int:
        """Bytes written into `free`; 0 when the child has closed its end."""
        while True:
            try:
                return os.readv(self._pipe, [free])
            except BlockingIOError:
                began = time.monotonic()
                waiting = select.poll()
                waiting.register(self._pipe, select.POLLIN)
                waiting.poll(max(0.0, self._left_s) * 1000)
                self._spend(began)

    def account(self) -> tuple[int, float | None]:
        """Decoded length in frames and the claimed length, after the last byte."""
        said = self._message()
        self._settled = True
        try:
            claimed = said["header_duration_s"]
            return int(said["frames"]), None if claimed is None else float(claimed)
        except (KeyError, TypeError, ValueError) as error:
            raise Lost("DECODER_CRASHED", f"answered nonsense: {error}") from error

    def close(self, *, lost: bool = False) -> bool:
        """Close the pipe, which stops a child that still writes; True when the child is ready for more.

        `lost`: it is not, and nobody waits for it.
        """
        os.close(self._pipe)
        if lost:
            return False
        if not self._settled:
            try:
                self.child.answer(_NOTICE_S)
            except Lost:
                return False
        return True

    def _message(self) -> dict[str, Any]:
        began = time.monotonic()
        said = self.child.answer(self._left_s)
        self._spend(began)
        if "error" in said:
            self._settled = True
            code = said["error"] if said["error"] in CODES else "DECODER_CRASHED"
            raise AudioError(code, str(said.get("detail", "")))
        return said

    def _spend(self, began: float) -> None:
        self._left_s -= time.monotonic() - began
        if self._left_s <= 0:
            raise Lost("DECODER_TIME_OUT", f"waited for it {self._allowed_s:.1f} s in all")


def _believed(said: dict[str, Any], limits: Limits) -> Told:
    try:
        told = Told(
            int(said["sample_rate_hz"]), int(said["channels"]), str(said["container"]), str(said["codec"])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Lost("DECODER_CRASHED", f"answered nonsense: {error}") from error
    if not (
        limits.min_rate_hz <= told.sample_rate_hz <= limits.max_rate_hz
        and 1 <= told.channels <= limits.max_channels
    ):
        raise Lost("DECODER_CRASHED", f"answered nonsense: {told}")
    return told
