"""What people did to tables beside the jobs: RESTORE, DELETE, a repair, a folder put back from a copy.

Jobs that skip what they know to be done (a manifest that was parsed, an utterance that was looked up) ask here
whether a table still holds what they wrote. Every commit of a job carries a note; a commit without one that may
have changed rows was made by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from speechlake.ledger import Run, holds_what_it_saw, last_run, run_of

if TYPE_CHECKING:
    from pyspark.sql import Row

    from speechlake.lake import Lake

# Operations of Delta that move rows, or forget old files, and change no row.
HARMLESS: Final = frozenset(
    {
        *("CREATE TABLE", "OPTIMIZE", "REORG", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES"),
        *("UNSET TBLPROPERTIES", "ADD CONSTRAINT", "UPGRADE PROTOCOL", "COMPUTE STATS", "CHANGE COLUMN"),
    }
)


def changed_by_hand(lake: Lake, run: Run, tables: Sequence[str]) -> list[str]:
    """Those of `tables` that somebody changed by hand since the last run of this job and scope with these arguments,
    or ever without one: a run of other arguments has looked at other sources.

    A table that lacks what that run saw, or is gone, counts. What Delta's log no longer tells (30 days by
    default) does not.
    """
    last = last_run(lake, run.job, run.scope, digest=run.digest)
    return [name for name in tables if _is_changed(lake, name, last)]


def changed_since_any_run(lake: Lake, run: Run, name: str) -> bool:
    """As `changed_by_hand` of one table, since the last run of this job and scope whatever its arguments."""
    return _is_changed(lake, name, last_run(lake, run.job, run.scope))


def _is_changed(lake: Lake, name: str, last: Row | None) -> bool:
    """Whether anybody changed the table by hand since `last` read it, or put another in its place."""
    if last is not None and not holds_what_it_saw(lake, name, last):
        return True
    # While it ran, others may have changed what it had read.
    since = {**last.versions_written, **last.versions_read}.get(name, -1) if last is not None else -1
    return any(
        note.operation is not None and note.operation not in HARMLESS and run_of(note.said) is None
        for note in lake.notes(name, since)
    )
