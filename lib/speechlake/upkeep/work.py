"""What upkeep finds to do, and what it must know to find it: who runs, and how far back files are spared."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from speechlake.ledger import UPKEEP
from speechlake.locks import held_locks
from speechlake.staging import Left, left_by_runs

if TYPE_CHECKING:
    from speechlake.hold import Hold
    from speechlake.lake import Lake

# A lock file's time may lag behind the clock that stamps files.
MARGIN_S = 60.0


@dataclass(frozen=True)
class Work:
    """A piece of work: what it is about (a table, a scope, builds), how much is planned, and how it is done.

    `do` answers the counts of what was done, named like the planned ones.
    """

    step: str
    about: str
    planned: Mapping[str, int]
    do: Callable[[Hold], Mapping[str, int]]


@dataclass(frozen=True)
class Running:
    """A job that runs, or may run, since a moment in seconds since 1970."""

    job: str
    scope: str
    who: str
    since: float


@dataclass(frozen=True)
class Upkeep:
    """A lake under upkeep: files are spared that a version of the last `retention_s` seconds held."""

    lake: Lake
    retention_s: float
    # Start of the earliest run that ended within the retention; what it read can be read again. None: there is none.
    runs_since: float | None = None
    left: list[str] = field(default_factory=list)

    def running(self) -> list[Running]:
        """Who runs now: on local disks the holders of locks, elsewhere whoever touched a stage within the retention."""
        if self.lake.is_local:
            names = [(*held.name.partition("."), held) for held in held_locks(self.lake.root)]
            return [
                Running(job, scope, held.who, held.since)
                for job, _, scope, held in names
                if job not in ("table", UPKEEP)
            ]
        touched = self.lake.files.touched
        left = [(each, max(touched(each.path), touched(f"{each.path}.json"))) for each in self.left_by_runs()]
        return [
            Running(each.job, each.scope, f"run {each.run_id} of {each.job} on {each.scope}", last)
            for each, last in left
            if last > time.time() - self.retention_s
        ]

    def left_by_runs(self) -> list[Left]:
        """What runs left under `_staging`, but for what the next run of the same job makes anew where nothing tells who runs."""
        left = left_by_runs(self.lake.files, self.lake.root)
        return [each for each in left if self.lake.is_local or not each.made_anew]

    def spared_s(self, kept_by_log_s: float) -> float | None:
        """For how long files of a table are spared, whose log remembers `kept_by_log_s`; None: all, for now.

        Beyond what the log remembers nothing can be spared file by file: while a job runs that long, none goes.
        """
        now = time.time()
        ended = 0.0 if self.runs_since is None else now - self.runs_since
        asked = min(max(self.retention_s, ended), kept_by_log_s)
        in_use = max((now - each.since + MARGIN_S for each in self.running()), default=0.0)
        return None if in_use > kept_by_log_s else max(asked, in_use)


LakeStep = Callable[[Upkeep], Iterator[Work]]
TableStep = Callable[[Upkeep, str], Iterator[Work]]


def upkeep_of(lake: Lake, retention_s: float) -> Upkeep:
    """The upkeep of a lake, which knows what ran in it lately."""
    return Upkeep(lake, retention_s, _runs_since(lake, retention_s))


def _runs_since(lake: Lake, retention_s: float) -> float | None:
    from pyspark.sql import functions as F

    ended = F.unix_timestamp("finished_at") >= time.time() - retention_s
    runs = lake.read("runs").where(ended)
    first = runs.agg(F.min(F.unix_timestamp("started_at")).alias("s")).collect()[0].s
    return None if first is None else float(first)
