"""A decode child whose reader misbehaves on files that say so; everything else is the real child.

Run as a command by the tests: bad_child.py SOCKET_FD PARENT_PID.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

from speechlake.audio import child, readers
from speechlake.audio.reading import Header
from speechlake.audio.sink import Block, Sink

real_read = readers.read


def read(fd: int, sink: Sink) -> Header:
    """Do what the first word of the file says."""
    match os.pread(fd, 16, 0).split(b" ")[0]:
        case b"CRASH":
            print("last words", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGSEGV)
        case b"HANG":
            time.sleep(600)
        case b"SPIN":
            while True:
                pass
        case b"EAT":
            _ = [bytearray(1 << 24) for _ in range(1 << 20)]
        case b"FLOOD":
            while True:
                sink._append(memoryview(bytes(1 << 20)))
        case b"LIE":
            os.ftruncate(sink._fd, 4)
            sink.rate_hz, sink.channels, sink.frames = 16_000, 1, 1_000_000
            return Header("wav", "pcm_s16le", None)
        case b"KILLED":
            os.kill(os.getpid(), signal.SIGKILL)
        case b"ONCE":
            os.pwrite(fd, b"RIFF", 0)  # the next reader sees a wav header here
            os.kill(os.getpid(), signal.SIGSEGV)
        case b"HALF":
            os.pwrite(fd, b"RIFF", 0)
            after_blocks(sink, lambda: os.kill(os.getpid(), signal.SIGSEGV))
        case b"DIES":
            os.pwrite(fd, b"RIFF", 0)
            after_blocks(sink, lambda: (os.pwrite(fd, b"DIES", 0), os.kill(os.getpid(), signal.SIGSEGV)))
        case b"STOP":
            os.pwrite(fd, b"RIFF", 0)
            after_blocks(sink, lambda: (os.pwrite(fd, b"STOP", 0), time.sleep(600)))
    return real_read(fd, sink)


def after_blocks(sink: Sink, act: Callable[[], object]) -> None:
    """Let three blocks pass, then act."""
    keep, left = sink._keep, [3]

    def counting(block: Block, frames: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            act()
        keep(block, frames)

    sink._keep = counting  # type: ignore[method-assign]


readers.read = read

if __name__ == "__main__":
    sys.exit(child.main())
