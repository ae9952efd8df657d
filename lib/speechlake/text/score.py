"""Scores between tables: which pairs of texts lack a score, and their rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from speechlake.schemas import SCORES
from speechlake.text.normalisers import DEFAULT_NORMALISER, NORMALISER_BY_PRIMARY
from speechlake.text.subtags import primary_of

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake


def normaliser_of(language: Column) -> Column:
    """Name of the normaliser for a BCP 47 tag; equals `normaliser_name`."""
    from pyspark.sql import functions as F

    entries = [F.lit(text) for pair in sorted(NORMALISER_BY_PRIMARY.items()) for text in pair]
    return F.coalesce(F.create_map(*entries)[primary_of(language)], F.lit(DEFAULT_NORMALISER))


def scoring_language() -> Column:
    """Language by which texts of an utterance are compared: the declared one, else the one Whisper decoded in."""
    from pyspark.sql import functions as F

    return F.coalesce("language", "whisper_decoded_language")


def unscored_pairs(lake: Lake, corpus: str) -> DataFrame:
    """Every (text of a person, text of Whisper) of current utterances that has no score under today's normaliser.

    Translations have none: nobody said them, so that their distance to a text says nothing.
    """
    from pyspark.sql import functions as F

    here = F.col("corpus") == corpus
    current = (
        lake.read("utterances").where(here & F.col("retired_in").isNull()).select("utterance_id", "language")
    )
    translating = lake.read("extractors").where("get_json_object(parameters, '$.task') = 'translate'")
    heard = (
        lake.read("signals_whisper")
        .where(here & F.col("error").isNull())
        .join(translating.select("fingerprint"), on="fingerprint", how="left_anti")
    )
    hypotheses = heard.groupBy("utterance_id", "fingerprint", "text_sha256").agg(
        F.min("text").alias("hypothesis"), F.min("decoded_language").alias("whisper_decoded_language")
    )
    references = (
        lake.read("transcripts")
        .where(here & F.col("retired_in").isNull() & (F.col("kind") != "machine"))
        .select(
            "utterance_id",
            F.col("source").alias("reference_source"),
            F.col("text_sha256").alias("reference_sha256"),
            F.col("text").alias("reference"),
        )
    )
    pairs = (
        current.join(hypotheses, on="utterance_id", how="inner")
        .join(references, on="utterance_id", how="inner")
        .withColumn("language", scoring_language())
        .withColumn("hypothesis_source", F.concat(F.lit("whisper:"), "fingerprint"))
        .withColumnRenamed("text_sha256", "hypothesis_sha256")
        .withColumn("normaliser", normaliser_of(F.col("language")))
        .withColumn("corpus", F.lit(corpus))
    )
    scored = lake.read("scores").where(here).select(*SCORES.key)
    return pairs.join(scored, on=list(SCORES.key), how="left_anti").drop(
        "fingerprint", "whisper_decoded_language"
    )


def scored(pairs: DataFrame) -> DataFrame:
    """Rows of `scores` for pairs of texts."""
    types = {column.name: column.type for column in SCORES.columns}
    return pairs.mapInPandas(_score_batches, ", ".join(f"{name} {kind}" for name, kind in types.items()))


def _score_batches(batches: Iterator[Any]) -> Iterator[Any]:
    from speechlake.text.scoring import score_frame

    for batch in batches:
        yield score_frame(batch)
