"""The runs ledger: what every job did, and whether there is anything left to do.

A job ends at once when its arguments, code and fingerprints equal its last successful run's, each table
is as that run read or itself wrote it, and nothing is left to retry.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from speechlake import __version__, watching
from speechlake.contracts import rows_of
from speechlake.hold import Hold
from speechlake.ids import canonical_json
from speechlake.schemas import RUNS, TABLES

if TYPE_CHECKING:
    from pyspark.sql import Row

    from speechlake.lake import Lake, Note

# Of so many commits it is asked whose they were; beyond, the table counts as changed, because a job that finds
# out by itself that there is nothing to do takes no longer than reading more.
COMMITS_LOOKED_AT = 2_000
# Commits that change no row that anybody reads: a table's first, Delta's own upkeep, and all that our job for it does.
TIDYING = ("CREATE TABLE", "OPTIMIZE", "VACUUM START", "VACUUM END")
UPKEEP = "maintain-tables"
# Jobs whose scope is a corpus, of which alone they change rows. An import's scope is its own name.
OF_A_CORPUS = ("ingest-manifests", "segment-recordings", "extract-signals", "score-transcripts")


def new_run_id() -> str:
    """A key that sorts by time: `20261124T021500-1f6a90`."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


@dataclass
class Run:
    """One run of a job on a scope, as it will stand in `runs`."""

    job: str
    scope: str
    arguments: Mapping[str, Any]
    # Reads rows of its corpus only: what other corpora's runs commit does not concern it.
    by_corpus: bool = False
    # What it makes stays as it is when the job runs with other arguments: a published release does.
    lasting: bool = False
    run_id: str = field(default_factory=new_run_id)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    # The clock of the machine may be set while a run goes on; this one only goes forward.
    began_s: float = field(default_factory=time.monotonic, repr=False)
    versions_read: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    left_to_retry: int = 0
    rows_in: int = 0
    rows_out: int = 0
    audio_s_in: float = 0.0
    audio_s_out: float = 0.0
    model_loads: int = 0
    cpu_s: float = 0.0
    device_s: float = 0.0
    bytes_read: int = 0

    @property
    def digest(self) -> str:
        """Digest of all that a run depends on besides tables."""
        said = {"job": self.job, "arguments": dict(self.arguments), "code": __version__}
        return hashlib.sha256(canonical_json(said).encode()).hexdigest()

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return time.monotonic() - self.began_s

    def reads(self, lake: Lake, tables: Sequence[str]) -> None:
        """Remember the versions of `tables`, before anything is read from them; -1: not written yet."""
        found = {name: lake.version(name) for name in tables}
        self.versions_read = {name: -1 if version is None else version for name, version in found.items()}

    def is_news(self, hold: Hold) -> bool:
        """True where the ledger lacks this run: it wrote something, no run did the same before, or the last one left
        something to retry and this one nothing, or the other way round. One that is killed between its last table
        and its row here leaves all done, and nothing that says so."""
        if hold.versions_written:
            return True
        last = _last_done(hold.lake, self)
        # How many is no news: a run that took up a killed one's stage counts its failures and its own.
        return last is None or bool(last.left_to_retry) != bool(self.left_to_retry)

    def finish(self, hold: Hold, outcome: str = "done") -> None:
        """Append this run to the ledger."""
        row = {
            "run_id": self.run_id,
            "job": self.job,
            "scope": self.scope,
            "arguments": canonical_json(dict(self.arguments)),
            "arguments_sha256": self.digest,
            "code_version": __version__,
            "outcome": outcome,
            "left_to_retry": self.left_to_retry,
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "audio_s_in": self.audio_s_in,
            "audio_s_out": self.audio_s_out,
            "versions_read": self.versions_read,
            "versions_written": dict(hold.versions_written),
            "counts": self.counts,
            "model_loads": self.model_loads,
            "cpu_s": self.cpu_s,
            "device_s": self.device_s,
            "bytes_read": self.bytes_read,
            "price": None,
            "started_at": self.started_at,
            "finished_at": self.started_at + timedelta(seconds=self.seconds),
        }
        hold.append_missing("runs", rows_of(hold.lake.spark, RUNS, [row]), fresh=True, expected=1)
        watching.run_ended(self, outcome)


