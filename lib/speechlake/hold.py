"""The one writer of a (job, scope): stages, and commits that have landed only when the log shows it.

On local disks, whose Delta log store is not safe for several drivers, a file lock per (job, scope) and
one per table around every commit keep writers apart. On object stores a fence (`speechlake.fence`) does.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any

from speechlake import faults, logs
from speechlake.commits import commit_info, conflicts, merging, session_settings
from speechlake.contracts import conform, rows_of
from speechlake.errors import Busy, Conflict, Overtaken, SpeechlakeError
from speechlake.fence import Fence
from speechlake.locks import JvmLock, erasing, lock_file
from speechlake.schemas import TABLES
from speechlake.sql_text import literal
from speechlake.staging import Stage, Staging, safe_name

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake

RETRIES = 8
# Rows to a task, where they were counted. An empty task leaves a file that no version names.
ROWS_A_FILE = 50_000
# A commit lasts seconds, compaction of a large table minutes; a lock held longer than this is a fault, not a queue.
TABLE_WAIT_S = 1800.0
METADATA = "spark.databricks.delta.commitInfo.userMetadata"


class Hold:
    """Write access of one job to one scope; made by `Lake.hold`."""

    def __init__(
        self, lake: Lake, job: str, scope: str, run_id: str, *, wait_s: float, fenced: bool | None = None
    ) -> None:
        self.lake = lake
        self.job, self.scope, self.run_id = job, scope, run_id
        self.fence = Fence(lake, f"{job}/{scope}", raised=(not lake.is_local) if fenced is None else fenced)
        self.staging = Staging(lake.spark, lake.root, job, scope, locked=not self.fence.raised)
        self.versions_written: dict[str, int] = {}
        self._wait_s = wait_s
        self._lock: AbstractContextManager[object] = nullcontext()

    def __enter__(self) -> Hold:
        if self.lake.is_local:
            self._lock = self._taken()
        self.fence.read(TABLES)
        logs.note_run(self.job, self.scope, self.run_id)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._lock.__exit__(kind, error, tb)
        # What it read or wrote may be gone because another driver went on from it.
        theirs = isinstance(error, Exception) and not isinstance(error, SpeechlakeError)
        if self.fence.raised and theirs and (moved := self.fence.moved()) is not None:
            raise self._overtaken(moved) from error

    def adopt(self, commit: Callable[[Stage], object], mine: Callable[[Stage], bool] = lambda _: True) -> int:
        """Commit every complete stage that an earlier run left in this scope and that is `mine`, and delete it; how many."""
        left = list(self.staging.complete())
        own = [*filter(mine, left)]
        for stage in own:
            commit(stage)
            self.staging.delete(stage)
        if own == left:
            self.staging.clear()
        return len(own)

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
        `fresh` says that the holder knows the keys to be new, `expected` how many rows were counted before.
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
            cores = max(1, self.lake.spark.sparkContext.defaultParallelism)
            files = cores if expected is None else min(cores, math.ceil(expected / ROWS_A_FILE))
            # A task writes a file for each corpus that it meets.
            many = files > 1 and within is None and table.partition_by == ("corpus",)
            few = rows.hint("rebalance", "corpus") if many else rows.coalesce(files)
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
            return rows_of(self.lake.spark, table, made)

        def write(rows: DataFrame, _: Mapping[str, str]) -> None:
            ways = [
                " AND ".join(f"t.`{c}` <=> s.`{c}`" for c in each) for each in (table.key, unless) if each
            ]
            taken = " OR ".join(f"({way})" for way in ways)
            merging(self.lake.path(name), rows, taken).whenNotMatchedInsertAll().execute()

        written = 0
        for _ in range(RETRIES):
            landed = self._commit(name, missing, write, digest)
            written += landed
            if landed == asked:
                return written
        raise self._conflict(name)

    def merge(
        self,
        name: str,
        changed: DataFrame,
        *,
        corpus: str | None,
        digest: str = "",
        delete: bool = False,
        only: str | None = None,
        still: str = "true",
    ) -> int:
        """Update (or `delete`) the rows of `corpus` that `changed` names by key; rows changed.

        `corpus` None: of all corpora, for jobs that work alone, and for tables without a corpus. `changed` holds
        the contract's columns (to delete: at least the key; to set `only` one column: both), each key once, and
        only rows that really differ: a MERGE that changes nothing still writes a version. Rows (t) of which `still`
        is not true beside those of `changed` (s) stay: other jobs may have changed them since they were read.
        """
        table = TABLES[name]
        frame = changed if delete or only else conform(changed, table)

        def write(rows: DataFrame, _: Mapping[str, str]) -> None:
            here = [] if corpus is None else [f"t.corpus = {literal(corpus)}"]
            same = [f"t.`{key}` = s.`{key}`" for key in table.key if corpus is None or key != "corpus"]
            builder = merging(self.lake.path(name), rows, " AND ".join([*here, *same, still]))
            columns = [only] if only else table.column_names
            taken: dict[str, str | Column] = {column: f"s.`{column}`" for column in columns}
            (builder.whenMatchedDelete() if delete else builder.whenMatchedUpdate(set=taken)).execute()

        return self._commit(name, lambda: frame, write, digest)

    @contextmanager
    def changing(self, name: str) -> Iterator[None]:
        """For what Delta does to a whole table: inside are its lock and our note on commits, and no fence.

        Only for what is right whoever else does it too, such as compaction.
        """
        note = self._note(name, "")
        with self.table_lock(name):
            before = self.lake.version(name) or 0
            with session_settings(self.lake.spark, {METADATA: note}):
                yield
            self._found(name, note, before)

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
        note = self._note(name, digest)
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
                    with session_settings(self.lake.spark, {METADATA: note, **self.fence.settings(name)}):
                        write(frame, {"userMetadata": note, **self.fence.options(name)})
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
        info = self._found(name, note, before)
        if info is not None:
            self.fence.advance(name)
            told = info.get("operationMetrics", {})
            changed = sum(int(told.get(f"numTargetRows{how}", 0)) for how in ("Updated", "Deleted"))
            return changed or int(told.get("numOutputRows", 0))
        if (self.lake.version(name) or 0) == before and not self.fence.raised:
            return 0
        raise self._overtaken(name)

    def _overtaken(self, name: str) -> Overtaken:
        return Overtaken(
            f"table {name!r} in {self.lake.root} shows no commit of run {self.run_id}: another driver holds {self.fence.app_id}",
            hint="Nothing was lost or doubled. See that only one driver runs this job and scope, then run again.",
        )

    def _found(self, name: str, note: str, before: int) -> dict[str, Any] | None:
        """What the log says of our newest commit after version `before`; None where it shows none."""
        for version in range(self.lake.version(name) or 0, before, -1):
            info = commit_info(self.lake.commit(name, version))
            if info.get("userMetadata") == note:
                self.versions_written[name] = version
                return info
        return None

    def _note(self, name: str, digest: str) -> str:
        said = {"job": self.job, "scope": self.scope, "run_id": self.run_id, "stage": digest, "table": name}
        return json.dumps(said)

    def table_lock(self, name: str) -> AbstractContextManager[object]:
        """The lock that every commit to a table takes, for work on its files; nothing on object stores."""
        return self._file_lock(f"table.{name}", TABLE_WAIT_S) if self.lake.is_local else nullcontext()

    def _taken(self) -> JvmLock:
        """The lock of the job and scope, taken while nobody is erased; Busy after the wait.

        An erasure takes its own lock, then looks for others; this looks for it last: one of the two sees the other.
        """
        deadline = time.monotonic() + self._wait_s
        while True:
            erasure = erasing(self.lake.spark, self.lake.root)
            if erasure is None:
                left = max(0.0, deadline - time.monotonic())
                lock = self._file_lock(f"{self.job}.{safe_name(self.scope)}", left).__enter__()
                erasure = erasing(self.lake.spark, self.lake.root)
                if erasure is None:
                    return lock
                lock.__exit__(None, None, None)
            if time.monotonic() >= deadline:
                raise Busy(f"{erasure.who} is under way, which works alone", hint="Wait for it (--wait).")
            time.sleep(min(0.2, self._wait_s))

    def _file_lock(self, name: str, wait_s: float) -> JvmLock:
        who = f"run {self.run_id} of {self.job} on {self.scope}"
        return JvmLock(self.lake.spark, lock_file(self.lake.root, name), who=who, wait_s=wait_s)
