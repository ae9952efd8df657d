"""Stages: what is dear to compute goes to plain Parquet first, is committed from there, then deleted.

`<lake>/_staging/<job>/<scope>/<digest>/<run_id>/` is complete when Spark's success marker is there.
The note beside the run's folder holds what a later run needs to commit it, and which version of the code wrote
it; it is written first and deleted first: a folder without a note is never adopted. Nor is one of another
version, whose columns need not fit the tables of this one: what it holds is computed again.

Where a lock says that nobody else runs, what is incomplete is dead. On object stores another driver may be
writing it: Spark would mark as complete what is left of a folder that was deleted meanwhile, and rows would be
lost. There, what is young is left alone, and a writer or reader whose note is gone says so.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from speechlake import __version__, faults
from speechlake.errors import Overtaken
from speechlake.files import Files, as_is
from speechlake.schemas.contract import CONTRACT

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# On an object store, what is incomplete and older than this is nobody's. The parse of a large corpus may take
# hours, a chunk takes minutes.
DEAD_AFTER_S = 7 * 24 * 3600.0
WRITTEN_BY = "written_by"
VERSION = f"{__version__}, contract {CONTRACT}"
# Jobs whose stages have to be finished, whichever version began: half of somebody may be erased by then.
ANY_VERSION = ("erase-speakers",)


@dataclass(frozen=True)
class Stage:
    """One output of one run, with the note that says how to commit it."""

    path: str
    digest: str
    run_id: str
    note: Mapping[str, Any]


@dataclass(frozen=True)
class Left:
    """What a run left under `_staging`: a stage, complete or not, or what is never adopted, a plan or listing."""

    path: str
    job: str
    scope: str
    run_id: str
    complete: bool
    made_anew: bool


class Staging:
    """The stages of one (job, scope); `locked`: a lock keeps all other drivers from them."""

    def __init__(
        self, spark: SparkSession, lake_root: str, job: str, scope: str, *, locked: bool = True
    ) -> None:
        self._spark = spark
        self._files = Files(spark)
        self._locked = locked
        self._root, self._job, self._scope = f"{lake_root}/_staging", job, safe_name(scope)
        self._folder = f"{self._root}/{job}/{self._scope}"

    def write(self, digest: str, run_id: str, frame: DataFrame, note: Mapping[str, Any]) -> Stage:
        """Compute `frame` once, into a stage. Interrupted, it leaves an incomplete stage, which is deleted later."""
        path = f"{self._folder}/{digest}/{run_id}"
        faults.point("before:stage")
        self._files.write_text(f"{path}.json", json.dumps({**note, WRITTEN_BY: VERSION}))
        faults.point("noted:stage")
        frame.write.mode("overwrite").parquet(path)
        self._require_note(path)
        faults.point("after:stage")
        return Stage(path, digest, run_id, note)

    def read(self, stage: Stage) -> DataFrame:
        """The staged rows, all of them; Overtaken where another driver has begun to delete the stage."""
        frame = self._spark.read.parquet(as_is(stage.path))
        # The files were listed by now, and a deletion begins with the note.
        self._require_note(stage.path)
        return frame

    def complete(self) -> Iterator[Stage]:
        """Every complete stage of this scope, whatever its digest; others are deleted on the way."""
        for digest in self._files.folders(self._folder):
            for run_id in self._files.folders(f"{self._folder}/{digest}"):
                path = f"{self._folder}/{digest}/{run_id}"
                # Killed early, a run leaves a note of no text: what it says is asked of a complete stage alone.
                complete = self._files.exists(f"{path}/_SUCCESS")
                if complete and (note := self._note(path)) is not None:
                    yield Stage(path, digest, run_id, note)
                elif self._locked or self._is_dead(path):
                    self._files.delete(f"{path}.json")
                    self._files.delete(path)

    def delete(self, stage: Stage) -> None:
        """Forget a stage: all its tables have landed."""
        # The note first: without it, what a kill leaves of the folder counts as incomplete.
        faults.point("before:delete")
        self._files.delete(f"{stage.path}.json")
        faults.point("unnoted:delete")
        self._files.delete(stage.path)
        faults.point("after:delete")

    def clear(self) -> None:
        """Delete the folder of this scope, emptied by its holder, where nobody else may be filling it."""
        if self._locked:
            self._files.delete(self._folder)

    def scratch(self, kind: str, run_id: str) -> str:
        """Where a run keeps what only itself reads, such as its plan: never adopted."""
        return f"{self._scratches(kind)}/{run_id}"

    def has(self, path: str) -> bool:
        """Whether a scratch was written there."""
        return self._files.exists(path)

    def drop_scratch(self, kind: str, run_id: str) -> None:
        """Delete this run's scratch of a kind, and what dead runs of this scope left of it."""
        if self._locked:
            self._files.delete(self._scratches(kind))
            return
        for other in self._files.folders(self._scratches(kind)):
            path = f"{self._scratches(kind)}/{other}"
            # Of what was never completed nobody knows the age here; it is left to upkeep.
            if other == run_id or DEAD_AFTER_S < self._files.age_s(path) < math.inf:
                self._files.delete(path)

    def _note(self, path: str) -> dict[str, Any] | None:
        """What the note of a stage says; None where there is none that can be read, or one of another version of the
        code."""
        if not self._files.exists(f"{path}.json"):
            return None
        try:
            note: dict[str, Any] = json.loads(self._files.read_text(f"{path}.json"))
        except ValueError:
            return None
        written_by = note.pop(WRITTEN_BY, None)
        return note if written_by == VERSION or self._job in ANY_VERSION else None

    def _require_note(self, path: str) -> None:
        if not self._locked and not self._files.exists(f"{path}.json"):
            raise Overtaken(
                f"the stage {path} was deleted by another driver",
                hint="Nothing was lost or doubled. See that only one driver runs this job and scope, then run again.",
            )

    def _scratches(self, kind: str) -> str:
        return f"{self._root}/{self._job}.{kind}/{self._scope}"

    def _is_dead(self, path: str) -> bool:
        note = f"{path}.json"
        return not self._files.exists(note) or self._files.age_s(note) > DEAD_AFTER_S


