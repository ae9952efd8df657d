"""What a release keeps of each corpus and language, and what that is like: small frames of `decided` rows.

Every frame has a row per corpus and language of the rows that manifests list, in no order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.questions.decided import UNITS
from speechlake.questions.hours import hours_of, units_of
from speechlake.splits.rules import NOT_APPLICABLE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

KEY = ("corpus", "language")
# Telephone, radio and full bandwidth lie kilohertz apart.
BANDWIDTH_STEP_HZ = 250
RATES_TOLD = 3


def hours_and_errors(rows: DataFrame) -> DataFrame:
    """Clips and hours in and kept, and the edit counts of all scored texts.

    `hours_scored` have a score by `judges` (fingerprints); `hours_not_applicable` had a rule that could not be
    asked. `declared_hours` counts what could not be measured as long as its manifest says.
    """
    scored = F.col("judge").isNotNull()
    silent = F.exists("verdicts", lambda verdict: verdict["verdict"] == NOT_APPLICABLE)
    return (
        rows.where("listed")
        .groupBy(*KEY)
        .agg(
            F.count("*").alias("clips"),
            hours_of(F.col("declared_ms")).alias("declared_hours"),
            hours_of(F.col("ms")).alias("hours"),
            F.count_if("kept").alias("clips_kept"),
            hours_of(F.col("ms"), F.col("kept")).alias("hours_kept"),
            units_of(F.col("unit")).alias("unit"),
            *(F.sum(kind).alias(kind) for kind in UNITS),
            hours_of(F.col("ms"), scored).alias("hours_scored"),
            F.array_sort(F.collect_set("judge")).alias("judges"),
            hours_of(F.col("ms"), silent).alias("hours_not_applicable"),
        )
    )


def first_reasons(rows: DataFrame) -> DataFrame:
    """`reason`, `hours` and `clips` of the reason that takes most hours, or most clips where none was measured."""
    by_reason = (
        rows.where("listed AND NOT kept")
        .groupBy(*KEY, "reason")
        .agg(hours_of(F.col("declared_ms")).alias("hours"), F.count("*").alias("clips"))
    )
    most = F.max_by(F.struct("reason", "hours", "clips"), F.struct("hours", "clips", "reason"))
    return by_reason.groupBy(*KEY).agg(most.alias("most")).select(*KEY, "most.*")


def voices(rows: DataFrame) -> DataFrame:
    """Of what is kept: `speakers` that are known, and the share of its hours of the one who says most."""
    by_speaker = rows.where("kept").groupBy(*KEY, "speaker_id").agg(F.sum("ms").alias("ms"))
    known = F.when(F.col("speaker_id").isNotNull(), F.col("ms"))
    return by_speaker.groupBy(*KEY).agg(
        F.count("speaker_id").alias("speakers"),
        F.try_divide(F.max(known), F.sum("ms")).alias("top_speaker"),
        F.try_divide(F.sum(known), F.sum("ms")).alias("known"),
    )


def native_rates(rows: DataFrame) -> DataFrame:
    """`rates`: the commonest native sample rates as (sample_rate_hz, hours), by hours; `hours` and number of all."""
    by_rate = (
        rows.where("listed AND sample_rate_hz IS NOT NULL")
        .groupBy(*KEY, "sample_rate_hz")
        .agg(hours_of(F.col("ms")).alias("hours"))
    )
    commonest = F.max_by(F.struct("sample_rate_hz", "hours"), F.struct("hours", "sample_rate_hz"), RATES_TOLD)
    return by_rate.groupBy(*KEY).agg(
        commonest.alias("rates"), F.sum("hours").alias("hours"), F.count("*").alias("different")
    )


def bandwidths(rows: DataFrame) -> DataFrame:
    """`bandwidth_hz`: half of the hours have less, to `BANDWIDTH_STEP_HZ`; counted in steps, so that no order matters."""
    step = F.floor(F.col("bandwidth_hz") / BANDWIDTH_STEP_HZ) * BANDWIDTH_STEP_HZ
    by_step = (
        rows.where("listed AND bandwidth_hz IS NOT NULL AND ms > 0")
        .groupBy(*KEY, step.alias("step"))
        .agg(F.sum("ms").alias("ms"))
    )
    return by_step.groupBy(*KEY).agg(F.percentile("step", 0.5, F.col("ms")).alias("bandwidth_hz"))
