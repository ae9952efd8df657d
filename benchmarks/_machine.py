"""How fast the machine was while something was timed: rented cores give half of their best within the same hour."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

_STEPS = 100_000
_EVERY_S = 1.0


@dataclass(frozen=True)
class Timed:
    """Seconds by the clock, and of a fixed loop of Python, once a second meanwhile, milliseconds of its own CPU time: waiting
    for a core is not in it, so it is the core's speed whoever else runs."""

    seconds: float
    loops_ms: tuple[float, ...]

    def __str__(self) -> str:
        """As `71.5 s (a loop took 6.1 ms, 5.9 to 12.0)`: the median, the fastest and the slowest."""
        low, high = min(self.loops_ms), max(self.loops_ms)
        return f"{self.seconds:.1f} s (a loop took {median(self.loops_ms):.1f} ms, {low:.1f} to {high:.1f})"


def timed(step: Callable[[], object]) -> Timed:
    """Run `step`."""
    loops, ended = [_loop_ms()], threading.Event()

    def sample() -> None:
        while not ended.wait(_EVERY_S):
            loops.append(_loop_ms())

    sampler = threading.Thread(target=sample, daemon=True)
    started = time.monotonic()
    sampler.start()
    try:
        step()
    finally:
        seconds = time.monotonic() - started
        ended.set()
        sampler.join()
    return Timed(seconds, tuple(loops))


def _loop_ms() -> float:
    started, total = time.thread_time(), 0
    for number in range(_STEPS):
        total += number * number & 7
    return (time.thread_time() - started) * 1000
