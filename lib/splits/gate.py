"""The check in the publishing path: recomputes, from exactly the rows to be published, what must never happen.

It shares nothing with the code that fills sides except the contract of an id, and looks at values, not keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.splits.keys import id_of

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def leaks(split_rows: DataFrame, links: DataFrame, assignments: DataFrame) -> DataFrame:
    """(kind, value, sides, utterances) of everything that sits where it must not; no rows: publish.

    `split_rows` are the rows of `splits` of one build (utterance_id, split). `links` has one row per
    utterance: utterance_id, corpus, speaker_id, recording_id, single_speaker, cluster_id, duplicate_kind.
    `assignments` holds link_key and side of the scheme, one row per key. Kinds: `utterance` (twice in the
    build, or on two sides), `recording`, `duplicate`, `speaker` (unless all its rows are in one corpus
    declared `single_speaker`), `unknown_utterance`, and `moved` (its published side is another).
    """
    rows = split_rows.select("utterance_id", "split").join(
        links.withColumn("known", F.lit(True)), "utterance_id", how="left"
    )
    inside_one_corpus = (F.min("corpus") == F.max("corpus")) & F.bool_and("single_speaker")
    clusters = rows.filter(F.coalesce(F.col("duplicate_kind"), F.lit("")) != "boilerplate")
    found = (
        _on_two_sides(rows, "speaker", "speaker_id", inside_one_corpus),
        _on_two_sides(rows, "recording", "recording_id"),
        _on_two_sides(clusters, "duplicate", "cluster_id"),
        _repeated(rows),
        _unknown(rows),
        _moved(rows, assignments),
    )
    first, *others = found
    for other in others:
        first = first.unionByName(other)
    return first


def _on_two_sides(rows: DataFrame, kind: str, column: str, allowed: Column | None = None) -> DataFrame:
    """Values of `column` with rows on more than one side, unless `allowed` holds for all their rows."""
    values = rows.filter(F.col(column).isNotNull()).groupBy(F.col(column).alias("value"))
    exempt = F.coalesce(allowed, F.lit(False)) if allowed is not None else F.lit(False)
    counted = values.agg(_sides(), F.count("*").alias("utterances"), exempt.alias("exempt"))
    return _found(counted.filter((F.size("sides") > 1) & ~F.col("exempt")), kind)


def _repeated(rows: DataFrame) -> DataFrame:
    counted = rows.groupBy(F.col("utterance_id").alias("value")).agg(
        _sides(), F.count("*").alias("utterances")
    )
    return _found(counted.filter("utterances > 1"), "utterance")


def _unknown(rows: DataFrame) -> DataFrame:
    stray = rows.filter(F.col("known").isNull()).groupBy(F.col("utterance_id").alias("value"))
    return _found(stray.agg(_sides(), F.count("*").alias("utterances")), "unknown_utterance")


def _moved(rows: DataFrame, assignments: DataFrame) -> DataFrame:
    """Rows whose own published side is another than the one they have now."""
    keyed = rows.withColumn("link_key", id_of(F.lit("utterance"), F.col("utterance_id")))
    published = assignments.select("link_key", F.col("side").alias("published"))
    moved = keyed.join(published, "link_key", how="inner").filter(F.col("split") != F.col("published"))
    both = F.array_sort(F.array("split", "published"))
    counted = moved.select(
        F.col("utterance_id").alias("value"), both.alias("sides"), F.lit(1).cast("bigint").alias("utterances")
    )
    return _found(counted, "moved")


def _sides() -> Column:
    return F.array_sort(F.collect_set("split")).alias("sides")


def _found(counted: DataFrame, kind: str) -> DataFrame:
    return counted.select(F.lit(kind).alias("kind"), "value", "sides", "utterances")
