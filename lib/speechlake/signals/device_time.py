"""How long a model was busy: wall seconds in which at least one of its streams ran."""

from __future__ import annotations

import threading
import time
from types import TracebackType


class DeviceTime:
    """Entered by each stream for the length of a batch; `taken` gives the seconds since the last call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside, self._since, self._total = 0, 0.0, 0.0

    def __enter__(self) -> DeviceTime:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._since = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._total += time.monotonic() - self._since

    def taken(self) -> float:
        """Seconds of use since this was last asked."""
        with self._lock:
            if self._inside:
                now = time.monotonic()
                self._total, self._since = self._total + now - self._since, now
            total, self._total = self._total, 0.0
            return total
