"""Maintain tables: a lake that is used daily -> the same rows in few files, without what nobody can use any more.

Deletes stages of dead runs, rows of builds that were never published, hashes of files as they were; compacts and
clusters tables, shortens their logs, and deletes files that no version within the retention holds. Spares what
runs, and the versions that recent runs read. Rows of releases stay as they are. Running it again changes nothing.

    spark-submit --py-files dist/speechlake.zip jobs/maintain_tables.py --lake s3a://corpus/lake --retention 7d
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from speechlake import job
from speechlake.commits import conflicts
from speechlake.damage import damage_of
from speechlake.errors import Conflict, SpeechlakeError, UsageError
from speechlake.hold import Hold
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.ledger import UPKEEP, Run
from speechlake.progress import Progress
from speechlake.terminal import console, show
from speechlake.upkeep import LAKE_STEPS, TABLE_STEPS
from speechlake.upkeep.durations import UNITS_S, duration_s
from speechlake.upkeep.work import Work, upkeep_of

if TYPE_CHECKING:
    from rich.console import Console

NAME = UPKEEP
RETENTION_S = 7.0 * UNITS_S["d"]
# Readers hold no locks; on object stores nor do jobs.
LEAST_LOCAL_S = 1.0 * UNITS_S["h"]
LEAST_ELSEWHERE_S = 1.0 * UNITS_S["d"]
# Exit codes of what no other try mends.
PERMANENT = (2, 3)


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument("--plan", action="store_true", help="say what would be done, and do nothing")
    made.add_argument(
        "--retention",
        type=duration_s,
        default=RETENTION_S,
        metavar="7d",
        help="spare files that a version of so many hours (h) or days (d) held; default 7d",
    )
    job.add_wait(made)
    return made


@dataclass
class _Done:
    """What was done so far: counts, and what there is to say of each table."""

    counts: Counter[str] = field(default_factory=Counter)
    tables: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    left: list[str] = field(default_factory=list)
    # (what failed, in words for whoever must mend it; None where there are none).
    failed: list[tuple[str, SpeechlakeError | None]] = field(default_factory=list)

    def refusal(self) -> SpeechlakeError | None:
        """What the command ends with; an error that a person must mend only where no other try helps any of them."""
        if not self.failed:
            return None
        told = f"upkeep of {', '.join(sorted({about for about, _ in self.failed}))} failed, all else is done"
        permanent = [error for _, error in self.failed if error is not None and error.exit_code in PERMANENT]
        if len(permanent) < len(self.failed):
            hint = "Look at what was said of it above; `speechlake verify-release` checks a release."
            return SpeechlakeError(told, hint=hint)
        return type(permanent[0])(f"{told}: {permanent[0].message}", hint=permanent[0].hint)


def run(lake: Lake, *, retention_s: float = RETENTION_S, wait_s: float = 0.0, progress: Progress) -> Report:
    """Do all that upkeep finds; what stands in the way of one table does not keep the others from it."""
    this = Run(NAME, "lake", {"retention_s": retention_s})
    done = _Done()
    with lake.hold(NAME, "lake", this.run_id, wait_s=wait_s) as hold:
        upkeep = upkeep_of(lake, retention_s)
        for step in LAKE_STEPS:
            _work_off(hold, step(upkeep), done, progress)
        names = list(lake.versions())
        for name in names:
            for table_step in TABLE_STEPS:
                _work_off(hold, table_step(upkeep, name), done, progress, table=name)
        worked = any(done.counts.values())
        this.counts = {name: n for name, n in sorted(done.counts.items()) if n}
        refusal = done.refusal()
        if worked:
            this.finish(hold, type(refusal).__name__ if refusal else "done")
    left = [*upkeep.left, *done.left]
    for reason in left:
        progress.say(reason)
    unchanged = len(names) - len(done.tables)
    counts = {**this.counts, "left": len(left), "unchanged": unchanged, "tables": dict(done.tables)}
    if not (worked or done.failed):
        progress.say("nothing to do")
    outcome = "failed" if done.failed else "done" if worked else "nothing to do"
    return Report(NAME, outcome, this.run_id, counts, refusal=refusal)


def _work_off(
    hold: Hold, works: Iterator[Work], done: _Done, progress: Progress, *, table: str | None = None
) -> None:
    """Do one piece after another; Conflict leaves the rest to the next upkeep, any other error is told and counted."""
    about = table or "the lake"
    others_write: tuple[type[Exception], ...] = (Conflict, *conflicts())
    try:
        for work in works:
            counts = work.do(hold)
            done.counts.update(counts)
            told = f"{work.step} {work.about}: {_told(counts)}"
            progress.say(told)
            if table:
                done.tables[table].append(f"{work.step}: {_told(counts)}")
    except Exception as error:
        ours = error if isinstance(error, SpeechlakeError) else damage_of(hold.lake, error)
        if isinstance(ours or error, others_write):
            done.left.append(f"{about} is left to the next upkeep: {str(ours or error).splitlines()[0]}")
            return
        said = f"{type(error).__name__}: {(str(error).strip() or '-').splitlines()[0]}"
        progress.say(f"{about}: {ours or said}")
        done.failed.append((about, ours))
        if table:
            done.tables[table].append("failed")


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in counts.items()) or "nothing"


def plan(lake: Lake, *, retention_s: float = RETENTION_S, out: Console | None = None) -> Report:
    """Print what upkeep would do, and do nothing. Files that it would compact are in use until the retention is over."""
    out = out or console()
    upkeep = upkeep_of(lake, retention_s)
    works = [work for step in LAKE_STEPS for work in step(upkeep)]
    works += [work for name in lake.versions() for step in TABLE_STEPS for work in step(upkeep, name)]
    if works:
        show(
            out,
            f"Upkeep of {lake.root} would do",
            ["step", "of", "what"],
            [[work.step, work.about, _told(work.planned)] for work in works],
        )
    for line in upkeep.left or ([] if works else [f"Upkeep of {lake.root} would find nothing to do."]):
        out.print(line)
    counts: Counter[str] = Counter()
    for work in works:
        counts.update(work.planned)
    return Report(NAME, "planned", None, {**counts, "left": len(upkeep.left)})


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(NAME, arguments(), _call, argv, read=_read)


def _read(parsed: argparse.Namespace) -> None:
    # What no place allows; where the lake lies is known to Spark.
    _require_retention(parsed.retention, LEAST_LOCAL_S)


def _require_retention(retention_s: float, least_s: float) -> None:
    if not least_s <= retention_s <= RETENTION_S:
        raise UsageError(
            f"--retention {retention_s / 3600:.0f}h: expected {least_s / 3600:.0f}h to {RETENTION_S / 3600:.0f}h",
            hint="Readers and jobs need files for a while; Delta forgets removed files after 7 days.",
        )


def _call(lake: Lake, parsed: argparse.Namespace) -> Report:
    _require_retention(parsed.retention, LEAST_LOCAL_S if lake.is_local else LEAST_ELSEWHERE_S)
    lake = job.existing(lake)
    if parsed.plan:
        return plan(lake, retention_s=parsed.retention)
    return run(lake, retention_s=parsed.retention, wait_s=parsed.wait, progress=Progress())


if __name__ == "__main__":
    sys.exit(main())
