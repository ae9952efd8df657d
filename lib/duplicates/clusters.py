"""Who is a copy of whom: pairs and equal samples -> rows of `duplicates`.

Two partitions of the same utterances. Copies (exact and near) make a cluster, of which a release keeps one.
All that share audio, parts included, make an overlap, which a release keeps on one side. Ids are inherited, so
that a cluster keeps its name as it grows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechlake.checkpoints import Staged, checkpointed
from speechlake.joins import sent_if_few
from speechlake.schemas import DUPLICATES
from speechlake.splits.components import components
from speechlake.splits.keys import id_of

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# A jingle or prompt that lies in more recordings than this says nothing of who belongs together.
BOILERPLATE_RECORDINGS = 20
# A part that lies in more recordings is boilerplate too; what two utterances share beyond it by a second is theirs.
BEYOND_S = 1.0


def duplicates(
    current: DataFrame, pairs: DataFrame, former: DataFrame, staged: Staged = checkpointed
) -> DataFrame:
    """Rows of `duplicates` for all utterances that share audio with others.

    `current` has one row per utterance that is there, of `those_sharing` at least: corpus, utterance_id, recording_id,
    content_sha256, audio_samples_sha256 (null is like nothing), duration_s. `pairs` are rows of `audio_pairs`
    between two of them, `former` rows of `duplicates` as they were.
    """
    from pyspark.sql import functions as F

    exact = staged("exact", same_samples(current))
    near = pairs.where("kind = 'near'").select(*_ends(pairs))
    copies = staged("copies", _labelled(exact.unionByName(near), staged))
    known = current.join(copies, on="utterance_id", how="inner")
    many = known.groupBy("label").agg(F.countDistinct("recording_id").alias("recordings"))
    boilerplate = many.where(F.col("recordings") > BOILERPLATE_RECORDINGS).select("label")
    everywhere = staged(
        "boilerplate", copies.join(boilerplate, on="label", how="left_semi").select("utterance_id")
    )
    parts = without_common_parts(pairs.where("kind = 'contained'"), current)
    linking = exact.unionByName(near).unionByName(parts.select(*_ends(parts)))
    for end in ("low", "high"):
        linking = linking.join(
            everywhere.withColumnRenamed("utterance_id", end), on=end, how="left_anti"
        ).select("low", "high")
    overlaps = staged("overlaps", _labelled(linking, staged))
    return _rows(current, pairs, exact, copies, overlaps, everywhere, former)


def those_sharing(current: DataFrame, pairs: DataFrame, staged: Staged = checkpointed) -> DataFrame:
    """Rows of `current` that are named in `pairs`, or have the samples of another: mostly a few, so that no later step
    moves the others."""
    from pyspark.sql import functions as F

    edges = same_samples(current).unionByName(pairs.select(*_ends(pairs)))
    ids = edges.select(F.explode(F.array("low", "high")).alias("utterance_id")).distinct()
    sharing = sent_if_few(staged("sharing", ids))
    return staged("here", current.join(sharing, on="utterance_id", how="left_semi"))


def same_samples(current: DataFrame) -> DataFrame:
    """(low, high): each utterance with the first one whose decoded samples are the same."""
    from pyspark.sql import functions as F

    heard = current.where(F.col("audio_samples_sha256").isNotNull())
    first = heard.groupBy("audio_samples_sha256").agg(
        F.min("utterance_id").alias("low"), F.count("*").alias("n")
    )
    edges = heard.join(first.where("n > 1"), on="audio_samples_sha256", how="inner")
    return edges.where(F.col("low") != F.col("utterance_id")).select(
        "low", F.col("utterance_id").alias("high")
    )


def without_common_parts(parts: DataFrame, current: DataFrame) -> DataFrame:
    """Pairs with a common part that is theirs: not one that lies in more than BOILERPLATE_RECORDINGS recordings.

    Per utterance, the length that it shares with that many other recordings is common to all (a jingle at the
    start of each episode); a pair that shares no more than that, and BEYOND_S, is left out.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    where = current.select(F.col("utterance_id").alias("partner"), "recording_id")
    one = parts.select("utterance_id", F.col("other_id").alias("partner"), "shared_s")
    other = parts.select(
        F.col("other_id").alias("utterance_id"), F.col("utterance_id").alias("partner"), "shared_s"
    )
    by_recording = (
        one.unionByName(other)
        .join(where, on="partner", how="inner")
        .groupBy("utterance_id", "recording_id")
        .agg(F.max("shared_s").alias("shared_s"))
    )
    longest = Window.partitionBy("utterance_id").orderBy(F.col("shared_s").desc(), "recording_id")
    common = (
        by_recording.withColumn("n", F.row_number().over(longest))
        .where(F.col("n") == BOILERPLATE_RECORDINGS + 1)
        .select("utterance_id", F.col("shared_s").alias("common_s"))
    )
    kept = parts
    for end in ("utterance_id", "other_id"):
        limit = common.select(F.col("utterance_id").alias(end), "common_s")
        beyond = F.col("common_s").isNull() | (F.col("shared_s") > F.col("common_s") + BEYOND_S)
        kept = kept.join(limit, on=end, how="left").where(beyond).select(*parts.columns)
    return kept


