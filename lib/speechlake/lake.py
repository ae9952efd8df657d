"""A lake: a root with one Delta table per contract: where each lies, how it is made, read and looked at.

Anyone may read; writing needs a `Hold` (see `hold`): the one writer of a (job, scope).
New rows are appended by anti-join on the key; MERGE serves changed rows only, and always names the
corpus as a literal, because concurrent merges of two corpora conflict otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from speechlake.commits import commit_info, conflicts
from speechlake.contracts import check_stored, empty, struct_of
from speechlake.errors import Busy, SpeechlakeError, UsageError
from speechlake.files import Files
from speechlake.lake_version import check_version, mark_new
from speechlake.schemas import TABLES, Table
from speechlake.staging import ANY_VERSION, half_erased
from speechlake.uris import require_place

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

    from speechlake.hold import Hold

PROPERTIES = {
    # A table of 150,000 files writes a 24 MB checkpoint every ten commits by default.
    "delta.checkpointInterval": "100",
    # Other readers (delta-rs, trainers) do not understand these; erasure must reach the bytes.
    "delta.enableDeletionVectors": "false",
    "delta.enableChangeDataFeed": "false",
    "delta.columnMapping.mode": "none",
}
# So many commits are read one by one; of further ones, Spark reads the history.
READ_SINGLY = 20
# Jobs that may be what an interrupted erasure waits for: a table that is damaged, a disk that is full, newer code.
MENDS = ("repair-table", "maintain-tables", "upgrade-lake")


class Note(NamedTuple):
    """What a commit did, what a job wrote beside it, and when, in milliseconds since 1970; nulls where Delta cleaned
    the log. The time is null too where the history told the rest: it has the file's, which a copy changes."""

    operation: str | None
    said: str | None
    at_ms: int | None


