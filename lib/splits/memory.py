"""What earlier releases said: sides are remembered by link key, so that a published row never moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.splits.keys import utterance_key
from speechlake.splits.policy import Side

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# Precedence: where memories differ, the higher side stays what it was.
RANKS: dict[Side, int] = {"train": 1, "dev": 2, "test": 3}


def rank_of(side: Column) -> Column:
    """A side as a number that grows with its precedence; null for null."""
    return F.coalesce(*(F.when(side == name, F.lit(rank)) for name, rank in RANKS.items()))


def side_of(rank: Column) -> Column:
    """The side of a rank; null for null."""
    return F.coalesce(*(F.when(rank == number, F.lit(name)) for name, number in RANKS.items()))


def fits(rank: Column) -> Column:
    """True where the row passes what its side asks for (`fits_train`, `fits_dev`, `fits_test`)."""
    return F.coalesce(*(F.when(rank == n, F.col(f"fits_{side}")) for side, n in RANKS.items()), F.lit(False))


def speaker_missing() -> Column:
    """Nobody said who speaks, in a corpus that is not declared to hold one speaker."""
    return F.col("speaker_id").isNull() & ~F.col("single_speaker")


def with_remembered_side(rows: DataFrame) -> DataFrame:
    """Add `remembered` (a rank or null) and `reason`, from what `with_memory_of_keys` found.

    A row that was published (`own`) keeps its side; any other takes the highest remembered in its group.
    Reasons are `speaker_elsewhere` (an evaluation row of a corpus that is train only), `speaker_unknown` (an
    evaluation row without a speaker), `boilerplate` and `bridges_splits`: a new row that shares a key directly
    with what was published on a lower side than its own, or a published row that does with one of a higher side.
    So a newcomer that ties two sides together goes, not what models were trained on: neither would its audio or
    speaker evaluate a model that an earlier release trained with it, nor does one wrong line empty train.
    """
    return (
        rows.transform(_with_memory_of_group)
        .withColumn("reason", why_not_there(F.col("remembered")))
        .transform(_with_bridges)
    )


def with_memory_of_keys(rows: DataFrame, assignments: DataFrame) -> DataFrame:
    """Add `own`, `highest` and `lowest`: ranks of a row's own published side, and of its link keys; or null.

    `assignments` holds link_key and side of this scheme, as published, one row per key.
    """
    keys = rows.select(
        "utterance_id", utterance_key().alias("own_key"), F.explode("link_keys").alias("link_key")
    )
    known = assignments.select("link_key", rank_of(F.col("side")).alias("rank"))
    own = F.max(F.when(F.col("link_key") == F.col("own_key"), F.col("rank")))
    memory = (
        keys.join(known, "link_key", how="inner")
        .groupBy("utterance_id")
        .agg(F.max("rank").alias("highest"), F.min("rank").alias("lowest"), own.alias("own"))
    )
    return rows.join(memory, "utterance_id", how="left")


def _with_memory_of_group(rows: DataFrame) -> DataFrame:
    # What a train-only corpus once evaluated binds nobody else, or its train rows would all be evicted.
    binding = F.when(~(F.col("train_only") & (F.col("highest") > RANKS["train"])), F.col("highest"))
    groups = rows.groupBy("link_group").agg(F.max(binding).alias("highest_in_group"))
    known = groups.filter(F.col("highest_in_group").isNotNull())
    joined = rows.join(known, "link_group", how="left")
    return joined.withColumn("remembered", F.coalesce("own", "highest_in_group")).drop("highest")


def why_not_there(rank: Column) -> Column:
    """Why a row cannot be on the side of `rank`, whatever it passes; null where nothing speaks against it."""
    evaluates = rank > RANKS["train"]
    return (
        F.when(evaluates & F.col("train_only"), F.lit("speaker_elsewhere"))
        .when(evaluates & speaker_missing(), F.lit("speaker_unknown"))
        .when(evaluates & F.col("boilerplate"), F.lit("boilerplate"))
    )


def _with_bridges(rows: DataFrame) -> DataFrame:
    """Exclude what ties sides together. Only groups with evaluation rows are looked at: these are few."""
    there = F.col("reason").isNull() & fits(F.col("remembered"))
    mixed = rows.filter(F.col("highest_in_group") > RANKS["train"])
    keyed = mixed.select(
        *("utterance_id", "own", "remembered", "reason", "lowest", there.alias("there")),
        F.explode("link_keys").alias("link_key"),
    )
    # A newcomer that stays shares no key with what is published lower, so that only published rows evict others.
    highest = F.max(F.when(F.col("there"), F.col("own"))).alias("highest_published")
    published = keyed.groupBy("link_key").agg(F.min("own").alias("lowest_published"), highest)
    lowest = F.least("lowest", "lowest_published")
    ties = F.when(F.col("own").isNull(), lowest < F.col("remembered")).otherwise(
        F.col("own") < F.col("highest_published")
    )
    bridges = (
        keyed.join(published, "link_key", how="inner")
        .filter(F.col("reason").isNull() & ties)
        .select("utterance_id", F.lit("bridges_splits").alias("bridge"))
        .distinct()
    )
    joined = rows.join(bridges, "utterance_id", how="left")
    return joined.withColumn("reason", F.coalesce("reason", "bridge")).drop(
        "bridge", "highest_in_group", "lowest"
    )