def _ends(pairs: DataFrame) -> list[Column]:
    return [pairs["utterance_id"].alias("low"), pairs["other_id"].alias("high")]


def _labelled(edges: DataFrame, staged: Staged) -> DataFrame:
    from pyspark.sql import functions as F

    found = components(edges.distinct(), staged=staged)
    return found.select(F.col("key").alias("utterance_id"), "label")


def _rows(
    current: DataFrame,
    pairs: DataFrame,
    exact: DataFrame,
    copies: DataFrame,
    overlaps: DataFrame,
    everywhere: DataFrame,
    former: DataFrame,
) -> DataFrame:
    from pyspark.sql import functions as F

    # What shares a part alone is a cluster of its own.
    alone = overlaps.join(copies, on="utterance_id", how="left_anti").withColumn(
        "label", F.col("utterance_id")
    )
    members = copies.unionByName(alone)
    cluster = named(
        members, current, former.select("utterance_id", F.col("cluster_id").alias("id")), "cluster"
    )
    overlap = named(
        overlaps, current, former.select("utterance_id", F.col("overlap_id").alias("id")), "overlap"
    )
    twins = exact.select(F.explode(F.array("low", "high")).alias("utterance_id")).distinct()
    flags = {
        "exact": twins,
        "boilerplate": everywhere,
    }
    rows = (
        members.select("utterance_id")
        .join(current, on="utterance_id", how="inner")
        .join(cluster.withColumnRenamed("id", "cluster_id"), on="utterance_id", how="inner")
        .join(overlap.withColumnRenamed("id", "overlap_id"), on="utterance_id", how="left")
        .join(closest(pairs), on="utterance_id", how="left")
    )
    for name, frame in flags.items():
        rows = rows.join(frame.withColumn(f"is_{name}", F.lit(True)), on="utterance_id", how="left")
    kind = (
        F.when(F.col("is_boilerplate"), "boilerplate")
        .when(F.col("is_exact"), "exact")
        .when(F.col("near").isNotNull(), "near")
        .otherwise("contained")
    )
    part = F.least(F.lit(1.0), F.try_divide(F.col("shared_s"), F.col("duration_s")))
    likeness = F.when(F.col("is_exact"), F.lit(1.0)).otherwise(F.coalesce("near", part, F.lit(0.0)))
    return (
        rows.withColumn("kind", kind)
        .withColumn("similarity", likeness)
        .withColumn("overlap_id", F.coalesce("overlap_id", "cluster_id"))
        .select(*DUPLICATES.column_names)
    )


def closest(pairs: DataFrame) -> DataFrame:
    """(utterance_id, near, shared_s): 1 minus the lowest bit error rate of a copy; the longest common part."""
    from pyspark.sql import functions as F

    values = ("kind", "bit_error_rate", "shared_s")
    both = pairs.select("utterance_id", *values).unionByName(
        pairs.select(F.col("other_id").alias("utterance_id"), *values)
    )
    near = F.max(F.when(F.col("kind") == "near", 1 - F.col("bit_error_rate")))
    return both.groupBy("utterance_id").agg(near.alias("near"), F.max("shared_s").alias("shared_s"))


def named(labels: DataFrame, current: DataFrame, former: DataFrame, kind: str) -> DataFrame:
    """(utterance_id, id): the name of each label's cluster, inherited where its members had one.

    Of several names of clusters that grew together the lowest stays. Where a cluster fell apart, the part with
    its lowest member keeps the name. A new name is made of the lowest member and its content, and of
    its last one too where that is somebody else's name.
    """
    from pyspark.sql import functions as F

    remembered = labels.join(former, on="utterance_id", how="inner")
    owner = (
        remembered.groupBy("id")
        .agg(F.min(F.struct("utterance_id", "label")).alias("m"))
        .select("id", "m.label")
    )
    inherited = owner.groupBy("label").agg(F.min("id").alias("inherited"))
    lowest = current.select(F.col("utterance_id").alias("label"), "content_sha256")
    fresh = id_of(F.lit(kind), F.col("label"), F.col("content_sha256"))
    # The lowest member may have left a cluster that goes on under the name that it had given.
    taken = owner.select(F.col("id").alias("fresh"), F.lit(True).alias("is_taken"))
    another = F.when(F.col("is_taken"), id_of(F.lit(kind), F.col("fresh"), F.col("last")))
    names = (
        labels.groupBy("label")
        .agg(F.max("utterance_id").alias("last"))
        .join(lowest, on="label", how="left")
        .join(inherited, on="label", how="left")
        .withColumn("fresh", fresh)
        .join(taken, on="fresh", how="left")
        .select("label", F.coalesce("inherited", another, "fresh").alias("id"))
    )
    return labels.join(names, on="label", how="inner").select("utterance_id", "id")
