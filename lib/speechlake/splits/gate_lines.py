"""Lines of the gate: what is on which sides, of how many utterances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# Sides as bits of a number: Spark compiles aggregates of numbers, and sorts all rows to collect the texts of many groups.
BITS: Mapping[str, int] = {"dev": 1, "test": 2, "train": 4}
_NO_SIDE, _BIT_OF_NO_SIDE = "no side", 8


def bit(side: str) -> Column:
    """The bit of a column's side; a table may be damaged past what its contract allows."""
    bits = (F.when(F.col(side) == name, F.lit(number)) for name, number in BITS.items())
    return F.coalesce(*bits, F.lit(_BIT_OF_NO_SIDE))


def counted() -> tuple[Column, Column]:
    """Aggregates of a group: the sides that are `seen` in it, and how many utterances."""
    return F.bit_or(bit("split")).alias("seen"), F.count("*").alias("utterances")


def astride() -> Column:
    """True of a counted group that is on more than one side."""
    return F.bit_count("seen") > 1


def each(rows: DataFrame) -> DataFrame:
    """One counted group per utterance."""
    return rows.groupBy(F.col("utterance_id").alias("value")).agg(*counted())


def lines(groups: DataFrame, kind: str | Column) -> DataFrame:
    """(kind, value, sides, utterances) of counted groups, their sides by name and in order."""
    bits = {**BITS, _NO_SIDE: _BIT_OF_NO_SIDE}
    named = (F.when(F.col("seen").bitwiseAND(number) > 0, F.lit(name)) for name, number in bits.items())
    sides = F.array_compact(F.array(*named))
    said = F.lit(kind) if isinstance(kind, str) else kind
    return groups.select(said.alias("kind"), "value", sides.alias("sides"), "utterances")


def is_boilerplate() -> Column:
    """True where the audio is heard in many recordings, and so links nobody. Never null."""
    return F.coalesce(F.col("duplicate_kind") == "boilerplate", F.lit(False))
