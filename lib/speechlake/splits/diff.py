"""What differs between two releases, row by row, as one small frame of counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake

ADDED, REMOVED, MOVED, SAME = "added", "removed", "moved", "same"
NEW_AUDIO, NEW_TEXT = "audio changed", "text changed"
# Why a row of the one release is not in the other, where that release says nothing of it.
NOT_KNOWN = "not known to it"
_TOLD = ("corpus", "language", "duration_s")
# What a row may have been otherwise in the first release, and counts with there.
_FORMER = ("language", "duration_s")


def changes(lake: Lake, before: str, after: str) -> DataFrame:
    """(utterance_id, change, before, after, reason, corpus, language, duration_s, language_before, duration_s_before) of
    every row that either build keeps.

    `before` and `after` are sides. What is told of a row is what `after` says, or `before` where that alone keeps it.
    `reason` is the first reason of the build that excludes a row, of `after` for what was removed, of `before` for what
    was added.
    """
    old, new = (_kept(lake, build, name) for build, name in ((before, "before"), (after, "after")))
    joined = old.join(new, "utterance_id", how="full")
    out = joined.join(_reasons(lake, before, "why_not_before"), "utterance_id", how="left").join(
        _reasons(lake, after, "why_not_after"), "utterance_id", how="left"
    )
    change = _change()
    reason = F.when(change == REMOVED, F.coalesce("why_not_after", F.lit(NOT_KNOWN))).when(
        change == ADDED, F.coalesce("why_not_before", F.lit(NOT_KNOWN))
    )
    is_there = F.col("after").isNotNull()
    either = [F.when(is_there, F.col(f"after_{c}")).otherwise(F.col(f"before_{c}")).alias(c) for c in _TOLD]
    former = [F.col(f"before_{c}").alias(f"{c}_before") for c in _FORMER]
    return out.select(
        "utterance_id", change.alias("change"), "before", "after", reason.alias("reason"), *either, *former
    )


def counted(found: DataFrame) -> DataFrame:
    """(change, before, after, reason, language, language_before, clips, hours, hours_before): as many rows as sides,
    languages and reasons."""
    by = ("change", "before", "after", "reason", "language", "language_before")
    hours, hours_before = (F.sum(column) / 3600 for column in ("duration_s", "duration_s_before"))
    summed = found.groupBy(*by).agg(
        F.count("*").alias("clips"), hours.alias("hours"), hours_before.alias("hours_before")
    )
    return summed.orderBy(*by)


def _change() -> Column:
    same_text = F.col("before_text").eqNullSafe(F.col("after_text"))
    return (
        F.when(F.col("before").isNull(), ADDED)
        .when(F.col("after").isNull(), REMOVED)
        .when(F.col("before") != F.col("after"), MOVED)
        .when(F.col("before_content_sha256") != F.col("after_content_sha256"), NEW_AUDIO)
        .when(~same_text, NEW_TEXT)
        .otherwise(SAME)
    )


def _kept(lake: Lake, build: str, name: str) -> DataFrame:
    """Kept rows of a build; of texts their hash is enough."""
    rows = lake.read("splits").where(F.col("build_id") == build)
    own = [F.col(column).alias(f"{name}_{column}") for column in (*_TOLD, "content_sha256")]
    text = F.sha2("text", 256).alias(f"{name}_text")
    return rows.select("utterance_id", F.col("split").alias(name), text, *own)


def _reasons(lake: Lake, build: str, name: str) -> DataFrame:
    rows = lake.read("decisions").where(F.col("build_id") == build)
    return rows.select("utterance_id", F.col("rule").alias(name))
