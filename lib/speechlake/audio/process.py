"""One running decode child: started by exec, asked over a socket, stopped for certain."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Sequence
from typing import Any, Self

from speechlake.audio.errors import CODES
from speechlake.errors import SpeechlakeError

_START_S = 120.0
_MESSAGE_BYTES = 8192
_STDERR_BYTES = 64 * 1024
_LAST_WORDS = 200
# Variables without which some installations of Python cannot start.
_KEPT = ("LD_LIBRARY_PATH", "PYTHONHOME", "TMPDIR")


class Lost(Exception):
    """The child is gone or no longer to be trusted; `code` is a key of CODES."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        assert code in CODES
        self.code = code
        self.detail = detail


class ChildProcess:
    """A decode child and our end of its socket; stopped at the latest when it is collected."""

    def __init__(self, process: subprocess.Popen[bytes], channel: socket.socket, stderr_fd: int) -> None:
        self._process = process
        self._channel = channel
        self._stderr_fd = stderr_fd
        self._owner = os.getpid()
        self.asked = 0
        self.stop = weakref.finalize(self, _stop, process, channel, stderr_fd, self._owner)

    @classmethod
    def start(cls, command: Sequence[str] | None = None) -> Self:
        """Start a child and wait until it is ready; SpeechlakeError when it does not come up."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        stderr_fd = _word_sink()
        with theirs:
            process = subprocess.Popen(
                [*(command or child_command()), str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr_fd,
                pass_fds=(theirs.fileno(),),
                env=child_environment(),
                cwd="/",
            )
        child = cls(process, ours, stderr_fd)
        child._wait_until_ready()
        return child

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def usable(self) -> bool:
        """True while it runs and is ours: a fork of this process must start its own."""
        return self._owner == os.getpid() and self.stop.alive and self._process.poll() is None

    def ask(self, request: bytes, fds: Sequence[int], deadline_s: float) -> dict[str, Any]:
        """Send one request and wait for its answer; Lost when it crashes, stalls or talks nonsense."""
        self.request(request, fds, deadline_s)
        return self.answer(deadline_s)

    def request(self, request: bytes, fds: Sequence[int], deadline_s: float) -> None:
        """Send one request; a child that is gone is told by `answer`."""
        self.asked += 1
        os.ftruncate(self._stderr_fd, 0)
        self._channel.settimeout(deadline_s)
        try:
            socket.send_fds(self._channel, [request], list(fds))
        except TimeoutError as error:
            raise _silent(deadline_s) from error
        except OSError:
            return

    def answer(self, deadline_s: float) -> dict[str, Any]:
        """Wait for the next message; Lost when the child crashes, stalls or talks nonsense."""
        self._channel.settimeout(deadline_s)
        try:
            answer = self._channel.recv(_MESSAGE_BYTES)
        except TimeoutError as error:
            raise _silent(deadline_s) from error
        except OSError:
            answer = b""
        if not answer:
            raise self._ended()
        return self._understood(answer)

    def _understood(self, answer: bytes) -> dict[str, Any]:
        try:
            message = json.loads(answer)
        except ValueError as error:
            raise Lost("DECODER_CRASHED", "answered nonsense") from error
        if not isinstance(message, dict):
            raise Lost("DECODER_CRASHED", "answered nonsense")
        if "broken" in message:
            raise _cannot_decode(str(message["broken"]))
        return message

    def _wait_until_ready(self) -> None:
        self._channel.settimeout(_START_S)
        try:
            ready = self._channel.recv(_MESSAGE_BYTES)
        except OSError as error:
            ready, reason = b"", str(error)
        else:
            reason = "" if ready else str(self._ended())
        if not ready:
            words = self._last_words()
            self.stop()
            raise _cannot_decode(words or reason)

    def _ended(self) -> Lost:
        try:
            returncode = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return Lost("DECODER_CRASHED", "decode child closed its socket")
        code, detail = describe_end(returncode)
        words = self._last_words()
        return Lost(code, f"{detail}: {words}" if words else detail)

    def _last_words(self) -> str:
        size = os.fstat(self._stderr_fd).st_size
        tail = os.pread(self._stderr_fd, _STDERR_BYTES, max(0, size - _STDERR_BYTES))
        return " ".join(tail.decode(errors="replace").split())[-_LAST_WORDS:]


def _silent(deadline_s: float) -> Lost:
    return Lost("DECODER_TIME_OUT", f"no answer in {deadline_s:.1f} s")


def child_command() -> list[str]:
    """This interpreter running the child; -P keeps the working folder off its path."""
    return [sys.executable, "-P", "-m", "speechlake.audio.child"]


def child_environment() -> dict[str, str]:
    """Nothing of ours but the import path, which on a Spark executor holds the shipped zip."""
    path = [os.path.abspath(entry) for entry in sys.path if entry]  # noqa: PTH100  entries are strings
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {"PYTHONPATH": os.pathsep.join(path), "LANG": "C.UTF-8", **threads, **kept}


def describe_end(returncode: int) -> tuple[str, str]:
    """The code and words for a child that ended by itself."""
    if returncode == -signal.SIGXCPU:
        return "DECODER_TIME_OUT", "decode child used up its CPU time"
    if returncode == -signal.SIGKILL:
        # Its own limits never send SIGKILL; the kernel's out-of-memory killer and operators do.
        return "OUT_OF_MEMORY", "decode child was killed from outside"
    if returncode < 0:
        return (
            "DECODER_CRASHED",
            f"decode child ended by signal {-returncode}, {signal.strsignal(-returncode)}",
        )
    return "DECODER_CRASHED", f"decode child ended with status {returncode}"


def _word_sink() -> int:
    """A memory file for stderr: never blocks the child, and its tail explains a crash."""
    fd = os.memfd_create("stderr", os.MFD_CLOEXEC)
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)
    return fd


def _cannot_decode(reason: str) -> SpeechlakeError:
    return SpeechlakeError(
        f"the decode child of {sys.executable} cannot work: {reason or 'no reason given'}",
        hint="Check that speechlake, soundfile and av can be imported by this Python.",
    )


def _stop(process: subprocess.Popen[bytes], channel: socket.socket, stderr_fd: int, owner: int) -> None:
    channel.close()
    os.close(stderr_fd)
    if os.getpid() != owner:
        return
    process.kill()
    process.wait()
