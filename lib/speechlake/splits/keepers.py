"""Of rows that say the same, which one stays: copies of one another, boilerplate, overlapping intervals."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.splits.text import kind_rank

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.splits.policy import Policy


# Each of them includes those before it.
KINDS = ("exact", "near", "contained")


def counted_as(policy: Policy) -> Column:
    """What stands for a row when hours are counted: its copies are counted once, if one of them will stay."""
    cluster = F.col("overlap_id") if "contained" in policy.duplicates.kinds else _copied(policy)
    return F.coalesce(F.when(_compete(policy), cluster), "utterance_id")


def _compete(policy: Policy) -> Column:
    """True of rows of which one stays: with near copies exact ones compete, with parts all that they are parts of."""
    most = max(KINDS.index(kind) for kind in policy.duplicates.kinds)
    return F.col("duplicate_kind").isin(list(KINDS[: most + 1]))


def _copied(policy: Policy) -> Column:
    """What copies have in common: their cluster, of which near copies are too, or just their samples."""
    exact_alone = policy.duplicates.kinds == ("exact",)
    return F.col("audio_samples_sha256") if exact_alone else F.col("cluster_id")


def preference(policy: Policy) -> Column:
    """A struct that sorts better rows first: by the policy's order, then by id."""
    columns = [_better(name).alias(name) for name in policy.duplicates.keep]
    return F.struct(*columns, "utterance_id")


def _better(name: str) -> Column:
    """A number that is lower for a better copy; what was not measured comes last."""
    last = F.lit(float("inf"))
    if name == "text_kind":
        return kind_rank(F.col("text_kind"))
    if name == "duration":
        return -F.col("ms")
    if name == "quality":
        # NaN would sort above every number, and so come after what was not measured.
        return F.coalesce(F.nanvl(-F.col("quality_ovrl"), last), last)
    rate = F.when(F.col("score_unit") == "char", F.col("score_cer")).otherwise(F.col("score_wer"))
    return F.coalesce(rate, last)


def beaten_copies(rows: DataFrame, policy: Policy) -> DataFrame:
    """(utterance_id, reason, detail) of the rows that give way to another one of their side, `detail`.

    `rows` are those that stay otherwise. Of each cluster the best row stays, the others are `duplicate_of_kept`;
    where the policy names `exact` alone, of each group of rows with the same samples. Where it names `contained`,
    of all that share audio the cluster with the longest row stays, and rows of other clusters are
    `contained_in_kept`. Of boilerplate, train keeps the policy's number of copies.
    """
    copies = rows.filter(_compete(policy)).select(
        *("utterance_id", "side", "cluster_id", "overlap_id", "ms"),
        *(_copied(policy).alias("copied"), preference(policy).alias("rank")),
    )
    found = (_beaten_in_clusters, _beaten_in_overlaps)["contained" in policy.duplicates.kinds](copies)
    return found.unionByName(_boilerplate(rows, policy))


def _beaten_in_clusters(copies: DataFrame) -> DataFrame:
    best = copies.groupBy("side", "copied").agg(F.min("rank")["utterance_id"].alias("detail"))
    return _beaten(copies.join(best, ["side", "copied"], how="inner"), F.lit("duplicate_of_kept"))


def _beaten_in_overlaps(copies: DataFrame) -> DataFrame:
    clusters = copies.groupBy("side", "overlap_id", "cluster_id").agg(
        F.max("ms").alias("ms"), F.min("rank").alias("best")
    )
    # Of as long ones that with the better row: not by the cluster's name (see `_boilerplate`).
    longest = F.min(F.struct((-F.col("ms")).alias("less"), "best", "cluster_id")).alias("longest")
    kept = clusters.groupBy("side", "overlap_id").agg(longest)
    joined = copies.join(kept, ["side", "overlap_id"], how="inner").withColumn(
        "detail", F.col("longest.best.utterance_id")
    )
    same = F.col("cluster_id") == F.col("longest.cluster_id")
    return _beaten(joined, F.when(same, "duplicate_of_kept").otherwise("contained_in_kept"))


def _beaten(joined: DataFrame, reason: Column) -> DataFrame:
    others = joined.filter(F.col("detail") != F.col("utterance_id"))
    return others.select("utterance_id", reason.alias("reason"), "detail")


def _boilerplate(rows: DataFrame, policy: Policy) -> DataFrame:
    """Boilerplate beyond the number of copies that train keeps; on other sides there is none."""
    from pyspark.sql import Window

    said = rows.filter(F.col("boilerplate"))
    order = Window.partitionBy("side", "cluster_id").orderBy(preference(policy))
    beyond = F.row_number().over(order) > policy.duplicates.boilerplate_copies
    # Not the cluster's name, which is up to what the lake saw first: releases of the same rows have the same digest.
    best = F.first("utterance_id").over(order)
    return (
        said.withColumns({"beyond": beyond, "best": best})
        .filter("beyond")
        .select("utterance_id", F.lit("boilerplate").alias("reason"), F.col("best").alias("detail"))
    )


def without(rows: DataFrame, *out: DataFrame) -> DataFrame:
    """`rows` without those that any of `out` names."""
    return reduce(
        lambda frame, each: frame.join(each.select("utterance_id"), "utterance_id", how="left_anti"),
        out,
        rows,
    )
