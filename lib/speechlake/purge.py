"""A table without its past: what was deleted leaves the files, the log and its checkpoints too.

Delta keeps what a commit removed: old files until VACUUM, and in the log the minima and maxima of their keys,
their partitions and who committed them. After an erasure the log begins anew with a checkpoint of what is left.
Older versions cannot be read any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from speechlake.commits import commit_info, session_settings
from speechlake.sql_text import name as quoted
from speechlake.table_files import listed_files, property_of, require_checkpoint, stored_files

if TYPE_CHECKING:
    from speechlake.hold import Hold
    from speechlake.lake import Lake

RETENTION = "delta.deletedFileRetentionDuration"
AT_ONCE = "interval 0 seconds"
# Delta asks for a week at least, unless told that nobody reads or writes besides.
CHECK = "spark.databricks.delta.retentionDurationCheck.enabled"
_VERSION = re.compile(r"\.?(\d{20})\..+")
_COMMIT = re.compile(r"\d{20}\.json")
_OURS = {"SET TBLPROPERTIES", "UNSET TBLPROPERTIES", "VACUUM START", "VACUUM END"}


def forget_history(hold: Hold, name: str) -> None:
    """Delete the files that the newest version of a table does not name, and all of its log before now.

    Nobody else may write to or read from the table meanwhile. Killed at any point, the table is whole, and the
    next call finishes. Nothing happens where nothing was written since the last call.
    """
    from delta.tables import DeltaTable

    lake = hold.lake
    if not lake.exists(name) or _is_new(lake, name):
        return
    with hold.table_lock(name), session_settings(lake.spark, {CHECK: "false"}), _nothing_retained(lake, name):
        DeltaTable.forPath(lake.spark, lake.path(name)).vacuum(0)
        _drop_unnamed(lake, name)
        version = _checkpointed(lake, name)
        _drop_log_before(lake, name, version)


def drop_partitions(hold: Hold, name: str, column: str, values: set[str]) -> None:
    """Delete the folders of partitions that hold no rows any more: their names are values."""
    lake = hold.lake
    for folder in lake.files.folders(lake.path(name)):
        if folder in {f"{column}={value}" for value in values}:
            lake.files.delete(f"{lake.path(name)}/{folder}")


def _drop_unnamed(lake: Lake, name: str) -> None:
    """Delete what VACUUM leaves because its time is ahead: a clock was set back, or a share has another."""
    named = stored_files(lake, name).select("file")
    left = listed_files(lake, name).join(named, on="file", how="left_anti")
    for row in left.select("path").collect():
        lake.files.delete(row.path)


def _is_new(lake: Lake, name: str) -> bool:
    """True where the log begins with such a checkpoint, and nothing was written since."""
    folder = f"{lake.path(name)}/_delta_log"
    files = lake.files.names(folder)
    commits = [int(file[:20]) for file in files if _COMMIT.fullmatch(file)]
    began = any(file.startswith(f"{min(commits):020d}.checkpoint") for file in files) if commits else False
    older = any(int(found[1]) < min(commits) for file in files if (found := _VERSION.fullmatch(file)))
    operations = {commit_info(lake.commit(name, version)).get("operation") for version in commits}
    return began and not older and operations <= _OURS and property_of(lake, name, RETENTION) != AT_ONCE


@contextmanager
def _nothing_retained(lake: Lake, name: str) -> Iterator[None]:
    """The table's checkpoints forget removed files at once; as it was before, afterwards."""
    table = quoted("delta", lake.path(name))
    before = property_of(lake, name, RETENTION)
    lake.spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('{RETENTION}' = '{AT_ONCE}')")
    try:
        yield
    finally:
        if before in (None, AT_ONCE):
            lake.spark.sql(f"ALTER TABLE {table} UNSET TBLPROPERTIES IF EXISTS ('{RETENTION}')")
        else:
            lake.spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('{RETENTION}' = '{before}')")


def _checkpointed(lake: Lake, name: str) -> int:
    """Write a checkpoint of the newest version; which version that is. SpeechlakeError where it is not there then: the
    log that it takes the place of would have to stay, with all that it names."""
    jvm: Any = lake.spark._jvm
    snapshot = lake.snapshot(name)
    snapshot.deltaLog().checkpoint(snapshot, jvm.scala.Option.empty())
    version = int(snapshot.version())
    require_checkpoint(lake, name, version)
    return version


def _drop_log_before(lake: Lake, name: str, version: int) -> None:
    """Delete commits, checkpoints and checksums of versions before `version`, whose checkpoint is there."""
    folder = f"{lake.path(name)}/_delta_log"
    for file in lake.files.names(folder):
        found = _VERSION.fullmatch(file)
        if found and int(found[1]) < version:
            lake.files.delete(f"{folder}/{file}")
    # What this process remembers of the log names the files that went.
    jvm: Any = lake.spark._jvm
    jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
