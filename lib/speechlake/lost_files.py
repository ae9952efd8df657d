"""Data files that a table's log names and that are not there any more, or cut short: found, and forgotten.

With `lake` and `hold` one of the few modules that touch Delta.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from speechlake.commits import session_settings
from speechlake.hold import METADATA
from speechlake.table_files import listed_files, stored_files

if TYPE_CHECKING:
    from speechlake.hold import Hold
    from speechlake.lake import Lake


def lost_files(lake: Lake, name: str) -> list[str]:
    """Data files that the newest version of the table names and that are not there at their full size, sorted."""
    lost = stored_files(lake, name).join(listed_files(lake, name), on=["file", "bytes"], how="left_anti")
    return sorted(row.path for row in lost.select("path").collect())


def forget_files(hold: Hold, name: str, files: Collection[str]) -> None:
    """Take `files` out of the newest version of the table. Nothing is read: their rows are lost."""
    lake = hold.lake
    jvm: Any = lake.spark._jvm
    # Not the note of a job: whoever skips what it wrote once must see that rows may be gone.
    note = json.dumps({"repair": hold.run_id, "table": name})
    with hold.table_lock(name), session_settings(lake.spark, {METADATA: note}):
        none = jvm.scala.Option.empty()
        transaction = lake.snapshot(name).deltaLog().startTransaction(none, none)
        now, removed = int(time.time() * 1000), jvm.java.util.ArrayList()
        for file in transaction.snapshot().allFiles().collectAsList():
            if str(file.path()) in files:
                removed.add(file.removeWithTimestamp(now, True))
        actions = jvm.scala.jdk.javaapi.CollectionConverters.asScala(removed).toSeq()
        operation: Any = getattr(jvm.org.apache.spark.sql.delta, "DeltaOperations$ManualUpdate$")
        transaction.commit(actions, getattr(operation, "MODULE$"))
