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

from speechlake import faults
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


class Staging:
    """The stages of one (job, scope)."""

    def __init__(self, spark: SparkSession, lake_root: str, job: str, scope: str) -> None:
        self._spark = spark
        self._files = Files(spark)
        self._folder = f"{lake_root}/_staging/{job}/{safe_name(scope)}"

    def write(self, digest: str, run_id: str, frame: DataFrame, note: Mapping[str, Any]) -> Stage:
        """Compute `frame` once, into a stage. Interrupted, it leaves an incomplete stage, which is deleted later."""
        path = f"{self._folder}/{digest}/{run_id}"
        faults.point("before:stage")
        self._files.write_text(f"{path}.json", json.dumps(note))
        faults.point("noted:stage")
        frame.write.mode("overwrite").parquet(path)
        faults.point("after:stage")
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
        faults.point("before:delete")
        self._files.delete(f"{stage.path}.json")
        faults.point("unnoted:delete")
        self._files.delete(stage.path)
        faults.point("after:delete")

    def clear(self) -> None:
        """Delete the folder of this scope, emptied by its holder."""
        self._files.delete(self._folder)


def safe_name(name: str) -> str:
    """`name` for a folder or lock file; names of corpora and schemes are already strict."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)
