"""Joins of what is known of an utterance: of many tables to one frame, and of a few rows to many."""

from __future__ import annotations

from collections.abc import Collection, Sequence
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


# What begins the name of a struct of `packed`.
_PACK = "packed_"


def packed(frame: DataFrame, keep: Collection[str], only: Collection[str]) -> DataFrame:
    """The frame with columns of `only` that are not in `keep` in a struct, and without others: where many joins follow,
    a column moves in place of many.

    For each column of each join Spark writes code, which is slow until Java has compiled it. A million utterances,
    62 columns, eight joins: 57 s with all columns and 50 so in a new session, 32 and 24 over other limits in the same
    one. Planned outside of `checkpoints.planned_at_once`, Spark moves what is asked of a struct field by field.
    """
    from pyspark.sql import functions as F

    stay = [name for name in frame.columns if name in keep or name.startswith(_PACK)]
    loose = [name for name in frame.columns if name in only and name not in stay]
    number = sum(name.startswith(_PACK) for name in stay)
    return frame.select(*stay, *([F.struct(*loose).alias(f"{_PACK}{number}")] if loose else []))


def unpacked(frame: DataFrame, names: Collection[str]) -> DataFrame:
    """Those of `names` that the frame has, in structs of `packed` or beside them."""
    whole = frame.select(*(f"{name}.*" if name.startswith(_PACK) else name for name in frame.columns))
    return whole.select(*(name for name in whole.columns if name in names))


def with_matching(
    frame: DataFrame, rows: DataFrame, same: Sequence[str], *, of: str = "utterance_id"
) -> DataFrame:
    """Add the columns of the one row in `rows` of the same utterance (or what else `of` names) that has the same values
    in `same`, or nulls.

    Spark sees one key, `of`: however many tables are joined, the wide frame is shuffled and sorted once. Were they all
    keys, it would be for each table anew, as each has others. A comparison from both sides is an equality that is
    not taken for a key.
    """
    from pyspark.sql import functions as F

    theirs = {name: f"their_{name}" for name in (of, *same)}
    renamed = rows.withColumnsRenamed(theirs)
    matches = F.col(of) == F.col(theirs[of])
    for name in same:
        matches &= F.col(name).between(F.col(theirs[name]), F.col(theirs[name]))
    return frame.join(renamed, on=matches, how="left").drop(*theirs.values())
