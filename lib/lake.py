"""A lake: a root with one Delta table per contract. The only module that touches Delta.

Anyone may read; writing needs a `Hold` (see `hold`): the one writer of a (job, scope).
New rows are appended by anti-join on the key; MERGE serves changed rows only, and always names the
corpus as a literal, because concurrent merges of two corpora conflict otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechlake.contracts import check_stored, empty, struct_of
from speechlake.errors import SpeechlakeError, UsageError
from speechlake.files import Files
from speechlake.schemas import TABLES, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from speechlake.hold import Hold

PROPERTIES = {
    # A table of 150,000 files writes a 24 MB checkpoint every ten commits by default.
    "delta.checkpointInterval": "100",
    # Other readers (delta-rs, trainers) do not understand these; erasure must reach the bytes.
    "delta.enableDeletionVectors": "false",
    "delta.enableChangeDataFeed": "false",
    "delta.columnMapping.mode": "none",
}


class Lake:
    """The tables under `root`, a folder or a URI that Spark can write to."""

    def __init__(self, spark: SparkSession, root: str | Path) -> None:
        self.spark = spark
        self.files = Files(spark)
        text = str(root).rstrip("/")
        self.root = text if "://" in text else str(Path(text).expanduser().absolute())
        self.is_local = self.files.is_local(self.root)
        self._checked: set[str] = set()

    def path(self, name: str) -> str:
        """Where table `name` lies; UsageError for a name that is no table."""
        if name not in TABLES:
            raise UsageError(f"there is no table {name!r}", hint=f"Tables: {', '.join(TABLES)}.")
        return f"{self.root}/{name}"

    def version(self, name: str) -> int | None:
        """The table's newest version; None when it was never written."""
        version = int(self.snapshot(name).version())
        return None if version < 0 else version

    def exists(self, name: str) -> bool:
        """True when the table was written at least once."""
        return self.version(name) is not None

    def versions(self) -> dict[str, int]:
        """Newest version of every table that exists."""
        found = {name: self.version(name) for name in TABLES}
        return {name: version for name, version in found.items() if version is not None}

    def read(self, name: str, *, version: int | None = None) -> DataFrame:
        """The table as it is now, or was at `version`; without rows when it was never written.

        TableMismatch when its columns are not the contract's.
        """
        path = self.path(name)
        if not self.exists(name):
            return empty(self.spark, TABLES[name])
        reader = self.spark.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        frame = reader.load(path)
        if name not in self._checked:
            check_stored(frame.schema, TABLES[name], path)
            self._checked.add(name)
        return frame

    def history(self, name: str) -> DataFrame:
        """Delta's history of the table, newest first; SpeechlakeError when it was never written."""
        from delta.tables import DeltaTable

        if not self.exists(name):
            raise SpeechlakeError(f"table {name!r} does not exist in {self.root}")
        return DeltaTable.forPath(self.spark, self.path(name)).history()

    def create(self, table: Table) -> None:
        """Create an empty table from its contract, unless it exists. The caller holds the table's lock."""
        from delta.tables import DeltaTable

        builder: Any = DeltaTable.createIfNotExists(self.spark).location(self.path(table.name))
        builder = builder.addColumns(struct_of(table)).comment(table.comment)
        # Statistics on keys only: minima and maxima of texts and names would stay in the log for ever.
        keys = dict.fromkeys(
            [*table.key, *table.cluster_by, *(("corpus",) if "corpus" in table.column_names else ())]
        )
        statistics = ",".join(name for name in keys if name not in table.partition_by)
        constraints = {f"delta.constraints.{name}": text for name, text in table.checks.items()}
        for name, value in {
            **PROPERTIES,
            "delta.dataSkippingStatsColumns": statistics,
            **constraints,
        }.items():
            builder = builder.property(name, value)
        if table.partition_by:
            builder = builder.partitionedBy(*table.partition_by)
        if table.cluster_by:
            builder = builder.clusterBy(*table.cluster_by)
        builder.execute()

    def counter(self, name: str, app_id: str) -> int:
        """The transaction counter that `app_id` last wrote to the table; 0 when it never did."""
        last = self.snapshot(name).transactions().get(app_id)
        return int(last.get()) if last.isDefined() else 0

    def commit(self, name: str, version: int) -> str:
        """The text of one commit of the table's log, a JSON object per line; empty once Delta cleaned it up."""
        path = f"{self.path(name)}/_delta_log/{version:020d}.json"
        return self.files.read_text(path) if self.files.exists(path) else ""

    @contextmanager
    def hold(self, job: str, scope: str, run_id: str, *, wait_s: float = 0) -> Iterator[Hold]:
        """Become the one writer of (job, scope); Busy names the present one after `wait_s` seconds."""
        from speechlake.hold import Hold

        with Hold(self, job, scope, run_id, wait_s=wait_s) as hold:
            yield hold

    def snapshot(self, name: str) -> Any:
        """Delta's own newest snapshot of a table, in the JVM."""
        jvm: Any = self.spark._jvm
        log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(self.spark._jsparkSession, self.path(name))
        none = jvm.scala.Option.empty()
        return log.update(False, none, none)
