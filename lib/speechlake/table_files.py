"""What lies beneath a table: its files and its log. Looking at them, compacting and clearing them.

With `lake` and `hold` one of the few modules that touch Delta. Only `delete_rows` changes what a table holds.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from speechlake.commits import conflicts, session_settings
from speechlake.errors import Conflict, SpeechlakeError
from speechlake.files import as_is
from speechlake.schemas import TABLES
from speechlake.sql_text import literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.hold import Hold
    from speechlake.lake import Lake

RETRIES = 5
# Compacted files are about this large: a few row groups, read by one task in a second or two.
TARGET_BYTES = 128 << 20
# Files below half of it are compacted: two such files always fit into one, so that compacting ends.
SMALL_BYTES = TARGET_BYTES // 2
# As few small files as this are left alone: a job that adds one would make work for every upkeep.
LEAST_FILES = 4
DAY_MS = 24 * 3600 * 1000
COMPACTION = {
    "spark.databricks.delta.optimize.maxFileSize": str(TARGET_BYTES),
    "spark.databricks.delta.optimize.minFileSize": str(SMALL_BYTES),
}
VACUUM = {
    # Otherwise Delta heeds no retention but 0 and the table's own.
    "spark.databricks.delta.vacuum.retentionWindowIgnore.enabled": "false",
    "spark.databricks.delta.retentionDurationCheck.enabled": "false",
    # Otherwise it writes two versions of the table, which other drivers' commits meet.
    "spark.databricks.delta.vacuum.logging.enabled": "false",
}


@dataclass(frozen=True)
class Part:
    """A part of a table that is worth compacting: a partition, or all of it (`value` None)."""

    value: str | None
    files: int
    bytes: int


def stored_files(lake: Lake, name: str) -> DataFrame:
    """The files of the newest version: `path` (as the log spells it), `file` (its name), `part` (value of the partition),
    `bytes`, `modified_ms`, `clustered`."""
    from pyspark.sql import functions as F

    partition = TABLES[name].partition_by
    part = F.col("partitionValues")[partition[0]] if partition else F.lit(None).cast("string")
    return _frame(lake, lake.snapshot(name).allFiles()).select(
        "path",
        F.element_at(F.split("path", "/"), -1).alias("file"),
        part.alias("part"),
        F.col("size").alias("bytes"),
        F.col("modificationTime").alias("modified_ms"),
        F.col("clusteringProvider").isNotNull().alias("clustered"),
    )


def listed_files(lake: Lake, name: str) -> DataFrame:
    """The files that lie beneath the table, hidden ones and the log left out: `path` (a URI), `file` (its name), `bytes`,
    `modified_ms`."""
    from pyspark.sql import functions as F

    # Only places and sizes are read: Spark lists the folder in parallel.
    reader = lake.spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    return reader.load(as_is(lake.path(name))).select(
        "path",
        F.element_at(F.split("path", "/"), -1).alias("file"),
        F.col("length").alias("bytes"),
        F.unix_millis("modificationTime").alias("modified_ms"),
    )


def property_of(lake: Lake, name: str, key: str) -> str | None:
    """One of Delta's properties of the table; None where it is not set."""
    found = lake.snapshot(name).metadata().configuration().get(key)
    return str(found.get()) if found.isDefined() else None


def scattered(lake: Lake, name: str) -> list[Part]:
    """Parts of the table with many small files, or, of a clustered table, with many that are not clustered yet."""
    from pyspark.sql import functions as F

    if (
        int(lake.snapshot(name).numOfFiles()) < LEAST_FILES
        and lake.snapshot(name).sizeInBytes() < TARGET_BYTES
    ):
        return []
    clustered = bool(TABLES[name].cluster_by)
    loose = ~F.col("clustered") if clustered else F.col("bytes") < SMALL_BYTES
    files = F.count_if(loose)
    found = stored_files(lake, name).groupBy("part")
    counted = found.agg(files.alias("files"), F.sum(F.when(loose, F.col("bytes"))).alias("bytes"))
    worth = F.col("files") >= LEAST_FILES
    worth = worth | (F.col("bytes") >= TARGET_BYTES) if clustered else worth
    return [Part(row.part, row.files, row.bytes) for row in counted.where(worth).orderBy("part").collect()]


def compact(hold: Hold, name: str, values: Sequence[str] = ()) -> Mapping[str, int]:
    """Write the small files of the partitions `values` (of all, where empty) anew, in few; clustered tables by their keys.

    `files_before`, `files_after`, `bytes_after` of what was written anew. Rows and what any version holds stay.
    """
    from delta.tables import DeltaTable

    def optimize() -> Any:
        builder = DeltaTable.forPath(hold.lake.spark, hold.lake.path(name)).optimize()
        if values:
            listed = ", ".join(literal(value) for value in values)
            builder = builder.where(f"{TABLES[name].partition_by[0]} IN ({listed})")
        with session_settings(hold.lake.spark, COMPACTION):
            return builder.executeCompaction().select("metrics").collect()[0].metrics

    said = _changed(hold, name, optimize)
    return {
        "files_before": said.numFilesRemoved,
        "files_after": said.numFilesAdded,
        "bytes_after": said.filesAdded.totalSize,
    }


def delete_rows(hold: Hold, name: str, where: str) -> int:
    """Delete the rows for which `where` holds; how many. Its text stays in Delta's log: keys that are hashes only."""
    from delta.tables import DeltaTable

    count = hold.lake.read(name).where(where).count()
    if count:
        _changed(hold, name, lambda: DeltaTable.forPath(hold.lake.spark, hold.lake.path(name)).delete(where))
    return count


