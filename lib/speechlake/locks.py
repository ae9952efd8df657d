"""File locks taken in the JVM that commits, so that they live exactly as long as it does.

A Python lock would outlive, or die before, the process that writes the Delta log.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from speechlake.damage import disk_full
from speechlake.errors import Busy, NoStore, SpeechlakeError, UsageError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# POSIX takes a process's lock from it when it closes any descriptor of the file, so a refused second try
# would end the first. What this process holds (real paths) is known before the file is opened.
_HELD: set[str] = set()
_GUARD = threading.Lock()
_WRITABLE = "Check --lake: a folder that you may write to, or that can be made."
# What no other try mends, in the words of the operating system, which Java takes too. Whatever else is wrong with a
# folder (too many open files, a share that is away) may pass.
_FOR_GOOD = tuple(
    os.strerror(code)
    for code in (
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST),
        *(errno.ENAMETOOLONG, errno.ELOOP),
    )
)
# The one job that works alone: while another process holds this lock, nobody begins (`speechlake.hold`).
ERASURE = "erase-speakers.lake"
UPGRADE = "upgrade-lake.lake"


def local_folder(root: str) -> Path:
    """The folder of a lake whose root is a local path or `file:` URI."""
    return Path(root.removeprefix("file://").removeprefix("file:"))


def lock_file(root: str, name: str) -> Path:
    """Where the lock `name` of the lake at `root`, a local path or `file:` URI, lies."""
    return local_folder(root) / "_locks" / f"{name}.lock"


@dataclass(frozen=True)
class Held:
    """A lock that some process holds: its name, who took it, when, in seconds since 1970, and the process."""

    name: str
    who: str
    since: float
    pid: int


def held_locks(root: str) -> list[Held]:
    """The locks of a local lake that are held now, by whatever process, sorted by name.

    The kernel is asked who would stand in the way; nothing is taken, so nobody who starts now is refused.
    """
    folder = lock_file(root, "x").parent
    found = [held(path) for path in sorted(folder.glob("*.lock"))] if folder.is_dir() else []
    return [each for each in found if each is not None]


def held(path: Path) -> Held | None:
    """What stands in the way of taking the lock file `path`; None where nobody holds it, or it is not there."""
    # `struct flock` of 64-bit Linux: type, whence, start, length, process.
    wanted = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        with path.open("rb") as file:
            kind, *_, pid = struct.unpack("hhqqi", fcntl.fcntl(file, fcntl.F_GETLK, wanted))
            if kind == fcntl.F_UNLCK:
                return None
            return Held(path.stem, _who(path), os.fstat(file.fileno()).st_mtime, pid)
    except FileNotFoundError:
        return None


def erasing(spark: SparkSession, root: str) -> Held | None:
    """The erasure that another process runs on the local lake at `root`; None if none, or if it is this one's own."""
    found = held(lock_file(root, ERASURE))
    jvm: Any = spark._jvm
    mine = found is not None and found.pid == jvm.java.lang.ProcessHandle.current().pid()
    return None if mine else found


def _who(path: Path) -> str:
    try:
        return str(json.loads(path.read_text())["who"])
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


class JvmLock:
    """An exclusive lock on `path`, held by this session's JVM.

    `who` is written into the file, so that a second run can name the first. Waits up to `wait_s`
    seconds, then raises Busy. UsageError where the file can never be made, NoStore or DiskFull where it may be later.
    """

    def __init__(self, spark: SparkSession, path: Path, *, who: str, wait_s: float) -> None:
        self._jvm: Any = spark._jvm
        self._path = path
        self._who = who
        self._wait_s = wait_s
        self._key = ""
        self._file: Any = None

    def __enter__(self) -> JvmLock:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(f"the lake cannot be written: {error}") from None
        self._key = os.path.realpath(self._path)
        deadline = time.monotonic() + self._wait_s
        while not self._try():
            if time.monotonic() >= deadline:
                raise Busy(
                    f"{self._path.stem} is held by {self.holder()}",
                    hint="Wait for it (--wait), or end it; a lock ends with the process that holds it.",
                )
            time.sleep(min(0.2, self._wait_s))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            with _GUARD:
                _HELD.discard(self._key)
                file.close()

    def holder(self) -> str:
        """Who wrote the file last; the lock's holder, unless it has just changed hands."""
        return _who(self._path)

    def _try(self) -> bool:
        with _GUARD:
            if self._key in _HELD:
                return False
            file = self._opened()
            try:
                locked = file.getChannel().tryLock() is not None
                if locked:
                    said = {"who": self._who, "pid": os.getpid(), "host": socket.gethostname()}
                    file.setLength(0)
                    file.writeBytes(json.dumps(said))
            except BaseException:
                file.close()
                raise
            if not locked:
                file.close()
                return False
            _HELD.add(self._key)
            self._file = file
            return True

    def _opened(self) -> Any:
        from py4j.protocol import Py4JJavaError

        try:
            return self._jvm.java.io.RandomAccessFile(str(self._path), "rw")
        except Py4JJavaError as error:
            said = error.java_exception.getMessage()
            raise _unwritable(f"the lock file cannot be opened: {said}") from None


def _unwritable(said: str) -> SpeechlakeError:
    """A place where nobody may write is not worth another try; whatever else keeps from it is."""
    if any(words in said for words in _FOR_GOOD):
        return UsageError(said, hint=_WRITABLE)
    return disk_full(said) or NoStore(said, hint="Run the same command again once this has passed.")
