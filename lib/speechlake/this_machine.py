"""What this process may use of the machine it runs on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc/self/cgroup")
CONTROL_GROUPS = Path("/sys/fs/cgroup")


def usable_memory() -> int:
    """Bytes: all that the machine has, or what the control groups of this process (a container's) are limited to."""
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_limits()])


def _limits() -> Iterator[int]:
    """Limits of all control groups that this process is in, those above its own included."""
    try:
        lines = PROC.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            root, name = CONTROL_GROUPS, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = CONTROL_GROUPS / "memory", "memory.limit_in_bytes"
        else:
            continue
        # Inside of a container the path may be that of the machine, where its own group is the root.
        group = root / path.lstrip("/")
        for each in (group, *group.parents[: len(group.parts) - len(root.parts)]):
            yield from _limit(each / name)


def _limit(file: Path) -> Iterator[int]:
    try:
        said = file.read_text().strip()
    except OSError:
        return
    if said.isdigit():
        yield int(said)
