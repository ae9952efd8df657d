"""One change of a stored table, and the ways to make one: a column that is null, one that never is, columns that go, a
property."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from speechlake.sql_text import name as quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.hold import Hold
    from speechlake.lake import Lake


@dataclass(frozen=True)
class Change:
    """What a table lacks, and how it comes to it; made twice it does no harm."""

    table: str
    what: str
    make: Callable[[Hold], None]


def stored(lake: Lake, name: str) -> DataFrame:
    """The table as it is stored, whatever the contract says."""
    return lake.spark.read.format("delta").load(lake.path(name))


def lacks(lake: Lake, name: str, column: str) -> bool:
    """True when the table exists without the column."""
    return lake.exists(name) and column not in stored(lake, name).columns


def add_columns(hold: Hold, name: str, columns: Mapping[str, str]) -> None:
    """Add columns (name -> SQL type, comment) that are null in all rows, in one commit that writes no row."""
    listed = ", ".join(f"`{column}` {kind}" for column, kind in columns.items())
    with hold.changing(name):
        hold.lake.spark.sql(f"ALTER TABLE {quoted('delta', hold.lake.path(name))} ADD COLUMNS ({listed})")


def filled_column(
    lake: Lake, name: str, column: str, kind: str, what: str, fill: Callable[[Hold], None]
) -> Iterator[Change]:
    """A column that is never null: added, filled by `fill` where it is null, then forbidden to be null.

    Each of the three is a commit, and asks whether it is still to be made: a generator that runs on after each.
    """
    if not lake.exists(name):
        return
    if lacks(lake, name, column):
        yield Change(name, f"column {column}", partial(add_columns, name=name, columns={column: kind}))
    if lacks(lake, name, column) or not stored(lake, name).where(f"`{column}` IS NULL").isEmpty():
        yield Change(name, f"{column} of all rows: {what}", partial(_filled, name=name, fill=fill))
    if lacks(lake, name, column) or stored(lake, name).schema[column].nullable:
        yield Change(name, f"{column} is never null", partial(forbid_null, name=name, columns=(column,)))


def _filled(hold: Hold, name: str, fill: Callable[[Hold], None]) -> None:
    with hold.changing(name):
        fill(hold)


def forbid_null(hold: Hold, name: str, columns: Sequence[str]) -> None:
    """Let Delta refuse nulls in columns that hold none. SQL can say so of new tables only; the log can of any."""
    jvm: Any = hold.lake.spark._jvm
    none = jvm.scala.Option.empty()
    with hold.changing(name):
        transaction = hold.lake.snapshot(name).deltaLog().startTransaction(none, none)
        known = transaction.metadata()
        schema = json.loads(known.schemaString())
        for field in schema["fields"]:
            field["nullable"] = field["nullable"] and field["name"] not in columns
        same = (known.id(), known.name(), known.description(), known.format())
        more = (known.partitionColumns(), known.configuration(), known.createdTime())
        transaction.updateMetadata(known.copy(*same, json.dumps(schema), *more), False)
        operation = getattr(jvm.org.apache.spark.sql.delta, "DeltaOperations$ManualUpdate$")
        no_files = jvm.scala.jdk.javaapi.CollectionConverters.asScala(jvm.java.util.ArrayList()).toSeq()
        transaction.commit(no_files, getattr(operation, "MODULE$"))


def drop_columns(hold: Hold, name: str, columns: Sequence[str]) -> None:
    """Write the table anew without some columns, in one commit; then it takes nulls in all others.

    Without a mapping of columns, which other readers do not know, Delta drops none from stored files.
    """
    from delta.tables import DeltaTable

    kept, path = stored(hold.lake, name).drop(*columns), hold.lake.path(name)
    parts = DeltaTable.forPath(hold.lake.spark, path).detail().collect()[0]["partitionColumns"]
    with hold.changing(name):
        writer = kept.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
        writer.partitionBy(*parts).save(path)


def set_property(hold: Hold, name: str, key: str, value: str) -> None:
    """Set one of Delta's properties of the table."""
    with hold.changing(name):
        table = quoted("delta", hold.lake.path(name))
        hold.lake.spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('{key}' = '{value}')")
