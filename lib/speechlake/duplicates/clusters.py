"""Who is a copy of whom: pairs and equal samples -> rows of `duplicates`.

Two partitions of the same utterances. Copies (exact and near) make a cluster, of which a release keeps one.
All that share audio, parts included, make an overlap, which a release keeps on one side. Ids are inherited, so
that a cluster keeps its name as it grows.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from speechlake.checkpoints import Staged, checkpointed
from speechlake.duplicates.boilerplate import boilerplate, common_places, ends, without_common_parts
from speechlake.joins import sent_if_few
from speechlake.schemas import DUPLICATES
from speechlake.splits.components import components
from speechlake.splits.keys import id_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# How clusters are made of pairs: a lake whose clusters were made otherwise gets new ones by the next run.
CLUSTERING_VERSION = 4
# What has a name of its own: copies of one another, and all that share audio.
KINDS = ("cluster", "overlap")


def duplicates(
    current: DataFrame,
    pairs: DataFrame,
    former: DataFrame,
    staged: Staged = checkpointed,
    *,
    evaluating: Collection[str] = (),
) -> DataFrame:
    """Rows of `duplicates` for all utterances that share audio with others.

    `current` has one row per utterance that is there, or was published, of `those_sharing` at least: corpus, utterance_id,
    recording_id, content_sha256, is_retired, audio_samples_sha256 (null is like nothing), duration_s. `pairs` are rows of
    `audio_pairs` between two of them, `former` rows of `duplicates` as they were. A clip of the corpora `evaluating`, and
    its copies, are boilerplate by their copies alone: its text goes on to keep train clean where 20 other recordings quote it.
    """
    exact = staged("exact", same_samples(current))
    near = pairs.where("kind = 'near'").select(*ends(pairs))
    copies = staged("copies", _labelled(exact.unionByName(near), staged))
    parts = pairs.where("kind = 'contained'")
    common = staged("common places", common_places(parts, current, staged))
    everywhere = staged("boilerplate", boilerplate(current, copies, common, evaluating))
    parts = without_common_parts(parts, common)
    linking = exact.unionByName(near).unionByName(parts.select(*ends(parts)))
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

    edges = same_samples(current).unionByName(pairs.select(*ends(pairs)))
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

    # What shares a part alone is a cluster of its own, and so is a jingle without copies.
    named_here = overlaps.select("utterance_id").unionByName(everywhere)
    alone = named_here.join(copies, on="utterance_id", how="left_anti").withColumn(
        "label", F.col("utterance_id")
    )
    members = copies.unionByName(alone)
    names = named(_of_both_kinds(members, overlaps, "label"), current, _former_names(former))
    twins = exact.select(F.explode(F.array("low", "high")).alias("utterance_id"))
    ids = [F.when(F.col("kind") == kind, F.col("id")).alias(f"{kind}_id") for kind in KINDS]
    # Gathered, not joined: each of these would be moved and sorted for a join of its own.
    said = closeness(pairs)
    for fact in (
        names.select("utterance_id", *ids),
        twins.withColumn("is_exact", F.lit(True)),
        everywhere.withColumn("is_boilerplate", F.lit(True)),
    ):
        said = said.unionByName(fact, allowMissingColumns=True)
    told = said.groupBy("utterance_id").agg(
        *(F.max(name).alias(name) for name in said.columns if name != "utterance_id")
    )
    rows = told.where("cluster_id IS NOT NULL").join(current, on="utterance_id", how="inner")
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


def closeness(pairs: DataFrame) -> DataFrame:
    """(utterance_id, near, shared_s) of both ends of each pair: 1 minus the bit error rate of a copy; the common part."""
    from pyspark.sql import functions as F

    near = F.when(F.col("kind") == "near", 1 - F.col("bit_error_rate")).alias("near")
    ends = F.explode(F.array("utterance_id", "other_id")).alias("utterance_id")
    return pairs.select(ends, near, "shared_s")


def _former_names(former: DataFrame) -> DataFrame:
    ids = {kind: former.withColumnRenamed(f"{kind}_id", "id") for kind in KINDS}
    return _of_both_kinds(ids["cluster"], ids["overlap"], "id")


def _of_both_kinds(cluster: DataFrame, overlap: DataFrame, column: str) -> DataFrame:
    """(utterance_id, column, kind) of clusters and of overlaps."""
    from pyspark.sql import functions as F

    one, other = (
        rows.select("utterance_id", column, F.lit(kind).alias("kind"))
        for kind, rows in zip(KINDS, (cluster, overlap), strict=True)
    )
    return one.unionByName(other)


def named(labels: DataFrame, current: DataFrame, former: DataFrame) -> DataFrame:
    """(utterance_id, kind, id): the name of each label's cluster or overlap, inherited where its members had one.

    `labels` are (utterance_id, label, kind), `former` (utterance_id, id, kind), of each `kind` an utterance once.
    Of several names of clusters that grew together the lowest stays. Where a cluster fell apart, the part with
    its lowest member keeps the name. A new name is made of the lowest member and its content, and of
    its last one too where that is somebody else's name.
    """
    from pyspark.sql import functions as F

    remembered = labels.join(former, on=["utterance_id", "kind"], how="inner")
    owner = (
        remembered.groupBy("id", "kind")
        .agg(F.min(F.struct("utterance_id", "label")).alias("m"))
        .select("id", "kind", "m.label")
    )
    inherited = owner.groupBy("label", "kind").agg(F.min("id").alias("inherited"))
    lowest = current.select(F.col("utterance_id").alias("label"), "content_sha256")
    fresh = id_of("kind", "label", "content_sha256")
    # The lowest member may have left a cluster that goes on under the name that it had given.
    taken = owner.select(F.col("id").alias("fresh"), "kind", F.lit(True).alias("is_taken"))
    another = F.when(F.col("is_taken"), id_of("kind", "fresh", "last"))
    names = (
        labels.groupBy("label", "kind")
        .agg(F.max("utterance_id").alias("last"))
        .join(lowest, on="label", how="left")
        .join(inherited, on=["label", "kind"], how="left")
        .withColumn("fresh", fresh)
        .join(taken, on=["fresh", "kind"], how="left")
        .select("label", "kind", F.coalesce("inherited", another, "fresh").alias("id"))
    )
    return labels.join(names, on=["label", "kind"], how="inner").select("utterance_id", "kind", "id")
