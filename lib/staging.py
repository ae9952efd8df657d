"""Stages: what is dear to compute goes to plain Parquet first, is committed from there, then deleted.

`<lake>/_staging/<job>/<scope>/<digest>/<run_id>/` is complete when Spark's success marker is there.
The note beside the run's folder holds what a later run needs to commit it; it is written first and deleted
first: a folder without a note is never adopted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from speechlake.files import Files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


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
    """The stages of one (job, scope)."""

    def __init__(self, spark: SparkSession, lake_root: str, job: str, scope: str) -> None:
        self._spark = spark
        self._files = Files(spark)
        self._folder = f"{lake_root}/_staging/{job}/{safe_name(scope)}"

    def write(self, digest: str, run_id: str, frame: DataFrame, note: Mapping[str, Any]) -> Stage:
        """Compute `frame` once, into a stage. Interrupted, it leaves an incomplete stage, which is deleted later."""
        path = f"{self._folder}/{digest}/{run_id}"
        self._files.write_text(f"{path}.json", json.dumps(note))
        frame.write.mode("overwrite").parquet(path)
        return Stage(path, digest, run_id, note)

    def read(self, stage: Stage) -> DataFrame:
        """The staged rows."""
        return self._spark.read.parquet(stage.path)

    def complete(self) -> Iterator[Stage]:
        """Every complete stage of this scope, whatever its digest; incomplete ones are deleted on the way."""
        for digest in self._files.folders(self._folder):
            for run_id in self._files.folders(f"{self._folder}/{digest}"):
                path = f"{self._folder}/{digest}/{run_id}"
                if self._files.exists(f"{path}/_SUCCESS") and self._files.exists(f"{path}.json"):
                    yield Stage(path, digest, run_id, json.loads(self._files.read_text(f"{path}.json")))
                else:
                    self._files.delete(path)

    def delete(self, stage: Stage) -> None:
        """Forget a stage: all its tables have landed."""
        # The note first: without it, what a kill leaves of the folder counts as incomplete.
        self._files.delete(f"{stage.path}.json")
        self._files.delete(stage.path)

    def clear(self) -> None:
        """Delete the folder of this scope, emptied by its holder."""
        self._files.delete(self._folder)


def left_by_runs(files: Files, lake_root: str) -> Iterator[Left]:
    """Everything under `_staging`, of running and of dead runs."""
    for folder in files.folders(f"{lake_root}/_staging"):
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
