"""Generated tables: rows of a contract by SQL over a counter, for benchmarks that need many and no audio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from speechlake.lake import Lake
from speechlake.schemas import TABLES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

USUAL = {
    "string": "'x'",
    "bigint": "0L",
    "int": "0",
    "double": "0.0D",
    "boolean": "false",
    "array<string>": "cast(array() as array<string>)",
}


def generated(lake: Lake, name: str, count: int, said: Mapping[str, str]) -> DataFrame:
    """`count` rows of a contract: columns of `said` by SQL over `id`, others null or empty."""
    return shaped(lake.spark.range(count), name, said)


def shaped(frame: DataFrame, name: str, said: Mapping[str, str]) -> DataFrame:
    """The rows of `frame` in a contract: columns of `said` by SQL over its columns, others null or empty."""
    columns = []
    for column in TABLES[name].columns:
        value = said.get(column.name)
        if value is None:
            value = "null" if column.nullable else USUAL.get(column.type, "map()")
        columns.append(f"cast({value} as {column.type}) as `{column.name}`")
    return frame.selectExpr(*columns)
