"""Repair table: a table forgets files that its log names and that are gone or cut short, so that it can be read again.

For a file that was removed by hand, or lost, and of which there is no copy. Its rows are gone; what jobs parse,
measure or compute, the same commands make again. Rows of releases they make again only while the same policy
still gives the same build: `verify-release` tells. Without TABLE, every table is looked at.

    spark-submit --py-files dist/speechlake.zip jobs/repair_table.py --lake s3a://corpus/lake signals_audio --plan
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from speechlake import job
from speechlake.config import near
from speechlake.errors import UsageError
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.ledger import Run
from speechlake.lost_files import forget_files, lost_files
from speechlake.progress import Progress
from speechlake.schemas import TABLES

NAME = "repair-table"


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument("table", nargs="*", metavar="TABLE", help="default: every table of the lake")
    made.add_argument("--plan", action="store_true", help="say what is missing, and stop")
    job.add_wait(made)
    return made


def run(
    lake: Lake, tables: Sequence[str], *, plan: bool = False, wait_s: float = 0.0, progress: Progress
) -> Report:
    """Forget the missing files of `tables`, or of all, and count them by table; UsageError for one that is none."""
    for name in tables:
        _require(lake, name)
    counts: dict[str, int] = {}
    this = Run(NAME, "lake", {"tables": sorted(tables)})
    with lake.hold(NAME, "lake", this.run_id, wait_s=wait_s) as hold:
        for name in tables or lake.versions():
            missing = lost_files(lake, name)
            if missing and not plan:
                forget_files(hold, name, set(missing))
            for file in missing:
                progress.say(f"{name}: {file} is gone or cut short" + ("" if plan else ", and forgotten"))
            counts |= {name: len(missing)} if missing else {}
        if counts and not plan:
            this.counts = {"files_missing": sum(counts.values())}
            this.finish(hold)
    outcome = "nothing to do" if not counts else "planned" if plan else "done"
    following = None
    if counts:
        same = f"speechlake repair-table --lake {lake.root} {' '.join(counts)}"
        following = same if plan else f"the commands that write {', '.join(counts)}, once more"
    return Report(NAME, outcome, this.run_id, {"files_missing": counts}, following)


def _require(lake: Lake, name: str) -> None:
    if name not in TABLES:
        hint = near(name, TABLES)
        raise UsageError(f"there is no table {name!r}", hint=hint[0].upper() + hint[1:])
    if not lake.exists(name):
        raise UsageError(f"table {name!r} was never written in {lake.root}", hint="Check --lake.")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(NAME, arguments(), _call, argv)


def _call(lake: Lake, parsed: argparse.Namespace) -> Report:
    return run(job.existing(lake), parsed.table, plan=parsed.plan, wait_s=parsed.wait, progress=Progress())


if __name__ == "__main__":
    sys.exit(main())
