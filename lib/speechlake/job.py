"""The shape of a job's main: arguments in, one JSON line out, exit codes that a scheduler can trust.

0 done (also "nothing to do"), 2 usage or configuration, 3 a gate refused, 4 conflict or busy, 5 internal.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from speechlake import cli, logs, watching
from speechlake.errors import SpeechlakeError, UsageError
from speechlake.terminal import shown_lines

if TYPE_CHECKING:
    from speechlake.lake import Lake

# Of an error's lines so many are told from its beginning, and from its end, where a worker's traceback says what it was.
ERROR_LINES = 6


@dataclass
class Report:
    """What a job says at its end. `refusal`: everything was written that may be, but a gate said no.

    `more` are further keys of the last line, for those who act on them.
    """

    job: str
    outcome: str = "done"
    run_id: str | None = None
    counts: Mapping[str, Any] = field(default_factory=dict)
    next_step: str | None = None
    refusal: SpeechlakeError | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


def parser(doc: str, *, lake: bool = True) -> argparse.ArgumentParser:
    """An argument parser that shows the job's docstring; with `--lake` (or SPEECHLAKE_LAKE) and what all jobs have."""
    made = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    if lake:
        default = os.environ.get("SPEECHLAKE_LAKE")
        made.add_argument(
            "--lake",
            default=default,
            required=default is None,
            help="folder or URI of the lake [SPEECHLAKE_LAKE]",
        )
    watching.add_watching(made)
    return made


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """For argparse: a whole number from `least` to `most`."""
    what = f"{least} or more" if most is None else f"{least} to {most}"

    def of(text: str) -> int:
        if not (
            re.fullmatch(r"[+-]?[0-9]{1,18}", text)
            and least <= int(text)
            and (most is None or int(text) <= most)
        ):
            raise argparse.ArgumentTypeError(f"{text}: expected a whole number, {what}")
        return int(text)

    return of


def add_wait(made: argparse.ArgumentParser) -> None:
    """`--wait`, for jobs that write."""
    made.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="wait for another run of the same job and scope",
    )


def main(
    name: str,
    arguments: argparse.ArgumentParser,
    call: Callable[[Lake, argparse.Namespace], Report],
    argv: Sequence[str] | None,
    *,
    read: Callable[[argparse.Namespace], None] = lambda parsed: None,
) -> int:
    """Parse, open the lake, call, and end with one JSON object on stdout; the exit code.

    `read` puts values in place of arguments that need no lake to be read or refused, files among them: what is
    wrong there is told before Spark starts, and where none can start.
    """

    def on_lake(parsed: argparse.Namespace) -> Report:
        read(parsed)
        return _on_lake(open_lake(parsed.lake, name), call, parsed)

    return main_alone(name, arguments, on_lake, argv)


def main_alone(
    name: str,
    arguments: argparse.ArgumentParser,
    call: Callable[[argparse.Namespace], Report],
    argv: Sequence[str] | None,
) -> int:
    """`main` of a job that opens no lake, or opens it by itself."""
    started = time.monotonic()
    arguments.prog = f"speechlake {name}"
    said = sys.argv[1:] if argv is None else argv
    with _in_utc(), logs.stderr_as_asked(name, said), watching.watched():
        try:
            parsed = arguments.parse_args(said)
        except SystemExit as stop:  # argparse has already said why
            return int(stop.code or 0)

        def watched_call() -> Report:
            watching.begin(parsed)
            return call(parsed)

        with _ended_by_sigterm():
            report, code = _guarded(name, watched_call)
        seconds = time.monotonic() - started
        outcome = type(report.refusal).__name__ if report.refusal else report.outcome
        watching.command_ended(name, getattr(parsed, "corpus", None), outcome, code, seconds)
        print_result(report, seconds)
    return code


