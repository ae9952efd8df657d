"""Structured logs: all that a job says on stderr, one JSON object per line, with the run that says it.

`--log-json`, or SPEECHLAKE_LOG=json, puts a stream of its own in place of stderr: whatever prints there
(progress, errors, warnings of libraries) becomes a line with time, level, job, scope, run_id and message.
The JVM writes beside Python; its log4j is given a layout in JSON (see `speechlake.session`), without run_id.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TextIO

from speechlake.errors import UsageError

# Names the form of the log where no flag does: `json`, or `text`, the default.
LOG = "SPEECHLAKE_LOG"
FLAG = "--log-json"
FORMS = ("", "text", "json")

# The run that this process is at: one at a time holds a job and scope.
_run: dict[str, str] = {}


def note_run(job: str, scope: str, run_id: str) -> None:
    """From now on lines are this run's, until another begins."""
    _run.update(job=job, scope=scope, run_id=run_id)


class JsonLines(io.TextIOBase):
    """A text stream that writes each message to `out` as one JSON object; used from several threads."""

    def __init__(self, out: TextIO, job: str) -> None:
        self._out, self._job = out, job
        self._lock = threading.Lock()
        # A print is several writes: those of two threads must not mix.
        self._mine = threading.local()

    def writable(self) -> bool:
        """True: a stream to write to."""
        return True

    def write(self, text: str) -> int:
        """Keep what is written until a line ends; a message of several lines, written at once, stays one."""
        pending = getattr(self._mine, "text", "") + text
        self._mine.text = ""
        if pending.endswith("\n"):
            self.say(pending)
        else:
            self._mine.text = pending
        return len(text)

    def say(self, message: str, level: str = "INFO", **more: Any) -> None:
        """One line; nothing for an empty message. `more` are values that a machine may count with."""
        message = message.strip("\r\n")
        if not message.strip():
            return
        said = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": level,
            "job": _run.get("job", self._job),
            "scope": _run.get("scope"),
            "run_id": _run.get("run_id"),
            "message": message,
            **more,
        }
        line = json.dumps(said, ensure_ascii=False, default=str)
        with self._lock:
            print(line, file=self._out, flush=True)

    def flush(self) -> None:
        """Write what this thread has begun."""
        pending, self._mine.text = getattr(self._mine, "text", ""), ""
        self.say(pending)
        self._out.flush()


def say(message: str, level: str = "ERROR", **more: Any) -> None:
    """A message on stderr: text as it is, or a line of JSON with its level."""
    if isinstance(sys.stderr, JsonLines):
        sys.stderr.say(message, level, **more)
    else:
        print(message, file=sys.stderr)


def is_json() -> bool:
    """True while stderr holds JSON lines."""
    return isinstance(sys.stderr, JsonLines)


def asked_for(argv: Sequence[str]) -> bool:
    """True where the flag or the environment asks for JSON: known before arguments are parsed, for their errors."""
    return FLAG in argv or os.environ.get(LOG) == "json"


def require_known() -> None:
    """UsageError where the environment asks for a form that there is not."""
    said = os.environ.get(LOG, "")
    if said not in FORMS:
        raise UsageError(f"{LOG} is {said!r}", hint="It may be json, or text.")


@contextmanager
def stderr_as_asked(job: str, argv: Sequence[str]) -> Iterator[None]:
    """Stderr as JSON lines where that is asked for, as it was afterwards."""
    _run.clear()
    if not asked_for(argv):
        yield
        return
    before = sys.stderr
    lines = JsonLines(before, job)
    sys.stderr = lines
    try:
        yield
    finally:
        lines.flush()
        sys.stderr = before