def nothing_to_do(lake: Lake, run: Run) -> bool:
    """True when the last successful run of this job and scope with these arguments saw and left the lake as it is now."""
    last = _last_done(lake, run)
    return last is not None and not last.left_to_retry and _is_as_left(lake, run, last)


def _is_as_left(lake: Lake, run: Run, last: Row) -> bool:
    """Whether the tables are as `last`, a row of `runs`, read them, but for what it wrote itself."""
    # Since it read: what others committed before its own last commit, it has not seen.
    since = {**last.versions_written, **last.versions_read}
    since.pop("runs", None)
    corpus = run.scope if run.by_corpus else None
    idle = (UPKEEP, run.job) if run.lasting else (UPKEEP,)
    return all(
        unchanged(lake, name, version, corpus, idle, own=last.run_id) and holds_what_it_saw(lake, name, last)
        for name, version in since.items()
    )


def holds_what_it_saw(lake: Lake, name: str, last: Row) -> bool:
    """False where the table lacks the commit that the run `last`, a row of `runs`, made in it, or the newest it read:
    its folder was put back from a copy, or made anew, and others may have written as many versions since.

    A commit that Delta's log no longer tells of counts as there.
    """
    read, written = (versions.get(name, -1) for versions in (last.versions_read, last.versions_written))
    if written >= 0:
        own = lake.note(name, written)
        if own is None or (own.operation is not None and run_of(own.said) != last.run_id):
            return False
    if read <= written:
        return True
    # It read what others wrote, maybe after its own: it took up a stage first.
    newest, ended_ms = lake.note(name, read), last.finished_at.timestamp() * 1000
    return newest is not None and (newest.at_ms is None or newest.at_ms <= ended_ms)


def last_run(
    lake: Lake, job: str, scope: str, *, digest: str | None = None, done: bool = False
) -> Row | None:
    """The newest row of `runs` of a job and scope: of these arguments (`Run.digest`) or any, `done` or of any outcome."""
    from pyspark.sql import functions as F

    if not lake.exists("runs"):
        return None
    runs = lake.read("runs").where((F.col("job") == job) & (F.col("scope") == scope))
    runs = runs if digest is None else runs.where(F.col("arguments_sha256") == digest)
    runs = runs.where(F.col("outcome") == "done") if done else runs
    last = runs.orderBy(F.col("finished_at").desc(), "run_id").limit(1).collect()
    return last[0] if last else None


def _last_done(lake: Lake, run: Run) -> Row | None:
    """The row of the last successful run of this job and scope with these arguments."""
    return last_run(lake, run.job, run.scope, digest=run.digest, done=True)


def unchanged(
    lake: Lake, name: str, since: int, corpus: str | None, idle: Sequence[str] = (UPKEEP,), *, own: str = ""
) -> bool:
    """True when no commit after version `since`, -1 before the first, concerns `corpus`, or, where that is None, anybody.

    In a table with a corpus column, the commits of jobs OF_A_CORPUS that ran for others do not concern this corpus;
    those of `idle` jobs concern nobody, nor do those of the run `own`. Commits by hand carry no note and count, as do
    those that the log no longer holds.
    """
    now = lake.version(name)
    if now is None or now == since:
        return now is not None or since == -1
    if now < since or now - since > COMMITS_LOOKED_AT:
        return False
    mine = corpus if "corpus" in TABLES[name].column_names else None
    return not any(_concerns(note, mine, idle, own) for note in lake.notes(name, since))


def _concerns(note: Note, corpus: str | None, idle: Sequence[str], own: str) -> bool:
    """Whether a commit may have changed rows of `corpus`, or, where that is None, any row."""
    try:
        said = json.loads(note.said or "")
        job, scope, run_id = str(said["job"]), str(said["scope"]), str(said["run_id"])
    except (KeyError, ValueError, TypeError):
        job = scope = run_id = ""
    if note.operation in TIDYING or job in idle or (own and run_id == own):
        return False
    return corpus is None or scope == corpus or job not in OF_A_CORPUS


def run_of(said: str | None) -> str | None:
    """The run that wrote `said` beside its commit; None for anything else."""
    try:
        return str(json.loads(said or "")["run_id"])
    except (ValueError, TypeError, KeyError):
        return None