def half_erased(files: Files, lake_root: str) -> bool:
    """True where an erasure was staged and is not at its end: somebody is gone from some tables and not from others."""
    return any(left.complete for left in left_by_runs(files, lake_root, ANY_VERSION))


def left_by_runs(files: Files, lake_root: str, jobs: Sequence[str] = ()) -> Iterator[Left]:
    """Everything under `_staging`, of running and of dead runs: of `jobs`, or of all."""
    for folder in jobs or files.folders(f"{lake_root}/_staging"):
        # `<job>.plan` and `<job>.listing` belong to the holder of the job too, and are made anew by each run.
        job, _, apart = folder.partition(".")
        for scope in files.folders(f"{lake_root}/_staging/{folder}"):
            place = f"{lake_root}/_staging/{folder}/{scope}"
            within = [place] if apart else [f"{place}/{digest}" for digest in files.folders(place)]
            for path in within:
                for run_id, complete in _runs(files, path):
                    yield Left(f"{path}/{run_id}", job, scope, run_id, complete and not apart, bool(apart))


def _runs(files: Files, path: str) -> Iterator[tuple[str, bool]]:
    """Runs that left a folder, a note, or both, and whether that is a complete stage."""
    entries = files.entries(path)
    folders = {entry.name for entry in entries if entry.is_folder}
    notes = {entry.name.removesuffix(".json") for entry in entries if entry.name.endswith(".json")}
    for run_id in sorted(folders | notes):
        yield run_id, run_id in folders & notes and files.exists(f"{path}/{run_id}/_SUCCESS")


def safe_name(name: str) -> str:
    """`name` for a folder or lock file; names of corpora and schemes are already strict."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)
