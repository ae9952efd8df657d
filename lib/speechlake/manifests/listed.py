"""Which utterances manifests list now: current ones, and those that the segmenter cut into others.

An utterance that was cut carries `segmented:<fingerprint>` in `retired_in`: it is no longer current, but
it is still listed, so that ingest neither retires it again nor brings it back.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake

MANIFEST = "manifest"
SEGMENTED = "segmented:"


def is_segmented() -> Column:
    """True for an utterance that was cut into others; never null."""
    from pyspark.sql import functions as F

    return F.coalesce(F.col("retired_in").startswith(SEGMENTED), F.lit(False))


def is_listed() -> Column:
    """True for an utterance of a manifest's line that is current, or was cut."""
    from pyspark.sql import functions as F

    return (F.col("origin") == MANIFEST) & (F.col("retired_in").isNull() | is_segmented())


def owners(lake: Lake, corpus: str, uris: Collection[str]) -> DataFrame:
    """(utterance_id, owner_uri) of the utterances that these manifests own."""
    from pyspark.sql import functions as F

    owned = (F.col("corpus") == corpus) & is_listed() & F.col("manifest_uri").isin(list(uris))
    rows = lake.read("utterances").where(owned)
    return rows.select("utterance_id", F.col("manifest_uri").alias("owner_uri"))


def is_segment() -> Column:
    """True for a current utterance that the segmenter made."""
    from pyspark.sql import functions as F

    return (F.col("origin") != MANIFEST) & F.col("retired_in").isNull()


def segments_of(sources: DataFrame, segments: DataFrame) -> DataFrame:
    """(utterance_id, source_utterance_id) of `segments` that lie in `sources`, both rows of `utterances`."""
    from pyspark.sql import functions as F

    inside = (
        (F.col("segment.recording_id") == F.col("source.recording_id"))
        & (F.col("segment.channel") == F.col("source.channel"))
        & (F.col("segment.start_ms") >= F.col("source.start_ms"))
        & (F.col("source.end_ms").isNull() | (F.col("segment.end_ms") <= F.col("source.end_ms")))
    )
    joined = segments.alias("segment").join(sources.alias("source"), inside, how="inner")
    return joined.select("segment.utterance_id", F.col("source.utterance_id").alias("source_utterance_id"))


def with_cuts_kept(said: DataFrame, known: DataFrame) -> DataFrame:
    """`said`, rows of `utterances` as lines say them, with `retired_in` of those that `known` says were cut."""
    from pyspark.sql import functions as F

    cut = known.where(is_listed() & is_segmented()).select(
        "utterance_id", F.col("retired_in").alias("cut_in")
    )
    return (
        said.join(cut, on="utterance_id", how="left").withColumn("retired_in", F.col("cut_in")).drop("cut_in")
    )
