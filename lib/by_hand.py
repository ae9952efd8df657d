"""What people did to tables beside the jobs: RESTORE, DELETE, a repair, a folder put back from a copy.

Jobs that skip what they know to be done (a manifest that was parsed, an utterance that was looked up) ask here
whether a table still holds what they wrote. Every commit of a job carries a note; a commit without one that may
have changed rows was made by hand.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from speechlake.ledger import Run

if TYPE_CHECKING:
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

    A table that is older than that run left it, or is gone, counts. What Delta's log no longer tells (30 days by
    default) does not.
    """
    read, written = _last_seen(lake, run)
    # While it ran, others may have changed what it had read.
    since = {**written, **read}
    return [name for name in tables if _is_changed(lake, name, since.get(name, -1), written.get(name, -1))]


def _last_seen(lake: Lake, run: Run) -> tuple[dict[str, int], dict[str, int]]:
    """Versions of tables that the last such run read, and those that it wrote."""
    from pyspark.sql import functions as F

    same = (
        (F.col("job") == run.job) & (F.col("scope") == run.scope) & (F.col("arguments_sha256") == run.digest)
    )
    last = lake.read("runs").where(same).orderBy(F.col("finished_at").desc(), "run_id").limit(1).collect()
    return (last[0].versions_read, last[0].versions_written) if last else ({}, {})


def _is_changed(lake: Lake, name: str, since: int, left: int) -> bool:
    """Whether anybody changed the table by hand after version `since`, or took it back to before `left`."""
    now, known = lake.version(name), max(since, left)
    if now is None or now < known:
        return known >= 0
    return any(
        operation not in HARMLESS and _note(said) is None
        for operation, said in lake.notes(name, since)
        if operation is not None
    )


def _note(said: str | None) -> object:
    """What a job of ours wrote beside its commit; None for anything else."""
    try:
        return json.loads(said or "")["run_id"]
    except (ValueError, TypeError, KeyError):
        return None
