"""Who holds the lake's locks, and what killed runs left behind."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from speechlake.health.finding import Finding, Patient, fine, look, together
from speechlake.staging import safe_name

# `struct flock` of Linux: type, whence, start, length, pid.
_FLOCK = "hhqqi4x"
# A job that holds its lock for longer has hours of audio to measure, or hangs.
LONG_S = 24 * 3600.0


def locks(patient: Patient) -> Finding:
    """Locks that a process holds now. Their files stay behind and mean nothing by themselves."""
    if patient.folder is None:
        return fine("locks", "none on an object store: a fence takes their place")
    held = [*_held(patient.folder)]
    told = [f"{path.stem}: {_who(path)} (pid {pid})" for path, pid, _ in held]
    long = [path.stem for path, _, since in held if time.time() - since > LONG_S]
    if long:
        fix = "If they do nothing, end them: the lock ends with the process, and the same command goes on."
        return look("locks", f"held for more than a day: {', '.join(long)}; {'; '.join(told)}", fix)
    return fine("locks", f"held now: {'; '.join(told)}" if told else "none is held")


def stages(patient: Patient) -> Finding:
    """Stages without a run that holds their job and scope: left by a kill, and taken up by the next run."""
    if patient.folder is None:
        return fine("stages", "not looked at on an object store")
    held = {path.stem for path, _, _ in _held(patient.folder)}
    found = []
    for job, scope in _staged(patient.folder / "_staging"):
        if f"{job}.{safe_name(scope)}" not in held:
            told = f"a run of {job} on {scope} was ended before its work was committed"
            found.append(look("stages", told, "Run the same command again: it takes up what is complete."))
    return together("stages", found, "nothing was left behind")


def _held(lake: Path) -> Iterator[tuple[Path, int, float]]:
    """(file, pid of its holder, since when) of every lock that is held; asking takes no lock and breaks none."""
    for path in sorted((lake / "_locks").glob("*.lock")):
        try:
            fd = os.open(path, os.O_RDONLY)
        except OSError:
            continue
        try:
            asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
            if kind != fcntl.F_UNLCK:
                yield path, pid, os.fstat(fd).st_mtime
        finally:
            os.close(fd)


def _who(path: Path) -> str:
    try:
        return str(json.loads(path.read_text())["who"])
    except (OSError, ValueError, KeyError):
        return "another process"


def _staged(staging: Path) -> Iterator[tuple[str, str]]:
    """(job, scope) with something staged; a plan is its job's."""
    found = {
        (job.name.removesuffix(".plan"), scope.name)
        for job in staging.glob("*")
        for scope in job.glob("*")
        if any(path.is_file() for path in scope.rglob("*"))
    }
    yield from sorted(found)
