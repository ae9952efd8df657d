"""Plans, tombstones and lakes of frames, for tests that need no lake on disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from speechlake.contracts import empty
from speechlake.erasure.tables import Plan
from speechlake.erasure.tombstones import hash_of
from speechlake.schemas import TABLES, TOMBSTONES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SALT = "salt"
AS_THEY_ARE = ("link_key", "run", "warning")


class Frames:
    """A lake that is read, and nothing else."""

    root = "frames"

    def __init__(self, spark: SparkSession, frames: Mapping[str, DataFrame]) -> None:
        self.spark, self.frames = spark, frames

    def exists(self, name: str) -> bool:
        return name in self.frames

    def read(self, name: str) -> DataFrame:
        return self.frames[name] if name in self.frames else empty(self.spark, TABLES[name])


def hashes(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(kind, hash) of values by kind; a value of several parts is a tuple, and ids stand as they are."""
    return [
        (kind, value)
        if kind in AS_THEY_ARE
        else (kind, hash_of(SALT, kind, *([value] if isinstance(value, str) else value)))
        for kind, each in values.items()
        for value in each
    ]


def plan(spark: SparkSession, **values: Any) -> Plan:
    """A plan of these values."""
    frame = spark.createDataFrame(hashes(values), "kind string, hash string")
    return Plan(SALT, frame, frozenset(values))


def buried(spark: SparkSession, **values: Any) -> Any:
    """A lake with tombstones of these values."""
    rows = [(SALT, kind, digest) for kind, digest in hashes(values)]
    return Frames(spark, {"tombstones": spark.createDataFrame(rows, TOMBSTONES.ddl)})
