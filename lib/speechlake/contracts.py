"""Frames against contracts: schemas and conformance. Checking never repairs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from speechlake.errors import TableMismatch
from speechlake.schemas import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

# Widenings that lose nothing; any other difference of types is a mistake of the caller.
SAFE_CASTS = {("int", "bigint"), ("smallint", "int"), ("float", "double"), ("int", "double"), ("void", "*")}


def struct_of(table: Table) -> StructType:
    """The contract as a Spark schema, comments and nullability included."""
    from pyspark.sql.types import StructType

    return cast(StructType, StructType.fromDDL(table.ddl))


def empty(spark: SparkSession, table: Table) -> DataFrame:
    """A frame of `table` without rows."""
    # Of a frame that is made of no rows, Spark does not know that it has none, and plans its joins and sorts.
    return spark.createDataFrame([], struct_of(table)).where("false")


def rows_of(spark: SparkSession, table: Table, rows: Iterable[Any]) -> DataFrame:
    """A frame of a few rows that the driver holds, dicts or Rows, in one partition: of several, the first would be empty."""
    values = [tuple(row[name] for name in table.column_names) for row in rows]
    return spark.createDataFrame(values, struct_of(table)).coalesce(1)


def conform(frame: DataFrame, table: Table) -> DataFrame:
    """`frame` with exactly the columns of `table`, in order; TableMismatch names every miss at once."""
    from pyspark.sql import functions as F

    found = {field.name: field.dataType.simpleString() for field in frame.schema.fields}
    wanted = {field.name: field.dataType.simpleString() for field in struct_of(table).fields}
    misses = [f"column {name!r} is missing" for name in wanted if name not in found]
    misses += [f"column {name!r} is not in the contract" for name in found if name not in wanted]
    misses += [
        f"column {name!r} is {found[name]}, the contract says {kind}"
        for name, kind in wanted.items()
        if name in found and not _fits(found[name], kind)
    ]
    if misses:
        raise TableMismatch(f"a frame does not fit table {table.name!r}: " + "; ".join(misses))
    return frame.select(*[F.col(f"`{name}`").cast(kind).alias(name) for name, kind in wanted.items()])


def check_stored(stored: StructType, table: Table, path: str) -> None:
    """TableMismatch when the columns of a stored table are not the contract's."""
    found = {field.name: field.dataType.simpleString() for field in stored.fields}
    wanted = {field.name: field.dataType.simpleString() for field in struct_of(table).fields}
    if found != wanted:
        differing = sorted(
            name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)
        )
        raise TableMismatch(
            f"table {table.name!r} in {path} differs from this code's contract in {', '.join(differing)}",
            hint="Older lakes: `speechlake upgrade-lake --lake LAKE`. Else install the version that wrote this one.",
        )


def _fits(found: str, wanted: str) -> bool:
    # A map or struct whose inner nullability differs has the same simple string: only names and types count.
    return found == wanted or (found, wanted) in SAFE_CASTS or (found, "*") in SAFE_CASTS