@contextmanager
def _in_utc() -> Iterator[None]:
    """Times of tables are in UTC, and PySpark gives them out in the zone of the process, without saying so."""
    before = os.environ.get("TZ")

    def put(zone: str | None) -> None:
        if zone is None:
            os.environ.pop("TZ", None)
        else:
            os.environ["TZ"] = zone
        time.tzset()

    put("UTC")
    try:
        yield
    finally:
        put(before)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM, a scheduler's or `kill`'s, ends the job like Ctrl-C: what is in flight is dropped, then exit 5."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not the main thread: a notebook's or a test's business
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def open_lake(root: str, app: str) -> Lake:
    """The lake at `root`, on a session made for `app`."""
    from speechlake.lake import Lake
    from speechlake.session import spark_session

    return Lake(spark_session(app), root)


def _on_lake(
    lake: Lake, call: Callable[[Lake, argparse.Namespace], Report], parsed: argparse.Namespace
) -> Report:
    """`call`; what broke the lake from outside, or was raised on a worker, is told in words of ours."""
    from speechlake.damage import damage_of

    try:
        return call(lake, parsed)
    except SpeechlakeError:
        raise
    except Exception as error:
        damage = damage_of(lake, error)
        if damage is None:
            raise
        raise damage from error


def existing(lake: Lake) -> Lake:
    """`lake`, for jobs that start from what others wrote; UsageError where nothing was ever ingested."""
    if not lake.exists("manifests"):
        raise UsageError(
            f"there is no lake at {lake.root}", hint="Check --lake; `speechlake ingest-manifests` makes one."
        )
    return lake


def print_result(report: Report, seconds: float) -> None:
    """The last line of stdout."""
    said = {
        "job": report.job,
        "run_id": report.run_id,
        "outcome": report.outcome,
        "counts": report.counts,
        "seconds": round(seconds, 1),
        "next": cli.spelled(report.next_step),
        **report.more,
    }
    sys.stderr.flush()
    print(json.dumps(said, ensure_ascii=False, default=str), flush=True)


def _guarded(name: str, call: Callable[[], Report]) -> tuple[Report, int]:
    """Run `call`; errors become a line for people and an exit code for schedulers."""
    try:
        report = call()
    except (KeyboardInterrupt, Exception) as error:
        if _is_interrupt(error):
            logs.say("Interrupted. The same command again finishes the job.")
            return Report(name, outcome="interrupted"), 5
        if isinstance(error, SpeechlakeError):
            logs.say(shown_lines(error))
            return Report(name, outcome=type(error).__name__), error.exit_code
        _print_internal(error)
        return Report(name, outcome=type(error).__name__), 5
    if report.refusal is not None:
        logs.say(shown_lines(report.refusal))
        return report, report.refusal.exit_code
    return report, 0


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether an interrupt is what began it: where Java was ended by the same signal, letting go of a lake fails too."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _print_internal(error: BaseException) -> None:
    """Where in our code it happened, and what was said; Java's own hundred lines help nobody."""
    said = [line for line in str(error).splitlines() if line.strip() and not line.startswith("\tat ")]
    if len(said) > 2 * ERROR_LINES:
        said = [*said[:ERROR_LINES], "…", *said[-ERROR_LINES:]]
    where = "".join(traceback.format_tb(error.__traceback__))
    logs.say(f"{where}{type(error).__name__}: " + "\n".join(said))


def corpora_of(lake: Lake, corpus: str | None) -> list[str]:
    """The corpora a job works on, sorted: the one named, else all; UsageError for an unknown name."""
    known = sorted(row.corpus for row in lake.few("corpora"))
    if corpus is None:
        if not known:
            raise UsageError(
                f"the lake {lake.root} holds no corpus", hint="Start with `speechlake ingest-manifests`."
            )
        return known
    if corpus not in known:
        raise UsageError(
            f"there is no corpus {corpus!r} in {lake.root}", hint=f"Corpora: {', '.join(known) or 'none'}."
        )
    return [corpus]
