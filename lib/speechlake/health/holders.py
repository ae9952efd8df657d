"""Who holds the lake's locks, and what killed runs left behind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from speechlake.health.finding import Finding, Patient, fine, look, together
from speechlake.locks import Held, held
from speechlake.staging import safe_name

# A job that holds its lock for longer has hours of audio to measure, or hangs.
LONG_S = 24 * 3600.0


def locks(patient: Patient) -> Finding:
    """Locks that a process holds now. Their files stay behind and mean nothing by themselves."""
    if patient.folder is None:
        return fine("locks", "none on an object store: a fence takes their place")
    found = [*_held(patient.folder)]
    told = [f"{lock.name}: {lock.who} (pid {lock.pid})" for lock in found]
    long = [lock.name for lock in found if time.time() - lock.since > LONG_S]
    if long:
        fix = "If they do nothing, end them: the lock ends with the process, and the same command goes on."
        return look("locks", f"held for more than a day: {', '.join(long)}; {'; '.join(told)}", fix)
    return fine("locks", f"held now: {'; '.join(told)}" if told else "none is held")


def stages(patient: Patient) -> Finding:
    """Stages without a run that holds their job and scope: left by a kill, and taken up by the next run."""
    if patient.folder is None:
        return fine("stages", "not looked at on an object store")
    at_work = {lock.name for lock in _held(patient.folder)}
    found = []
    for job, scope in _staged(patient.folder / "_staging"):
        if f"{job}.{safe_name(scope)}" not in at_work:
            told = f"a run of {job} on {scope} was ended before its work was committed"
            found.append(look("stages", told, "Run the same command again: it takes up what is complete."))
    return together("stages", found, "nothing was left behind")


def _held(lake: Path) -> Iterator[Held]:
    """Every lock that is held; a file that we may not read says nothing."""
    for path in sorted((lake / "_locks").glob("*.lock")):
        try:
            lock = held(path)
        except OSError:
            continue
        if lock is not None:
            yield lock


def _staged(staging: Path) -> Iterator[tuple[str, str]]:
    """(job, scope) with something staged; a plan or listing, `<job>.<kind>`, is its job's."""
    found = {
        (job.name.partition(".")[0], scope.name)
        for job in staging.glob("*")
        for scope in job.glob("*")
        if any(path.is_file() for path in scope.rglob("*"))
    }
    yield from sorted(found)
