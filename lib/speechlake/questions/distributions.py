"""Where the hours of a release go, and how they are spread: small frames of `decided` rows.

Histograms have fixed bins, so that two releases, or two lakes, can be laid side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.questions.decided import UNITS
from speechlake.questions.hours import hours_of
from speechlake.splits.rules import NOT_APPLICABLE

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# A bin per second up to 30 (what Whisper hears at once), then up to a minute, then the rest.
DURATION_BINS: tuple[str, ...] = (*(f"{s}–{s + 1} s" for s in range(30)), "30–60 s", "over 60 s")
# No error at all, then steps of 5 % (upper end included), then more errors than words.
ERROR_STEPS = 20
ERROR_BINS: tuple[str, ...] = (
    "none",
    *(f"{100 * i // ERROR_STEPS}–{100 * (i + 1) // ERROR_STEPS} %" for i in range(ERROR_STEPS)),
    "over 100 %",
)


def funnel(rows: DataFrame) -> DataFrame:
    """Per first reason (null: kept) and whether it was measured: clips, hours, declared_hours, of listed rows."""
    return (
        rows.where("listed")
        .groupBy("reason", "measured")
        .agg(
            F.count("*").alias("clips"),
            hours_of(F.col("ms")).alias("hours"),
            hours_of(F.col("declared_ms")).alias("declared_hours"),
        )
    )


def durations(rows: DataFrame) -> DataFrame:
    """Per bin (an index of `DURATION_BINS`): clips and hours, kept and not, of measured rows."""
    second = F.floor("duration_s")
    which = F.when(second < 30, second).when(F.col("duration_s") <= 60, 30).otherwise(31)
    return _by_bin(rows.where("listed AND measured"), which)


def error_rates(rows: DataFrame) -> DataFrame:
    """Per bin (an index of `ERROR_BINS`): clips and hours, kept and not, of rows with a score.

    In whole numbers: 0.55 / 0.05 is above 11 as a double.
    """
    hits, substitutions, deletions, insertions = (F.col(kind).cast("bigint") for kind in UNITS)
    wrong, spoken = substitutions + deletions + insertions, hits + substitutions + deletions
    step = F.floor((wrong * ERROR_STEPS + spoken - 1) / spoken)
    which = F.least(step, F.lit(ERROR_STEPS + 1))
    scored = rows.where(F.col("listed") & F.col("judge").isNotNull() & (spoken > 0))
    return _by_bin(scored, which)


def _by_bin(rows: DataFrame, which: Column) -> DataFrame:
    return (
        rows.groupBy(which.cast("int").alias("bin"))
        .agg(
            hours_of(F.col("ms"), F.col("kept")).alias("hours_kept"),
            hours_of(F.col("ms"), ~F.col("kept")).alias("hours_removed"),
            F.count_if("kept").alias("clips_kept"),
            F.count_if(~F.col("kept")).alias("clips_removed"),
        )
        .orderBy("bin")
    )


def not_applicable(rows: DataFrame) -> DataFrame:
    """Per rule and reason: clips and hours of which a rule could not be asked."""
    each = rows.where("listed").select("ms", F.explode("verdicts").alias("said"))
    return (
        each.where(F.col("said.verdict") == NOT_APPLICABLE)
        .groupBy("said.rule", "said.reason")
        .agg(F.count("*").alias("clips"), hours_of(F.col("ms")).alias("hours"))
        .orderBy("rule", F.col("clips").desc(), "reason")
    )
