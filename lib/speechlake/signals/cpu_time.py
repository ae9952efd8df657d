"""What a worker and its decode children spent of CPUs."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

# Times of a process itself and of its own ended children, counted behind its name (proc(5), fields 14 to 17 of `stat`).
TIMES = slice(11, 15)


def cpu_seconds() -> float:
    """CPU time of this process and its children, those that run among them where there is a Linux /proc."""
    own = _seconds(resource.RUSAGE_SELF)
    while True:
        ended = _seconds(resource.RUSAGE_CHILDREN)
        running = sum(_seconds_of(pid) for pid in _children())
        # A child that ended meanwhile was counted twice, or not at all.
        if _seconds(resource.RUSAGE_CHILDREN) == ended:
            return own + ended + running


def _seconds(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def _children() -> Iterator[str]:
    """Pids of the children that nobody has waited for yet; each thread lists those that it started."""
    for listed in Path("/proc/self/task").glob("*/children"):
        try:
            yield from listed.read_text().split()
        except OSError:  # the thread has ended
            continue


def _seconds_of(pid: str) -> float:
    try:
        stat = Path("/proc", pid, "stat").read_text(errors="replace")
    except OSError:  # it has ended
        return 0.0
    ticks = stat.rpartition(")")[2].split()[TIMES]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
