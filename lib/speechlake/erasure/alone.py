"""Working alone: no other job of this machine reads, stages or commits while somebody is erased.

On object stores there are no locks: there, whoever starts the erasure sees that nothing else runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from speechlake import logs
from speechlake.ledger import OF_A_CORPUS

if TYPE_CHECKING:
    from speechlake.hold import Hold

OF_LAKE = ("find-duplicates", "calibrate", "profile", "maintain-tables", "repair-table", "upgrade-lake")


@contextmanager
def alone(hold: Hold, wait_s: float) -> Iterator[None]:
    """Hold every (job, scope) that there is or ever was; Busy names who works.

    Who begins in a new one looks for the erasure (`Hold`), and waits.
    """
    with ExitStack() as stack:
        for job, scope in sorted(_others(hold)) if hold.lake.is_local else ():
            stack.enter_context(hold.lake.hold(job, scope, hold.run_id, wait_s=wait_s))
        # Each hold has noted the other job as the one at work.
        logs.note_run(hold.job, hold.scope, hold.run_id)
        yield


def _others(hold: Hold) -> set[tuple[str, str]]:
    lake = hold.lake
    corpora = [row.corpus for row in lake.read("corpora").select("corpus").collect()]
    known = {(job, corpus) for job in OF_A_CORPUS for corpus in corpora} | {(job, "lake") for job in OF_LAKE}
    ran = {name.removesuffix(".lock").partition(".") for name in lake.files.names(f"{lake.root}/_locks")}
    before = {(job, scope) for job, _, scope in ran if job != "table" and scope}
    return (known | before) - {(hold.job, hold.scope)}


def drop_locks(hold: Hold, scopes: set[str]) -> None:
    """Delete the lock files of scopes that are no more: they are called after them. Those of tables say who took
    them last: that is this run now.
    """
    lake = hold.lake
    folder = f"{lake.root}/_locks"
    for name in lake.files.names(folder) if scopes else ():
        kind, _, of = name.removesuffix(".lock").partition(".")
        if kind == "table":
            with hold.table_lock(of):
                pass
        elif of in scopes:
            lake.files.delete(f"{folder}/{name}")
