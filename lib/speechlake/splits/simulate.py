"""What a policy would keep, and what would change if another took its place: small frames of a build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.splits.build import Build

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

EXCLUDED = "excluded"
# Ids are hashes: the lowest that begin with each of these digits are a sample that stays the same.
_BEGINNINGS = ("[0-5]", "[6-9a]", "[b-f]")


def by_side(build: Build) -> DataFrame:
    """(split, utterances, hours) of each side, and of what is excluded."""
    side = F.coalesce("split", F.lit(EXCLUDED)).alias("split")
    sums = [F.sum(name).alias(name) for name in ("utterances", "hours")]
    return build.counts.groupBy(side).agg(*sums).orderBy("split")


def by_corpus_and_language(build: Build) -> DataFrame:
    """(corpus, language, hours, train, dev, test): hours there are, and hours of each side."""
    sides = [
        F.sum(F.when(F.col("split") == side, F.col("hours")).otherwise(0.0)).alias(side)
        for side in ("train", "dev", "test")
    ]
    counts = build.counts.groupBy("corpus", "language")
    return counts.agg(F.sum("hours").alias("hours"), *sides).orderBy("corpus", "language")


def by_reason(build: Build) -> DataFrame:
    """(reason, utterances, hours) of what is excluded, by the first reason of each row."""
    hours = F.coalesce(F.sum("duration_s"), F.lit(0.0)) / 3600
    rows = build.decisions.groupBy(F.col("rule").alias("reason"))
    return rows.agg(F.count("*").alias("utterances"), hours.alias("hours")).orderBy(
        F.col("utterances").desc(), "reason"
    )


def changes(first: Build, second: Build) -> DataFrame:
    """(was, becomes, reason, utterances, hours, examples): rows that end elsewhere under the second policy.

    `reason` is the first reason why a row is excluded there, or was here. `examples` are up to three ids.
    """
    was = _ends(first).select(
        "utterance_id", F.col("end").alias("was"), F.col("reason").alias("was_out"), "s"
    )
    becomes = _ends(second).select(
        "utterance_id", F.col("end").alias("becomes"), F.col("reason").alias("out")
    )
    moved = was.join(becomes, "utterance_id", how="inner").filter(F.col("was") != F.col("becomes"))
    grouped = moved.groupBy("was", "becomes", F.coalesce("out", "was_out").alias("reason"))
    hours = F.coalesce(F.sum("s"), F.lit(0.0)) / 3600
    examples = F.array_compact(F.array(*map(_lowest, _BEGINNINGS)))
    return grouped.agg(
        F.count("*").alias("utterances"), hours.alias("hours"), examples.alias("examples")
    ).orderBy(F.col("utterances").desc(), "was", "becomes", "reason")


def _ends(build: Build) -> DataFrame:
    """(utterance_id, end, reason, s) of every row of a build."""
    nothing = F.lit(None).cast("string")
    kept = build.splits.select(
        "utterance_id", F.col("split").alias("end"), nothing.alias("reason"), F.col("duration_s").alias("s")
    )
    out = build.decisions.select(
        "utterance_id",
        F.lit(EXCLUDED).alias("end"),
        F.col("rule").alias("reason"),
        F.col("duration_s").alias("s"),
    )
    return kept.unionByName(out)


def _lowest(beginning: str) -> Column:
    return F.min(F.when(F.col("utterance_id").rlike(f"^{beginning}"), F.col("utterance_id")))
