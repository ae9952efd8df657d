"""Extractors that measure clip by clip, and what keeps their failures to themselves."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from speechlake.signals.extractor import Clip, Extractor, Measurement
from speechlake.signals.failures import too_few, too_slow

# A clip may take this long, and this many times its own length: above the slowest honest extractor.
GRACE_S = 120.0
SECONDS_PER_SECOND = 20.0


@dataclass
class Singly:
    """Measures one clip at a time, in a thread that is left behind when it does not come back."""

    extractor: Extractor
    load: Callable[[], Any]
    grace_s: float = GRACE_S

    def __post_init__(self) -> None:
        self._open()

    def _open(self) -> None:
        self._model = self.load()
        self._pool = ThreadPoolExecutor(1)

    def measure(self, clip: Clip) -> Measurement:
        """The measurement of a clip, whatever the extractor does: raise, hang, answer too little."""
        allowed_s = self.grace_s + SECONDS_PER_SECOND * clip.duration_s
        future = self._pool.submit(self.extractor.measure, self._model, [clip])
        try:
            results = future.result(timeout=allowed_s)
        except TimeoutError:
            if future.done():  # the extractor's own
                return _raised(future.exception())
            self._pool.shutdown(wait=False)
            self._open()
            return too_slow(allowed_s)
        except Exception as error:
            return _raised(error)
        return results[0] if len(results) == 1 else too_few(len(results), 1)

    def close(self) -> None:
        """Let go of the thread."""
        self._pool.shutdown(wait=False)


def _raised(error: BaseException | None) -> Measurement:
    if isinstance(error, MemoryError):
        return Measurement(error="OUT_OF_MEMORY", detail=str(error)[:200], transient=True)
    return Measurement(error="EXTRACTOR_FAILED", detail=f"{type(error).__name__}: {error}"[:200])
