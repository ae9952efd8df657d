"""What this process may use of the machine it runs on."""

from __future__ import annotations

import os
from pathlib import Path


def usable_memory() -> int:
    """Bytes: all that the machine has, or what its container is limited to."""
    return min(_total(), _limit_of_group())


def _total() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _limit_of_group() -> int:
    """What a container may use; the most there is where nothing limits it."""
    try:
        said = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        said = "max"
    return int(said) if said.isdigit() else _total()
