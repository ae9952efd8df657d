"""Fault points: the named moments around every write of a job, at which a test can end it as a kill would.

Nothing happens there unless SPEECHLAKE_FAULT names the point, and which passage of it, when the process starts:

    SPEECHLAKE_FAULT=after:commit:utterances       SIGKILL at the first passage
    SPEECHLAKE_FAULT=before:stage:2                SIGKILL at the second
    SPEECHLAKE_FAULT=before:commit:runs=TERM       another signal

tests/faults lists the points that every job passes. A test in the same process sets `hook` instead.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

from speechlake.errors import UsageError

VARIABLE: Final = "SPEECHLAKE_FAULT"
_SAID = re.compile(r"(?P<point>[a-z][a-z:_]*[a-z])(:(?P<passage>[1-9]\d*))?(=(?P<signal>[A-Z0-9]+))?")


def ending_at(said: str) -> Callable[[str], None] | None:
    """A hook that ends this process where `said` names; None for an empty text, UsageError for what names nothing."""
    if not said:
        return None
    found = _SAID.fullmatch(said)
    name = f"SIG{(found and found['signal']) or 'KILL'}"
    if found is None or name not in signal.Signals.__members__:
        raise UsageError(f"{VARIABLE}={said!r}: expected POINT, POINT:PASSAGE or POINT:PASSAGE=SIGNAL")
    point, passage = found["point"], int(found["passage"] or 1)
    seen, guard = Counter[str](), threading.Lock()

    def end(passed: str) -> None:
        with guard:  # chunks are staged from several threads
            seen[passed] += 1
            here = passed == point and seen[passed] == passage
        if here:
            os.kill(os.getpid(), signal.Signals[name])

    return end


hook: Callable[[str], None] | None = ending_at(os.environ.get("SPEECHLAKE_FAULT", ""))


def point(name: str) -> None:
    """The run is at `name`."""
    if hook is not None:
        hook(name)
