"""One change of a stored table, and the two ways to make one: a column that is null, a column with values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    """Add columns (name -> SQL type) that are null in all rows, in one commit that writes no row."""
    listed = ", ".join(f"`{column}` {kind}" for column, kind in columns.items())
    with hold.changing(name):
        hold.lake.spark.sql(f"ALTER TABLE delta.`{hold.lake.path(name)}` ADD COLUMNS ({listed})")


def rewrite(hold: Hold, name: str, rows: DataFrame) -> None:
    """Replace columns and rows of the table by those of `rows`, in one commit. Properties and partitioning stay."""
    with hold.changing(name):
        writer = rows.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
        partition = hold.lake.snapshot(name).metadata().partitionColumns()
        columns = [partition.apply(n) for n in range(partition.size())]
        writer = writer.partitionBy(*columns) if columns else writer
        writer.save(hold.lake.path(name))


def set_property(hold: Hold, name: str, key: str, value: str) -> None:
    """Set one of Delta's properties of the table."""
    with hold.changing(name):
        hold.lake.spark.sql(
            f"ALTER TABLE delta.`{hold.lake.path(name)}` SET TBLPROPERTIES ('{key}' = '{value}')"
        )


def property_of(lake: Lake, name: str, key: str) -> str | None:
    """One of Delta's properties of the table; None where it is not set."""
    found = lake.snapshot(name).metadata().configuration().get(key)
    return str(found.get()) if found.isDefined() else None