def kept_by_log_s(lake: Lake, name: str) -> int:
    """For how long the table's log remembers files that were removed, and so how far back VACUUM can spare."""
    return int(
        lake.spark._jvm.org.apache.spark.sql.delta.DeltaLog.tombstoneRetentionMillis(  # type: ignore[union-attr]
            lake.snapshot(name).metadata()
        )
        // 1000
    )


def unused_files(lake: Lake, name: str, keep_s: float) -> tuple[int, int]:
    """Files and bytes that VACUUM would delete: in no version of the last `keep_s` seconds, and older than that."""
    from pyspark.sql import functions as F

    since_ms = int((time.time() - _hours(keep_s) * 3600) * 1000)
    snapshot = lake.snapshot(name)
    removed = _frame(lake, snapshot.tombstones()).where(F.col("deletionTimestamp") >= since_ms)
    used = (
        stored_files(lake, name)
        .select("file")
        .unionByName(removed.select(F.element_at(F.split("path", "/"), -1).alias("file")))
    )
    row = (
        listed_files(lake, name)
        .where(F.col("modified_ms") < since_ms)
        .join(used, on="file", how="left_anti")
        .agg(F.count("*").alias("files"), F.coalesce(F.sum("bytes"), F.lit(0)).alias("bytes"))
        .collect()[0]
    )
    return row.files, row.bytes


def vacuum(lake: Lake, name: str, keep_s: float) -> None:
    """Delete files that no version of the last `keep_s` seconds (in whole hours, rounded up) holds. Writes no version.

    Under a running writer `keep_s` must reach back to its start: its files are in no version yet.
    """
    from delta.tables import DeltaTable

    # Deleting one file after another takes an object store minutes.
    parallel = {"spark.databricks.delta.vacuum.parallelDelete.enabled": str(not lake.is_local).lower()}
    with session_settings(lake.spark, {**VACUUM, **parallel}):
        DeltaTable.forPath(lake.spark, lake.path(name)).vacuum(_hours(keep_s))


@dataclass(frozen=True)
class Log:
    """A table's log: commits since its last checkpoint, and how many files Delta's retention lets go."""

    commits: int
    expired: int


def log_of(lake: Lake, name: str) -> Log:
    """How long the table's log is."""
    snapshot = lake.snapshot(name)
    last = _last_checkpoint(lake, name)
    commits = int(snapshot.version()) - max(last, 0)
    if last <= 0:
        return Log(commits, 0)
    entries = [entry for entry in lake.files.entries(_log(lake, name)) if entry.name[:20].isdigit()]
    behind = [entry for entry in entries if _version(entry.name) < last]
    # Delta cuts by the day, and only before a checkpoint whose predecessors are all that old.
    kept_ms = int(snapshot.deltaLog().deltaRetentionMillis(snapshot.metadata()))
    cut_ms = (int(time.time() * 1000) - kept_ms) // DAY_MS * DAY_MS
    ends = {_version(entry.name) for entry in entries if ".checkpoint." in entry.name}
    young = min((_version(entry.name) for entry in behind if entry.modified_ms > cut_ms), default=last)
    past = max((end for end in ends if end <= young), default=0)
    return Log(commits, sum(_version(entry.name) < past for entry in behind))


def checkpoint(hold: Hold, name: str) -> None:
    """Write the table's state as a checkpoint, and let Delta delete what its retention lets go of the log."""
    jvm: Any = hold.lake.spark._jvm
    none = jvm.scala.Option.empty()
    with hold.changing(name):
        snapshot = hold.lake.snapshot(name)
        version, log = int(snapshot.version()), snapshot.deltaLog()
        if _last_checkpoint(hold.lake, name) == version:
            log.doLogCleanup(snapshot, none)
            return
        log.checkpoint(snapshot, none)
        require_checkpoint(hold.lake, name, version)


def require_checkpoint(lake: Lake, name: str, version: int) -> None:
    """SpeechlakeError where there is no checkpoint of `version` or a later one: what goes wrong when it is written, a
    full disk for instance, Delta tells its own log only."""
    if _last_checkpoint(lake, name) < version:
        raise SpeechlakeError(
            f"no checkpoint of table {name!r} at version {version} could be written in {lake.root}",
            hint="Is the disk full? Run the same command again.",
        )


def _changed(hold: Hold, name: str, change: Callable[[], Any]) -> Any:
    """What `change` answers, tried again where another writer was quicker; Conflict when it always is."""
    for attempt in range(RETRIES):
        try:
            with hold.changing(name):
                return change()
        except conflicts():
            time.sleep(random.uniform(0.1, 0.5) * 2**attempt)
    raise Conflict(
        f"table {name!r} in {hold.lake.root} was written by others {RETRIES} times", hint="Run again."
    )


def _last_checkpoint(lake: Lake, name: str) -> int:
    """Version of the newest checkpoint; -1 where there is none."""
    path = f"{_log(lake, name)}/_last_checkpoint"
    return int(json.loads(lake.files.read_text(path))["version"]) if lake.files.exists(path) else -1


def _frame(lake: Lake, dataset: Any) -> DataFrame:
    from pyspark.sql import DataFrame

    return DataFrame(dataset.toDF(), lake.spark)


def _hours(seconds: float) -> int:
    return math.ceil(seconds / 3600)


def _log(lake: Lake, name: str) -> str:
    return f"{lake.path(name)}/_delta_log"


def _version(file: str) -> int:
    return int(file.split(".")[0])
