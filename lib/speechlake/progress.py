"""What people see of a running job, on stderr: a live bar on a terminal, one line per step otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from speechlake.logs import JsonLines


class Progress:
    """Says lines, and shows how far a measured amount of audio is done."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet

    def say(self, line: str, **counts: Any) -> None:
        """One line, with the time of day in UTC. `counts` are what it tells, for logs that machines read."""
        if isinstance(self._stream, JsonLines) and not self._quiet:
            self._stream.say(line, **counts)
        elif not self._quiet:
            print(f"{time.strftime('%H:%M:%S', time.gmtime())} {line}", file=self._stream, flush=True)

    @contextmanager
    def hours(self, what: str, total_s: float) -> Iterator[HoursDone]:
        """Follow `total_s` seconds of audio: `advance` with what each chunk measured."""
        done = HoursDone(self, what, total_s)
        live = not self._quiet and self._stream.isatty()
        with _bar(what, self._stream, done) if live else _nothing():
            yield done


class HoursDone:
    """How much of some audio is measured."""

    def __init__(self, progress: Progress, what: str, total_s: float) -> None:
        self._progress, self._what = progress, what
        self.total_s, self.done_s, self.failures = total_s, 0.0, 0
        self._started = time.monotonic()

    def advance(self, seconds: float, failures: int) -> None:
        """A chunk is committed."""
        self.done_s += seconds
        self.failures += failures
        told = f"{self._what}: {self.told(self.done_s)}"
        self._progress.say(told, done_s=self.done_s, total_s=self.total_s, failures=self.failures)

    def told(self, done_s: float) -> str:
        """Hours done and left, × real time, ETA, failures."""
        spent = max(time.monotonic() - self._started, 1e-6)
        rate = done_s / spent
        # The total is an estimate where lengths are not declared: it grows with what was found.
        self.total_s = max(self.total_s, done_s)
        left_s = self.total_s - done_s
        eta = f"{left_s / rate:,.0f} s left" if rate > 0 else "no estimate yet"
        return f"{done_s / 3600:.2f} of about {self.total_s / 3600:.2f} h, {rate:.1f} x real time, {eta}, {self.failures} failed"


@contextmanager
def _bar(what: str, stream: TextIO, done: HoursDone) -> Iterator[None]:
    """A rich bar that follows `done`, redrawn four times a second."""
    import threading

    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    console = Console(file=stream)
    columns = (TextColumn(what), BarColumn(), TextColumn("{task.fields[told]}"), TimeElapsedColumn())
    stop = threading.Event()
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=max(done.total_s, 1e-9), told="")

        def follow() -> None:
            while not stop.wait(0.25):
                bar.update(task, completed=done.done_s, told=done.told(done.done_s))

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@contextmanager
def _nothing() -> Iterator[None]:
    yield
