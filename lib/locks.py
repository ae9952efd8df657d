"""File locks taken in the JVM that commits, so that they live exactly as long as it does.

A Python lock would outlive, or die before, the process that writes the Delta log.
"""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from speechlake.errors import Busy

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class JvmLock:
    """An exclusive lock on `path`, held by this session's JVM.

    `who` is written into the file, so that a second run can name the first. Waits up to `wait_s`
    seconds, then raises Busy.
    """

    def __init__(self, spark: SparkSession, path: Path, *, who: str, wait_s: float) -> None:
        self._jvm: Any = spark._jvm
        self._path = path
        self._who = who
        self._wait_s = wait_s
        self._file: Any = None

    def __enter__(self) -> JvmLock:
        self._path.parent.mkdir(parents=True, exist_ok=True)
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
            self._file.close()
            self._file = None

    def holder(self) -> str:
        """Who wrote the file last; the lock's holder, unless it has just changed hands."""
        try:
            return str(json.loads(self._path.read_text())["who"])
        except (OSError, ValueError, KeyError):
            return "another process"

    def _try(self) -> bool:
        from py4j.protocol import Py4JJavaError

        file = self._jvm.java.io.RandomAccessFile(str(self._path), "rw")
        try:
            lock = file.getChannel().tryLock()
        except Py4JJavaError as error:  # held by another thread of this JVM
            file.close()
            if "OverlappingFileLockException" in str(error.java_exception):
                return False
            raise
        if lock is None:
            file.close()
            return False
        said = {"who": self._who, "pid": os.getpid(), "host": socket.gethostname()}
        file.setLength(0)
        file.writeBytes(json.dumps(said))
        self._file = file
        return True
