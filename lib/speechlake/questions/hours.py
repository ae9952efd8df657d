"""Hours by corpus and language, and audio that gave none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechlake.units import MS_PER_HOUR

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# Columns of `utterances_now` that the report's tables are made of; the others are dear: keys, texts, voices, flags.
READ_OF_NOW = (
    *("utterance_id", "corpus", "language", "recording_state"),
    *("audio_duration_s", "audio_error", "audio_attempt_code", "score_unit", "score_wer", "score_cer"),
    *(
        f"score_{u}_{k}"
        for u in ("word", "char")
        for k in ("hits", "substitutions", "deletions", "insertions")
    ),
    *("cluster_id", "overlap_id", "duplicate_kind"),
)


def hours_of(ms: Column, condition: Column | None = None) -> Column:
    """Sum of milliseconds, where a condition holds, in hours; 0 of nothing."""
    from pyspark.sql import functions as F

    counted = ms if condition is None else F.when(condition, ms)
    return F.coalesce(F.sum(counted), F.lit(0)) / MS_PER_HOUR


def whole_ms(*seconds: str) -> Column:
    """The first of these lengths that is known, 0 of none, in whole milliseconds: their sums do not depend on an order."""
    from pyspark.sql import functions as F

    return F.round(F.coalesce(*seconds, F.lit(0.0)) * 1000).cast("bigint")


def units_of(unit: Column) -> Column:
    """What rates of a group count: `word`, `char`, or both where a language is not known; null where nothing is scored."""
    from pyspark.sql import functions as F

    return F.nullif(F.array_join(F.array_sort(F.collect_set(unit)), " and "), F.lit(""))


def audio_errors(now: DataFrame) -> DataFrame:
    """Per state or error of the audio: utterances of `utterances_now` that could not be measured."""
    from pyspark.sql import functions as F

    missing = F.when(F.col("recording_state") == "missing", F.lit("file is missing"))
    why = F.coalesce(missing, "audio_error", "audio_attempt_code")
    return (
        now.where(why.isNotNull())
        .groupBy(why.alias("error"))
        .agg(F.count("*").alias("utterances"))
        .orderBy(F.col("utterances").desc(), "error")
    )


def by_corpus_and_language(now: DataFrame, build_rows: DataFrame | None) -> DataFrame:
    """Per corpus and language: hours in and kept, error rate with its parts, share of hours that nobody judged.

    Rates count words, or characters in languages without spaces (`unit`); a sum over all scored texts.
    """
    from pyspark.sql import functions as F

    kept = build_rows.select("utterance_id", F.lit(True).alias("kept")) if build_rows is not None else None
    frame = (
        now.withColumn("kept", F.lit(False))
        if kept is None
        else now.join(kept, on="utterance_id", how="left")
    )
    # Clips that cannot be decoded have no decoded length: they count as clips, not as hours.
    hours = F.coalesce("audio_duration_s", F.lit(0.0)) / 3600

    def units(kind: str) -> Column:
        each = F.when(F.col("score_unit") == "char", F.col(f"score_char_{kind}")).otherwise(
            F.col(f"score_word_{kind}")
        )
        return F.sum(each)

    spoken = units("hits") + units("substitutions") + units("deletions")
    rates = {
        kind: F.try_divide(units(kind), spoken).alias(kind)
        for kind in ("substitutions", "deletions", "insertions")
    }
    wrong = units("substitutions") + units("deletions") + units("insertions")
    return (
        frame.groupBy("corpus", "language")
        .agg(
            F.count("*").alias("clips"),
            F.sum(hours).alias("hours"),
            F.count_if("kept").alias("clips_kept"),
            F.sum(F.when(F.col("kept"), hours).otherwise(0.0)).alias("hours_kept"),
            units_of(F.col("score_unit")).alias("unit"),
            F.try_divide(wrong, spoken).alias("error_rate"),
            *rates.values(),
            F.try_divide(
                F.sum(F.when(F.coalesce("score_wer", "score_cer").isNull(), hours).otherwise(0.0)),
                F.sum(hours),
            ).alias("unjudged"),
        )
        .orderBy("corpus", "language")
    )
