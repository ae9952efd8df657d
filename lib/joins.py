"""Joins of what is known of an utterance: of many tables to one frame, and of a few rows to many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


# Rows of an id and little more that every task may hold: 20 to 40 MB.
FEW = 200_000


def sent_if_few(rows: DataFrame, most: int = FEW) -> DataFrame:
    """Rows, marked to be sent to those that they are joined with where they are few, as they mostly are. Counts them.

    Spark would move all rows to where these are, and see too late that it need not have.
    """
    from pyspark.sql import functions as F

    return F.broadcast(rows) if rows.count() <= most else rows


def lying_together(rows: DataFrame, *keys: str) -> DataFrame:
    """Rows, moved to where all of a key lie: before lists, or the lowest of texts, are gathered of each.

    Spark finds those by sorting: where the rows lie together already, once, else before and after it moves them.
    """
    return rows.repartition(*keys)


def with_matching(frame: DataFrame, rows: DataFrame, same: Sequence[str]) -> DataFrame:
    """Add the columns of the one row in `rows` of the same utterance that has the same values in `same`, or nulls.

    Spark sees one key, `utterance_id`: however many tables are joined, the wide frame is shuffled and sorted once.
    Were they all keys, it would be for each table anew, as each has others. A comparison from both sides is
    an equality that is not taken for a key.
    """
    from pyspark.sql import functions as F

    theirs = {name: f"their_{name}" for name in ("utterance_id", *same)}
    renamed = rows.withColumnsRenamed(theirs)
    matches = F.col("utterance_id") == F.col(theirs["utterance_id"])
    for name in same:
        matches &= F.col(name).between(F.col(theirs[name]), F.col(theirs[name]))
    return frame.join(renamed, on=matches, how="left").drop(*theirs.values())