class Lake:
    """The tables under `root`, a folder or a URI that Spark can write to.

    Reading and writing a lake of another version than this code's is a LakeMismatch, unless `any_version`.
    UsageError for a root that names no folder, or not the one that is meant.
    """

    def __init__(self, spark: SparkSession, root: str | Path, *, any_version: bool = False) -> None:
        text = str(root).rstrip("/")
        if not text or text.endswith(":"):
            raise UsageError(
                f"the lake {str(root)!r} names no folder", hint="Check --lake, and SPEECHLAKE_LAKE."
            )
        require_place(text, "the lake")
        self.spark = spark
        self.files = Files(spark)
        self.root = self.files.spelt(text) if "://" in text else str(Path(text).expanduser().absolute())
        self.is_local = self.files.is_local(self.root)
        if not self.is_local:
            self.files.require(self.root)
        # Tables whose columns were looked at, once: whether they lie in the contract's order.
        self._in_order: dict[str, bool] = {}
        self._few: dict[str, tuple[tuple[str, int], list[Row]]] = {}
        self._notes: dict[str, tuple[str, dict[int, Note]]] = {}
        self._any_version = any_version
        # True while this holds an erasure: the jobs that it starts are part of it.
        self._erases = False
        self._admitted = any_version

    def path(self, name: str) -> str:
        """Where table `name` lies; UsageError for a name that is no table."""
        if name not in TABLES:
            raise UsageError(f"there is no table {name!r}", hint=f"Tables: {', '.join(TABLES)}.")
        return f"{self.root}/{name}"

    def version(self, name: str) -> int | None:
        """The table's newest version; None when it was never written."""
        version = int(self.snapshot(name).version())
        return None if version < 0 else version

    def state(self, name: str) -> tuple[str, int]:
        """Which table this is, and its newest version: as long as both are the same, so are its rows."""
        newest = self.snapshot(name)
        version = int(newest.version())
        # Of one that is not there Delta makes up another id each time.
        return (str(newest.metadata().id()) if version >= 0 else "", version)

    def exists(self, name: str) -> bool:
        """True when the table was written at least once."""
        return self.version(name) is not None

    def versions(self) -> dict[str, int]:
        """Newest version of every table that exists."""
        found = {name: self.version(name) for name in TABLES}
        return {name: version for name, version in found.items() if version is not None}

    def read(self, name: str, *, version: int | None = None) -> DataFrame:
        """The table as it is now, or was at `version`, in the contract's order; without rows when it was never written.

        TableMismatch when its columns are not the contract's. One that an upgrade brought here has its new columns
        at the end, where only a comparison by position would notice.
        """
        self._admit()
        path = self.path(name)
        if not self.exists(name):
            return empty(self.spark, TABLES[name])
        reader = self.spark.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        frame = reader.load(path)
        names = TABLES[name].column_names
        if name not in self._in_order:
            stored = frame.schema
            check_stored(stored, TABLES[name], path)
            self._in_order[name] = tuple(stored.names) == names
        return frame if self._in_order[name] else frame.select(*names)

    def few(self, name: str) -> list[Row]:
        """The rows of a table that has only as many as there are corpora or models; read once in each version.

        A job asks for them ten times and more, and each would be two queries of Spark.
        """
        version = self.state(name)
        known = self._few.get(name)
        if known is None or known[0] != version:
            known = self._few[name] = (version, self.read(name).collect())
        return known[1]

    def history(self, name: str, most: int | None = None) -> DataFrame:
        """Delta's history of the table, newest first, of `most` commits; SpeechlakeError when it was never written."""
        from delta.tables import DeltaTable

        if not self.exists(name):
            raise SpeechlakeError(f"table {name!r} does not exist in {self.root}")
        return DeltaTable.forPath(self.spark, self.path(name)).history(most)

    def create(self, table: Table) -> None:
        """Create an empty table from its contract, unless it exists. The caller holds the table's lock, where there is one."""
        from delta.tables import DeltaTable
        from pyspark.errors import AnalysisException

        mark_new(self)
        self._clear_unborn(table.name)
        builder: Any = DeltaTable.createIfNotExists(self.spark).location(self.path(table.name))
        builder = builder.addColumns(struct_of(table)).comment(table.comment)
        constraints = {f"delta.constraints.{name}": text for name, text in table.checks.items()}
        for name, value in {
            **PROPERTIES,
            "delta.dataSkippingStatsColumns": statistics_columns(table),
            **constraints,
        }.items():
            builder = builder.property(name, value)
        if table.partition_by:
            builder = builder.partitionedBy(*table.partition_by)
        if table.cluster_by:
            builder = builder.clusterBy(*table.cluster_by)
        raced: tuple[type[Exception], ...] = (AnalysisException, *conflicts())
        try:
            builder.execute()
        except raced:
            # Delta has a name of its own for each moment at which another driver may create the same table.
            if not self._appears(table.name):
                raise

    def counter(self, name: str, app_id: str) -> int:
        """The transaction counter that `app_id` last wrote to the table; 0 when it never did."""
        last = self.snapshot(name).transactions().get(app_id)
        return int(last.get()) if last.isDefined() else 0

    def commit(self, name: str, version: int) -> str:
        """The text of one commit of the table's log, a JSON object per line; empty once Delta cleaned it up."""
        path = f"{self.path(name)}/_delta_log/{version:020d}.json"
        return self.files.read_text(path) if self.files.exists(path) else ""

    def note(self, name: str, version: int) -> Note | None:
        """Of one commit of the table; None where the table has no such version."""
        now, known = self._known_notes(name)
        if version > now:
            return None
        if version not in known or known[version].at_ms is None:
            known[version] = self._read_note(name, version)
        return known[version]

    def notes(self, name: str, since: int) -> Iterator[Note]:
        """Of each commit after version `since`, newest first.

        Read when it is asked for, because whoever waits for a commit mostly waits for one of the last.
        """
        (now, known), singly = self._known_notes(name), 0
        for version in range(now, since, -1):
            if version not in known and singly < READ_SINGLY:
                known[version] = self._read_note(name, version)
                singly += 1
            elif version not in known:
                # A few more, because others may commit meanwhile.
                rows = self.history(name, now - since + READ_SINGLY).select(
                    "version", "operation", "userMetadata"
                )
                told = {row.version: Note(row.operation, row.userMetadata, None) for row in rows.collect()}
                none = Note(None, None, None)
                known |= {v: known.get(v) or told.get(v, none) for v in range(since + 1, version + 1)}
            yield known[version]

    def _known_notes(self, name: str) -> tuple[int, dict[int, Note]]:
        """The newest version of the table that is there now, and its notes by version that were read before: the jobs
        of a thousand corpora ask for the same."""
        table, now = self.state(name)
        if name not in self._notes or self._notes[name][0] != table:
            self._notes[name] = (table, {})
        return now, self._notes[name][1]

    def _read_note(self, name: str, version: int) -> Note:
        info = commit_info(self.commit(name, version))
        return Note(info.get("operation"), info.get("userMetadata"), info.get("timestamp"))

    @contextmanager
    def hold(self, job: str, scope: str, run_id: str, *, wait_s: float = 0) -> Iterator[Hold]:
        """Become the one writer of (job, scope); Busy names the present one after `wait_s` seconds.

        Busy too while somebody is half erased: what is written then may name them, and no list of what they were in
        would tell. Only the erasure itself, what it starts, and what mends a lake go on.
        """
        from speechlake.hold import Hold

        self._admit()
        with Hold(self, job, scope, run_id, wait_s=wait_s) as hold:
            # Anew: an upgrade may have come and gone while this waited. One that begins now sees the lock.
            if not self._any_version:
                check_version(self)
            outer, self._erases = self._erases, self._erases or job in ANY_VERSION
            try:
                if not (self._erases or job in MENDS) and half_erased(self.files, self.root):
                    raise Busy(
                        f"an erasure from {self.root} is under way, or was interrupted",
                        hint="Finish it: the same `speechlake erase-speakers` command again. Then run this.",
                    )
                yield hold
            finally:
                self._erases = outer

    def snapshot(self, name: str) -> Any:
        """Delta's own newest snapshot of the table, an object of the JVM; its version is -1 where there is none."""
        log = self._delta_log.forTable(self.spark._jsparkSession, self.path(name))
        return log.update(False, self._nothing, self._nothing)

    # Each part of such a name is a question to Java, and a release asks for a hundred snapshots.
    @cached_property
    def _delta_log(self) -> Any:
        jvm: Any = self.spark._jvm
        return jvm.org.apache.spark.sql.delta.DeltaLog

    @cached_property
    def _nothing(self) -> Any:
        jvm: Any = self.spark._jvm
        return jvm.scala.Option.empty()

    def _appears(self, name: str) -> bool:
        """Whether the table is there, or is within two seconds: another driver may be writing its first commit."""
        for _ in range(10):
            if self.exists(name):
                return True
            time.sleep(0.2)
        return False

    def _clear_unborn(self, name: str) -> None:
        """Remove a log without a commit: Delta refuses to create a table over it, saying that there is none.

        A driver that is killed in a table's first commit leaves it. Only under the lock of a local lake, where
        nobody else can be in that commit; object stores have no folders to leave behind.
        """
        log = f"{self.path(name)}/_delta_log"
        if self.is_local and all(file.startswith(".") for file in self.files.names(log)):
            self.files.delete(log)

    def _admit(self) -> None:
        """Look once whether the lake is of this code's version."""
        if not self._admitted:
            check_version(self)
            self._admitted = True


def statistics_columns(table: Table) -> str:
    """Columns with minima and maxima in Delta's log: keys only, because there texts and names would stay for ever."""
    keys = dict.fromkeys(
        [*table.key, *table.cluster_by, *(("corpus",) if "corpus" in table.column_names else ())]
    )
    return ",".join(name for name in keys if name not in table.partition_by)
