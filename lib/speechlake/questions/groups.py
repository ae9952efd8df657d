"""What belongs together in a lake or release: copies, speakers, recordings, as small frames.

Rows need `ms`, and the columns of `utterances_now` or `decided` that a docstring names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.questions.hours import hours_of
from speechlake.units import MS_PER_HOUR

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

LARGEST = 10
COPIES = ("exact", "near")
# Hours of one voice: below the first nothing can be learned of it, above the last it colours a corpus.
SPEAKER_EDGES_H: tuple[float, ...] = (1 / 60, 10 / 60, 1.0, 5.0, 20.0)
SPEAKER_BINS: tuple[str, ...] = (
    *("under 1 min", "1–10 min", "10–60 min"),
    *("1–5 h", "5–20 h", "over 20 h"),
)


def _shared() -> Column:
    """What a row shares audio under: a jingle's own cluster, which links nothing, else all that overlaps."""
    return F.when(F.col("duplicate_kind") == "boilerplate", F.col("cluster_id")).otherwise(
        F.col("overlap_id")
    )


def duplicates_by_kind(rows: DataFrame) -> DataFrame:
    """Per kind of duplicate: clusters (what has copies, or shares a part), clips in them, their hours.

    Needs cluster_id, overlap_id and duplicate_kind. Copies of one clip may be exact and near: such a cluster
    counts under both.
    """
    cluster = F.when(F.col("duplicate_kind").isin(list(COPIES)), F.col("cluster_id")).otherwise(_shared())
    return (
        rows.where("duplicate_kind IS NOT NULL")
        .groupBy(F.col("duplicate_kind").alias("kind"))
        .agg(
            F.count_distinct(cluster).alias("clusters"),
            F.count("*").alias("clips"),
            hours_of(F.col("ms")).alias("hours"),
        )
        .orderBy("kind")
    )


def held_together(rows: DataFrame) -> DataFrame:
    """Per link: groups of two rows and more that no split parts, rows in them, their hours, rows of the largest group.

    Needs speaker_id, content_sha256, overlap_id and duplicate_kind.
    """
    shared = F.when(F.col("duplicate_kind") != "boilerplate", F.col("overlap_id"))
    links = {"speaker": F.col("speaker_id"), "file": F.col("content_sha256"), "audio in common": shared}
    said = F.array(
        *(F.struct(F.lit(link).alias("link"), value.alias("value")) for link, value in links.items())
    )
    each = rows.select("ms", F.explode(said).alias("s")).where("s.value IS NOT NULL")
    groups = each.groupBy("s.link", "s.value").agg(F.count("*").alias("clips"), F.sum("ms").alias("ms"))
    return (
        groups.where("clips > 1")
        .groupBy("link")
        .agg(
            F.count("*").alias("groups"),
            F.sum("clips").alias("clips"),
            hours_of(F.col("ms")).alias("hours"),
            F.max("clips").alias("largest"),
        )
        .orderBy("link")
    )


def superfluous(rows: DataFrame) -> DataFrame:
    """One row: clips and hours of exact and near copies beyond the longest of each cluster."""
    clusters = (
        rows.where(F.col("duplicate_kind").isin(list(COPIES)))
        .groupBy("cluster_id")
        .agg((F.count("*") - 1).alias("clips"), (F.sum("ms") - F.max("ms")).alias("ms"))
    )
    return clusters.agg(
        F.coalesce(F.sum("clips"), F.lit(0)).alias("clips"), hours_of(F.col("ms")).alias("hours")
    )


def largest_clusters(rows: DataFrame, n: int = LARGEST) -> DataFrame:
    """The clusters with most clips: kinds, clips, kept ones, hours, recordings, corpora, splits, one utterance_id.

    Needs, beside the ids, kept, split, recording_id and corpus.
    """
    return (
        rows.where("duplicate_kind IS NOT NULL")
        .groupBy(_shared().alias("id"))
        .agg(
            F.array_sort(F.collect_set("duplicate_kind")).alias("kinds"),
            F.count("*").alias("clips"),
            F.count_if("kept").alias("kept"),
            hours_of(F.col("ms")).alias("hours"),
            F.count_distinct("recording_id").alias("recordings"),
            F.array_sort(F.collect_set("corpus")).alias("corpora"),
            F.array_sort(F.collect_set("split")).alias("splits"),
            F.min("utterance_id").alias("utterance_id"),
        )
        .orderBy(F.col("clips").desc(), F.col("hours").desc(), "id")
        .limit(n)
    )


def top_speakers(rows: DataFrame, n: int = LARGEST) -> DataFrame:
    """The known speakers with most kept hours: speaker_id, corpora, splits, clips, hours."""
    return _largest(rows.where("kept AND speaker_id IS NOT NULL"), "speaker_id", n)


def top_recordings(rows: DataFrame, n: int = LARGEST) -> DataFrame:
    """The recordings with most kept hours: recording_id, corpora, splits, clips, hours."""
    return _largest(rows.where("kept AND recording_id IS NOT NULL"), "recording_id", n)


def _largest(rows: DataFrame, key: str, n: int) -> DataFrame:
    return (
        rows.groupBy(key)
        .agg(
            F.array_sort(F.collect_set("corpus")).alias("corpora"),
            F.array_sort(F.collect_set("split")).alias("splits"),
            F.count("*").alias("clips"),
            hours_of(F.col("ms")).alias("hours"),
        )
        .orderBy(F.col("hours").desc(), key)
        .limit(n)
    )


def speaker_sizes(rows: DataFrame) -> DataFrame:
    """Per bin (an index of `SPEAKER_BINS`): known speakers with so much kept speech, and their hours."""
    speakers = (
        rows.where("kept AND speaker_id IS NOT NULL").groupBy("speaker_id").agg(F.sum("ms").alias("ms"))
    )
    which: Column = F.lit(len(SPEAKER_EDGES_H))
    for index, edge in reversed(list(enumerate(SPEAKER_EDGES_H))):
        which = F.when(F.col("ms") < round(edge * MS_PER_HOUR), index).otherwise(which)
    return (
        speakers.groupBy(which.alias("bin"))
        .agg(F.count("*").alias("speakers"), hours_of(F.col("ms")).alias("hours"))
        .orderBy("bin")
    )
