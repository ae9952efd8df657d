"""The one writer of a (job, scope): stages, and commits that have landed only when the log shows it.

On local disks, whose Delta log store is not safe for several drivers, a file lock per (job, scope) and
one per table around every commit keep writers apart. On object stores a fence takes their place: a
transaction counter per table, read once before any data, advanced only by our own commits. Delta skips
a write whose counter was used already; the log then lacks our mark, and we were overtaken.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from speechlake import faults
from speechlake.commits import commit_info, conflicts, session_settings
from speechlake.contracts import conform, struct_of
from speechlake.errors import Conflict, Overtaken
from speechlake.locks import JvmLock
from speechlake.schemas import TABLES
from speechlake.staging import Stage, Staging, safe_name

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake

RETRIES = 8
# A commit lasts seconds; a table's lock that is held longer than this is a fault, not a queue.
TABLE_WAIT_S = 600.0
METADATA = "spark.databricks.delta.commitInfo.userMetadata"
TXN_APP = "spark.databricks.delta.write.txnAppId"
TXN_VERSION = "spark.databricks.delta.write.txnVersion"


class Hold:
    """Write access of one job to one scope; made by `Lake.hold`."""

    def __init__(
        self, lake: Lake, job: str, scope: str, run_id: str, *, wait_s: float, fenced: bool | None = None
    ) -> None:
        self.lake = lake
        self.job, self.scope, self.run_id = job, scope, run_id
        self.staging = Staging(lake.spark, lake.root, job, scope)
        self.versions_written: dict[str, int] = {}
        self._fenced = (not lake.is_local) if fenced is None else fenced
        self._counters: dict[str, int] = {}
        self._wait_s = wait_s
        self._lock: AbstractContextManager[object] = nullcontext()

    def __enter__(self) -> Hold:
        if self.lake.is_local:
            self._lock = self._file_lock(f"{self.job}.{safe_name(self.scope)}", self._wait_s)
            self._lock.__enter__()
        if self._fenced:
            self._counters = {name: self.lake.counter(name, self._app_id) for name in TABLES}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._lock.__exit__(kind, error, tb)

    def adopt(self, commit: Callable[[Stage], object]) -> int:
        """Commit every complete stage that an earlier run left in this scope, and delete it; how many."""
        adopted = 0
        for stage in list(self.staging.complete()):
            commit(stage)
            self.staging.delete(stage)
            adopted += 1
        self.staging.clear()
        return adopted

    def append_missing(
        self,
        name: str,
        frame: DataFrame,
        *,
        within: Column | None = None,
        digest: str = "",
        fresh: bool = False,
        expected: int | None = None,
    ) -> int:
        """Append the rows of `frame` whose key the table lacks; rows written, 0 without a new version.

        `frame` must not repeat a key. `within` narrows the table's rows that are compared (the corpus).
        `fresh` says that the holder knows the keys to be new, `expected` how many rows there are, where
        that was counted before: both only save Spark jobs.
        """
        table = TABLES[name]
        frame = conform(frame, table)
        if expected == 0:
            return 0

        def missing() -> DataFrame:
            if fresh or not self.lake.exists(name):
                return frame
            known = self.lake.read(name)
            known = known if within is None else known.where(within)
            keys = list(table.key)
            return frame.join(known.select(*keys), on=keys, how="left_anti").select(*table.column_names)

        def write(rows: DataFrame, options: Mapping[str, str]) -> None:
            few = rows.coalesce(max(1, self.lake.spark.sparkContext.defaultParallelism))
            few.write.format("delta").mode("append").options(**options).save(self.lake.path(name))

        return self._commit(name, missing, write, digest, known=fresh and expected is not None)

    def insert_missing(
        self,
        name: str,
        make: Callable[[], Sequence[Mapping[str, Any]]],
        *,
        unless: Sequence[str] = (),
        digest: str = "",
    ) -> int:
        """Insert the rows of `make()`, of a small table that holders of several scopes write; rows written.

        `make` reads the table and returns what it lacks now. It is called anew on every try, under the
        table's lock where there is one, so it may number rows after those that it finds. A row stays out
        where its key is taken, or where a row is equal to it in all columns of `unless` (null equals null);
        then `make` is asked again. An insert-only MERGE, because two appends at once never conflict: on an
        object store both would land.
        """
        table, asked = TABLES[name], 0

        def missing() -> DataFrame:
            nonlocal asked
            made = make()
            asked = len(made)
            rows = [tuple(row[column] for column in table.column_names) for row in made]
            return self.lake.spark.createDataFrame(rows, struct_of(table))

        def write(rows: DataFrame, _: Mapping[str, str]) -> None:
            from delta.tables import DeltaTable

            ways = [
                " AND ".join(f"t.`{c}` <=> s.`{c}`" for c in each) for each in (table.key, unless) if each
            ]
            target = DeltaTable.forPath(self.lake.spark, self.lake.path(name)).alias("t")
            taken = " OR ".join(f"({way})" for way in ways)
            target.merge(rows.alias("s"), taken).whenNotMatchedInsertAll().execute()

        written = 0
        for _ in range(RETRIES):
            landed = self._commit(name, missing, write, digest)
            written += landed
            if landed == asked:
                return written
        raise self._conflict(name)

    def merge(
        self, name: str, changed: DataFrame, *, corpus: str, digest: str = "", delete: bool = False
    ) -> int:
        """Update (or `delete`) the rows of `corpus` that `changed` names by key; rows changed.

        `changed` holds the contract's columns (to delete: at least the key), each key once, and only rows
        that really differ: a MERGE that changes nothing still writes a version.
        """
        table = TABLES[name]
        frame = changed if delete else conform(changed, table)

        def write(rows: DataFrame, _: Mapping[str, str]) -> None:
            from delta.tables import DeltaTable

            literal = "'" + corpus.replace("\\", "\\\\").replace("'", "\\'") + "'"
            keys = " AND ".join(f"t.`{key}` = s.`{key}`" for key in table.key if key != "corpus")
            target = DeltaTable.forPath(self.lake.spark, self.lake.path(name)).alias("t")
            builder = target.merge(rows.alias("s"), f"t.corpus = {literal} AND {keys}")
            builder = builder.whenMatchedDelete() if delete else builder.whenMatchedUpdateAll()
            builder.execute()

        return self._commit(name, lambda: frame, write, digest)

    def _commit(
        self,
        name: str,
        rows: Callable[[], DataFrame],
        write: Callable[[DataFrame, Mapping[str, str]], None],
        digest: str,
        *,
        known: bool = False,
    ) -> int:
        """Write `rows()` by `write` and see that it landed. `known`: that there are rows needs no look."""
        note = json.dumps(
            {"job": self.job, "scope": self.scope, "run_id": self.run_id, "stage": digest, "table": name}
        )
        with self.table_lock(name):
            for attempt in range(RETRIES):
                # Kept while it is looked at and written: both would compute the join.
                frame = rows() if known else rows().persist()
                try:
                    if not known and frame.isEmpty():
                        return 0
                    faults.point(f"before:commit:{name}")
                    if not self.lake.exists(name):
                        self.lake.create(TABLES[name])
                        faults.point(f"created:commit:{name}")
                    before = self.lake.version(name) or 0
                    with self._settings(name, note):
                        write(frame, {"userMetadata": note, **self._txn_options(name)})
                    faults.point(f"after:commit:{name}")
                except conflicts():
                    if attempt + 1 < RETRIES:
                        time.sleep(random.uniform(0.1, 0.5) * 2**attempt)
                    continue
                finally:
                    if not known:
                        frame.unpersist()
                return self._landed(name, note, before)
        raise self._conflict(name)

    def _conflict(self, name: str) -> Conflict:
        return Conflict(
            f"table {name!r} in {self.lake.root} was written by others {RETRIES} times", hint="Run again."
        )

    def _landed(self, name: str, note: str, before: int) -> int:
        """Rows of our commit, which is there only when the log shows our note."""
        after = self.lake.version(name) or 0
        for version in range(after, before, -1):
            info = commit_info(self.lake.commit(name, version))
            if info.get("userMetadata") == note:
                self.versions_written[name] = version
                if self._fenced:
                    self._counters[name] += 1
                metrics = info.get("operationMetrics", {})
                return int(metrics.get("numTargetRowsUpdated", 0)) + int(
                    metrics.get("numTargetRowsDeleted", 0)
                ) or int(metrics.get("numOutputRows", 0))
        if after == before and not self._fenced:
            return 0
        raise Overtaken(
            f"table {name!r} in {self.lake.root} shows no commit of run {self.run_id}: another driver holds {self._app_id}",
            hint="Nothing was lost or doubled. See that only one driver runs this job and scope, then run again.",
        )

    @property
    def _app_id(self) -> str:
        return f"{self.job}/{self.scope}"

    def _txn_options(self, name: str) -> dict[str, str]:
        if not self._fenced:
            return {}
        return {"txnAppId": self._app_id, "txnVersion": str(self._counters.get(name, 0) + 1)}

    def _settings(self, name: str, note: str) -> AbstractContextManager[object]:
        settings = {METADATA: note}
        if self._fenced:
            settings |= {TXN_APP: self._app_id, TXN_VERSION: str(self._counters.get(name, 0) + 1)}
        return session_settings(self.lake.spark, settings)

    def table_lock(self, name: str) -> AbstractContextManager[object]:
        """What keeps other drivers of this machine from committing to a table meanwhile."""
        return self._file_lock(f"table.{name}", TABLE_WAIT_S) if self.lake.is_local else nullcontext()

    def _file_lock(self, name: str, wait_s: float) -> JvmLock:
        who = f"run {self.run_id} of {self.job} on {self.scope}"
        return JvmLock(
            self.lake.spark,
            Path(_local_path(self.lake.root)) / "_locks" / f"{name}.lock",
            who=who,
            wait_s=wait_s,
        )


def _local_path(root: str) -> str:
    return root.removeprefix("file://").removeprefix("file:")
