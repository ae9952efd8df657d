"""The decode child: reads foreign audio so that its crashes, hangs and bombs are not the worker's.

    python -P -m speechlake.audio.child SOCKET_FD PARENT_PID

It is started by exec, never by fork (the worker holds native threads). Over a sequential-packet
socket it says `ready` once, then answers requests: a JSON message of Limits with two descriptors, the
audio and an empty memory file for the samples. The answer is one JSON message: what was decoded, an
`error` code of CODES, or `broken` when this installation cannot decode at all. With `stream` in the
request, the second descriptor is a pipe, and a message that says rate, channels, container and codec
comes before the first sample. With `header`, nothing is written: the answer is how the audio begins. It never
sees a name. It ends at end of file and when its parent dies.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any

from speechlake.audio import readers
from speechlake.audio.errors import AudioError
from speechlake.audio.limits import Limits
from speechlake.audio.pipe_sink import Abandoned, PipeSink, Start
from speechlake.audio.reading import Header
from speechlake.audio.sink import Enough, FirstBlock, MemorySink, Sink

MESSAGE_BYTES = 8192
READY = b'{"ready": true}'
_DETAIL_CHARACTERS = 300
_OPEN_FILES = 64
_PR_SET_PDEATHSIG = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the parent's socket until it closes."""
    socket_fd, parent = (int(word) for word in (argv if argv is not None else sys.argv[1:])[-2:])
    _die_with(parent)
    _confine()
    import soundfile  # noqa: F401  before saying ready: without it nothing decodes

    with socket.socket(fileno=socket_fd) as channel:
        channel.send(READY)
        _serve(channel)
    return 0


def _die_with(parent: int) -> None:
    """Be killed when the thread that started us ends; the check closes the gap before prctl.

    A thread that ends before its process costs a new child, nothing else.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _confine() -> None:
    """Limits that hold for the child's whole life; Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))


def _serve(channel: socket.socket) -> None:
    while True:
        request, fds, _, _ = socket.recv_fds(channel, MESSAGE_BYTES, 2)
        if not request:
            return
        try:
            answer = _answer(json.loads(request), *fds, say=lambda said: _send(channel, said))
        finally:
            for fd in fds:
                os.close(fd)
        _send(channel, answer)


def _send(channel: socket.socket, message: dict[str, Any]) -> None:
    channel.send(json.dumps(message).encode())


def _answer(
    request: dict[str, Any], audio_fd: int, samples_fd: int, *, say: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    start, header_only = request.pop("stream", None), request.pop("header", False)
    limits = Limits(**request)
    try:
        _allow(limits, os.fstat(audio_fd).st_size)
        if start is not None:
            return _stream(audio_fd, samples_fd, limits, Start(**start), say)
        if header_only:
            return _begins(audio_fd, limits)
        return _decode(audio_fd, samples_fd, limits)
    except Abandoned:
        return {"abandoned": True}
    except AudioError as error:
        return {"error": error.code, "detail": error.detail[:_DETAIL_CHARACTERS]}
    except ImportError as error:
        return {"broken": str(error)}
    except MemoryError as error:
        return {"error": "DECODER_MEMORY", "detail": str(error)[:_DETAIL_CHARACTERS]}
    except OSError as error:
        return {"error": "STORAGE", "detail": f"reading: {error.strerror}"}
    except Exception as error:
        detail = f"{type(error).__name__}: {error}"
        return {"error": "CORRUPT", "detail": detail[:_DETAIL_CHARACTERS]}


def _allow(limits: Limits, size_bytes: int) -> None:
    """What this one file may use beyond what the child uses already.

    RLIMIT_DATA counts private memory, so neither libraries nor the memory file; RLIMIT_FSIZE bounds
    the memory file; at the CPU limit SIGXCPU ends the child.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = math.ceil(used.ru_utime + used.ru_stime + limits.deadline_s(size_bytes)) + 1
    for kind, soft in (
        (resource.RLIMIT_DATA, _data_bytes() + limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.max_decoded_bytes),
        (resource.RLIMIT_CPU, cpu_s),
    ):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _data_bytes() -> int:
    """Private memory in use: the sixth field of /proc/self/statm, in pages."""
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[5]) * resource.getpagesize()


def _decode(audio_fd: int, samples_fd: int, limits: Limits) -> dict[str, Any]:
    sink = MemorySink(samples_fd, limits)
    return _told(readers.read(audio_fd, sink), sink)


def _begins(audio_fd: int, limits: Limits) -> dict[str, Any]:
    """What is known at the first sample: a header alone may claim what no decoder finds."""
    sink = FirstBlock(limits)
    with contextlib.suppress(Enough):
        readers.read(audio_fd, sink)
    return {"channels": sink.channels, "sample_rate_hz": sink.rate_hz}


def _stream(
    audio_fd: int, pipe_fd: int, limits: Limits, start: Start, say: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    def announce(sink: Sink) -> None:
        names = ("sample_rate_hz", "channels", "container", "codec")
        say(dict(zip(names, (sink.rate_hz, sink.channels, sink.container, sink.codec), strict=True)))

    sink = PipeSink(pipe_fd, limits, start, announce)
    header = readers.read(audio_fd, sink)
    sink.finish()
    return _told(header, sink)


def _told(header: Header, sink: Sink) -> dict[str, Any]:
    claimed = header.duration_s
    return {
        "frames": sink.frames,
        "channels": sink.channels,
        "sample_rate_hz": sink.rate_hz,
        "container": header.container,
        "codec": header.codec,
        "header_duration_s": claimed
        if claimed is not None and math.isfinite(claimed) and claimed >= 0
        else None,
    }


if __name__ == "__main__":
    sys.exit(main())
