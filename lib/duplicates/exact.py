"""Exact duplicates: utterances whose decoded samples are the same, whatever container they came in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechlake.schemas import DUPLICATES
from speechlake.signals.catalogue import profile
from speechlake.views import located_utterances, with_signals

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake

# A jingle or prompt that lies in more recordings than this says nothing of who belongs together.
BOILERPLATE_RECORDINGS = 20


def exact_duplicates(utterances: DataFrame) -> DataFrame:
    """Rows of `duplicates` for members of clusters of two or more.

    `utterances` needs corpus, utterance_id, recording_id and audio_samples_sha256 (null is like nothing).
    The cluster's id is that of its samples, so it is stable as the cluster grows.
    """
    from pyspark.sql import functions as F

    heard = utterances.where(F.col("audio_samples_sha256").isNotNull())
    clusters = (
        heard.groupBy("audio_samples_sha256")
        .agg(F.count("*").alias("members"), F.countDistinct("recording_id").alias("recordings"))
        .where("members > 1")
    )
    kind = F.when(F.col("recordings") > BOILERPLATE_RECORDINGS, "boilerplate").otherwise("exact")
    return (
        heard.join(clusters, on="audio_samples_sha256", how="inner")
        .withColumn("cluster_id", F.substring("audio_samples_sha256", 1, 32))
        .withColumn("overlap_id", F.col("cluster_id"))
        .withColumn("kind", kind)
        .withColumn("similarity", F.lit(1.0))
        .select(*DUPLICATES.column_names)
    )


def current_duplicates(lake: Lake) -> DataFrame:
    """Rows of `duplicates` as they should be now: of utterances that are not retired."""
    current = located_utterances(lake).where("retired_in IS NULL")
    return exact_duplicates(with_signals(current, lake, {"audio": profile(lake).get("audio", ())}))
