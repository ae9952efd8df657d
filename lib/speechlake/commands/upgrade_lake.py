"""Upgrade a lake: tables of an older version -> tables with this version's contracts, rows kept.

One change of one table after another, each in one commit; ended in between, the same command goes on where it
was. Jobs of the lake must have ended, and refuse to start until it is done. There is no way back: what an older
version is to open must be copied before.

    spark-submit --py-files dist/speechlake.zip jobs/upgrade_lake.py --lake s3a://corpus/lake --plan
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from speechlake import job
from speechlake.errors import Busy, LakeMismatch
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.lake_version import UNNUMBERED, mark, unmark, version_of
from speechlake.ledger import Run
from speechlake.locks import held_locks
from speechlake.progress import Progress
from speechlake.schemas.contract import CONTRACT
from speechlake.terminal import console, show
from speechlake.upgrade import MIGRATIONS
from speechlake.upgrade.change import Change

if TYPE_CHECKING:
    from rich.console import Console

NAME = "upgrade-lake"


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument("--plan", action="store_true", help="say what would be done, and do nothing")
    job.add_wait(made)
    return made


def run(lake: Lake, *, wait_s: float = 0.0, progress: Progress) -> Report:
    """Bring `lake` (made with `any_version`) to this code's version; a version counts once all its changes are made."""
    before = _known_version(lake)
    this = Run(NAME, "lake", {"from": before, "to": CONTRACT})
    with lake.hold(NAME, "lake", this.run_id, wait_s=wait_s) as hold:
        if version_of(lake) == CONTRACT:
            progress.say(f"nothing to do: {lake.root} has contract version {CONTRACT}")
            return Report(NAME, "nothing to do", this.run_id, {"version": CONTRACT})
        # From now on no job starts, not even one that would find nothing wrong with the tables that it reads.
        # Before the look at who runs: a job takes its lock, then reads the mark, so that one of the two sees the other.
        numbered = version_of(lake) is not None
        mark(lake, before)
        try:
            _refuse_running(lake)
        except Busy:
            # A lake without a number is open to all code, and stays so while nobody changes it.
            if not numbered:
                unmark(lake, before)
            raise
        changed = 0
        for version in range(before + 1, CONTRACT + 1):
            for change in MIGRATIONS[version](lake):
                change.make(hold)
                changed += 1
                progress.say(f"{change.table}: {change.what}")
            mark(lake, version)
        this.counts = {"from": before, "to": CONTRACT, "changes": changed}
        if changed:
            this.finish(hold)
    progress.say(f"{lake.root} has contract version {CONTRACT}")
    return Report(NAME, "done", this.run_id, this.counts, f"speechlake report --lake {lake.root}")


def plan(lake: Lake, *, out: Console | None = None) -> Report:
    """Print what would be done, and do nothing."""
    out = out or console()
    before = _known_version(lake)
    changes = list(_lacking(lake, before))
    title = f"{lake.root}: from contract version {before} to {CONTRACT}"
    if changes:
        show(out, title, ["to", "table", "change"], [[v, c.table, c.what] for v, c in changes])
    else:
        same = version_of(lake) == CONTRACT
        out.print("nothing to do" if same else f"{title}: no table must change, only the number")
    return Report(NAME, "planned", None, {"from": before, "to": CONTRACT, "changes": len(changes)})


def _lacking(lake: Lake, before: int) -> Iterator[tuple[int, Change]]:
    for version in range(before + 1, CONTRACT + 1):
        for change in MIGRATIONS[version](lake):
            yield version, change


def _known_version(lake: Lake) -> int:
    """The lake's version, that of lakes without a number included; LakeMismatch for one that is newer."""
    found = version_of(lake)
    version = UNNUMBERED if found is None else found
    if version > CONTRACT:
        raise LakeMismatch(
            f"the lake {lake.root} has contract version {version}, this code knows {CONTRACT}",
            hint="Install the version of speechlake that upgraded it; a lake is never brought back.",
        )
    return version


def _refuse_running(lake: Lake) -> None:
    """Busy while another job holds a lock; on object stores nothing tells."""
    held = held_locks(lake.root) if lake.is_local else []
    others = [each for each in held if not each.name.startswith((f"{NAME}.", "table."))]
    if others:
        raise Busy(
            f"{others[0].who} is under way in {lake.root}",
            hint="Wait for it, or end it: its tables change under it.",
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(NAME, arguments(), _call, argv)


def _call(lake: Lake, parsed: argparse.Namespace) -> Report:
    lake = job.existing(Lake(lake.spark, lake.root, any_version=True))
    return plan(lake) if parsed.plan else run(lake, wait_s=parsed.wait, progress=Progress())


if __name__ == "__main__":
    sys.exit(main())
