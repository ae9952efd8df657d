"""Utterances at the margins of rules: what hardly passed, and what hardly failed, to be listened to.

Not the worst ones: those show that a rule finds rubbish, these whether its threshold lies where it should.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.questions.decided import asked_of
from speechlake.splits.candidates import candidates
from speechlake.splits.rules import FAIL, PASS

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake
    from speechlake.splits.policy import Policy

# A value of twice or half its threshold is not at its margin any more.
KEPT_WITHIN = 0.5
# How far from its threshold a value lies, in steps: rows of one step are drawn by hash, so
# that not one odd clip after the other with exactly the limit is shown.
STEP = 0.05
_FAR = 1_000_000
_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?"
# Thresholds as rules tell them: ">= 0.3", "<= 0.4", "0.4 .. 30".
_LIMITS = rf"^(?:[<>]= {_NUMBER}|{_NUMBER} \.\. {_NUMBER})$"


def margins(rows: DataFrame, n: int) -> DataFrame:
    """Per rule and `kept` (true, false): up to `n` `examples`, nearest to the rule's threshold first.

    Removed are rows that the build excluded for this rule, those for this rule alone first; kept are rows that
    pass a rule with a numeric threshold within `KEPT_WITHIN` of it. Rules without one have removed examples
    only, drawn by hash. What was not measured is no example. Each is (order, utterance_id, value, threshold).
    """
    distance = _distance(F.col("said.value"), F.col("said.threshold"))
    passed = F.col("kept") & (F.col("said.verdict") == PASS) & (F.col("distance") <= KEPT_WITHIN)
    # A row that misses the signal fails for another reason than the rule: the rule's name is not among them.
    failed = ~F.col("kept") & (F.col("said.verdict") == FAIL) & F.array_contains("failed", F.col("said.rule"))
    each = (
        rows.where("listed")
        .select("utterance_id", "kept", "failed", F.explode("verdicts").alias("said"))
        .withColumn("distance", distance)
        .where(passed | failed)
    )
    order = F.struct(
        (F.size("failed") > 1).alias("others"),
        F.least(F.floor(F.coalesce("distance", F.lit(0.0)) / STEP), F.lit(_FAR)).alias("step"),
        F.sha2(F.concat("said.rule", "utterance_id"), 256).alias("drawn"),
    )
    example = F.struct(order.alias("order"), "utterance_id", "said.value", "said.threshold")
    nearest = F.min_by(example, F.struct(order, "utterance_id"), n)
    return each.groupBy("said.rule", "kept").agg(nearest.alias("examples"))


def _distance(value: Column, threshold: Column) -> Column:
    """From the nearest limit, as a share of the larger of both (plain, from a limit of 0); null without numbers."""
    limits = F.when(
        threshold.rlike(_LIMITS), F.regexp_extract_all(threshold, F.lit(f"({_NUMBER})"), F.lit(1))
    )
    number = value.try_cast("double")

    def from_limit(told: Column) -> Column:
        limit = told.try_cast("double")
        larger = F.greatest(F.abs(limit), F.abs(number))
        return F.abs(number - limit) / F.when(limit == 0, 1.0).otherwise(larger)

    return F.array_min(F.transform(limits, from_limit))


def told(lake: Lake, policy: Policy | None, ids: Collection[str]) -> DataFrame:
    """Place, speaker, language and both texts of a few utterances: `text` as the policy chooses it, and `heard`."""
    same = (
        *("utterance_id", "corpus", "root", "path", "container", "member", "byte_offset", "byte_length"),
        *("channel", "start_ms", "end_ms", "listing_key", "speaker_id", "language", "text", "text_source"),
    )
    content = F.coalesce("content_sha256", F.concat(F.lit("listing:"), "listing_key"))
    return (
        candidates(lake, asked_of(policy))
        .where(F.col("utterance_id").isin(sorted(ids)))
        .select(
            *same,
            content.alias("content_key"),
            F.col("whisper_text").alias("heard"),
            F.col("whisper_fingerprint").alias("judge"),
            F.col("whisper_decoded_language").alias("heard_language"),
        )
    )
