"""Decode hostile audio from the safety of another process.

One pooled child per Decoder (see `child`): a short wav costs a fraction of a millisecond, a fresh child
0.2 s. A child that crashes, hangs or runs out of memory is replaced and the file tried once more.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from speechlake.audio.errors import CODES, TRY_AGAIN, AudioError
from speechlake.audio.limits import STREAM_LIMITS, Limits
from speechlake.audio.pipe_sink import Start
from speechlake.audio.process import ChildProcess, Lost
from speechlake.audio.stream import Stream

Samples = npt.NDArray[np.float32]

# Native libraries leak; a child is replaced after this many files.
REQUESTS_PER_CHILD = 5_000
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


@dataclass(frozen=True)
class Decoded:
    """A whole recording: `samples` is (frames, channels) float32, read-only, full scale 1.

    `header_duration_s` is what the file claims of itself, None where it claims nothing.
    """

    samples: Samples
    sample_rate_hz: int
    container: str
    codec: str
    header_duration_s: float | None

    @property
    def channels(self) -> int:
        """Channels of the recording."""
        return int(self.samples.shape[1])

    @property
    def duration_s(self) -> float:
        """Decoded length in seconds."""
        return len(self.samples) / self.sample_rate_hz


class Decoder:
    """Decodes open files, one at a time; starts its child at the first, ends it when closed or collected.

    Threads may share one (they take turns). `command` is the child's command line, for tests.
    """

    def __init__(self, command: Sequence[str] | None = None) -> None:
        self._command = command
        self._child: ChildProcess | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child; a later `decode` starts another."""
        child, self._child = self._child, None
        if child is not None:
            child.stop()

    @property
    def child_pid(self) -> int | None:
        """Process id of the present child, if one runs."""
        return self._child.pid if self._child is not None and self._child.usable() else None

    def decode(self, fd: int, *, limits: Limits | None = None) -> Decoded:
        """Decode the regular file behind `fd`, whole, from its start; AudioError says what is wrong.

        `fd` stays open, its position moves. Raises SpeechlakeError when no child can be started: that
        says nothing about the file.
        """
        limits = limits or Limits()
        if os.fstat(fd).st_size == 0:
            raise AudioError("EMPTY")
        with self._lock:
            try:
                return self._decode_once(fd, limits)
            except AudioError as error:
                if error.code not in TRY_AGAIN:
                    raise
            self.close()
            return self._decode_once(fd, limits)

    def channels(self, fd: int) -> int:
        """How many channels the regular file behind `fd` has; only its beginning is decoded.

        AudioError as `decode` raises it, for what shows at the beginning.
        """
        if os.fstat(fd).st_size == 0:
            raise AudioError("EMPTY")
        with self._lock:
            try:
                return self._channels_once(fd)
            except AudioError as error:
                if error.code not in TRY_AGAIN:
                    raise
            self.close()
            return self._channels_once(fd)

    @contextmanager
    def stream(
        self, fd: int, *, limits: Limits | None = None, start_s: float = 0.0, rehearsed: bool = True
    ) -> Iterator[Stream]:
        """Decode the regular file behind `fd` block by block from `start_s` on: the samples of `decode`.

        Blocks begin at exactly the frame nearest to `start_s`, half up; none come where that lies at or
        behind the end. PCM in wav and FLAC are sought there, anything else is decoded and dropped. `fd`
        must not be used by others meanwhile. AudioError here or while iterating, as `decode` raises it;
        `limits` are STREAM_LIMITS by default; `rehearsed` is that of `Start`. Other files may be decoded while a
        stream is open.
        """
        if os.fstat(fd).st_size == 0:
            raise AudioError("EMPTY")
        opened = Stream(
            fd, limits or STREAM_LIMITS, Start(start_s, rehearsed=rehearsed), self._lend, self._give_back
        )
        try:
            yield opened
        finally:
            opened.close()

    def _lend(self) -> ChildProcess:
        """The pooled child, or a new one, for a stream to keep as long as it lasts."""
        with self._lock:
            child, self._child = self._ready_child(), None
            return child

    def _give_back(self, child: ChildProcess, usable: bool) -> None:
        with self._lock:
            if usable and self._child is None and child.usable():
                self._child = child
            else:
                child.stop()

    def _decode_once(self, fd: int, limits: Limits) -> Decoded:
        child = self._ready_child()
        samples_fd = os.memfd_create("samples", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            deadline_s = limits.deadline_s(os.fstat(fd).st_size)
            answer = child.ask(_request(limits), (fd, samples_fd), deadline_s)
            return _decoded(answer, samples_fd, limits)
        except Lost as lost:
            self.close()
            raise AudioError(lost.code, lost.detail) from lost
        finally:
            os.close(samples_fd)

    def _channels_once(self, fd: int) -> int:
        limits = STREAM_LIMITS
        request = json.dumps({**vars(limits), "header": True}).encode()
        try:
            # The child expects two descriptors; nothing is written to either.
            answer = self._ready_child().ask(request, (fd, fd), limits.deadline_s(os.fstat(fd).st_size))
            return _channels(answer, limits)
        except Lost as lost:
            self.close()
            raise AudioError(lost.code, lost.detail) from lost

    def _ready_child(self) -> ChildProcess:
        if self._child is not None and (not self._child.usable() or self._child.asked >= REQUESTS_PER_CHILD):
            self.close()
        if self._child is None:
            self._child = ChildProcess.start(self._command)
        return self._child


def _request(limits: Limits) -> bytes:
    return json.dumps(vars(limits)).encode()


def _refuse_error(answer: dict[str, Any]) -> None:
    if "error" in answer:
        code = answer["error"] if answer["error"] in CODES else "DECODER_CRASHED"
        raise AudioError(code, str(answer.get("detail", "")))


def _channels(answer: dict[str, Any], limits: Limits) -> int:
    _refuse_error(answer)
    found = answer.get("channels")
    if not isinstance(found, int) or not 1 <= found <= limits.max_channels:
        raise Lost("DECODER_CRASHED", f"answered nonsense: {found} channels")
    return found


def _decoded(answer: dict[str, Any], samples_fd: int, limits: Limits) -> Decoded:
    """What the child says, believed only where the memory file agrees."""
    _refuse_error(answer)
    try:
        frames, channels, rate = (int(answer[k]) for k in ("frames", "channels", "sample_rate_hz"))
        claimed = answer["header_duration_s"]
        samples = _map(samples_fd, frames, channels, limits)
        return Decoded(
            samples,
            rate,
            str(answer["container"]),
            str(answer["codec"]),
            None if claimed is None else float(claimed),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Lost("DECODER_CRASHED", f"answered nonsense: {error}") from error


def _map(samples_fd: int, frames: int, channels: int, limits: Limits) -> Samples:
    """The memory file as a read-only array, without a copy.

    Sealed first: a child that could still shrink it would crash us, one that could write would change
    samples that were checked.
    """
    size = frames * channels * 4
    if frames <= 0 or channels <= 0 or size > limits.max_decoded_bytes:
        raise ValueError(f"{frames} frames of {channels} channels")
    try:
        fcntl.fcntl(samples_fd, fcntl.F_ADD_SEALS, _SEALS)
    except OSError as error:
        raise ValueError(f"memory file cannot be sealed: {error.strerror}") from error
    if os.fstat(samples_fd).st_size != size:
        raise ValueError(f"memory file has {os.fstat(samples_fd).st_size} bytes, not {size}")
    mapped = mmap.mmap(samples_fd, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
    return np.frombuffer(mapped, dtype=np.float32).reshape(frames, channels)
