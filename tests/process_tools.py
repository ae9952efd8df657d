"""Processes of a driver that a test started in a session of its own."""

from __future__ import annotations

import os
from pathlib import Path


def of_session(session: int, words: str) -> list[int]:
    """Ids of the processes of a session whose command line holds `words`, sorted."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            said = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            # Not its group: a daemon of Python workers makes one of its own.
            if os.getsid(int(folder.name)) == session and words in said:
                found.append(int(folder.name))
        except (OSError, ValueError):  # no process, or one that has just ended
            continue
    return sorted(found)
