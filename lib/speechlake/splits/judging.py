"""What stands against a row on each side: where it comes from, the rules, its text, what was not measured."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.manifests.listed import is_segmented
from speechlake.splits.policy import NOT_COMPARED, SIDES, Policy, Side
from speechlake.splits.rules import FAILURES, failure, failures_when, has_failed, rule_failures, with_said
from speechlake.splits.rules import columns_read as read_by_rules
from speechlake.splits.text import is_blank

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def judged(candidates: DataFrame, policy: Policy, english_only: Collection[str] = ()) -> DataFrame:
    """Add `said`, `failed`, `set_aside`, `ms` and, per side, `fits_<side>`: nothing stands against the row there."""
    measured = (
        candidates.transform(lambda frame: with_said(frame, policy, english_only))
        .withColumn("set_aside", set_aside())
        .withColumn("ms", F.round(F.col("audio_duration_s") * 1000).try_cast("bigint"))
    )
    return measured.withColumns({f"fits_{side}": _fits(policy, side) for side in SIDES})


def columns_read(policy: Policy) -> set[str]:
    """Names of the columns of candidates that `judged` and `problems` read."""
    return read_by_rules(policy) | {*_READ}


_READ = (
    *("retired_in", "role", "recording_state", "not_compared", "content_sha256", "text", "text_kind"),
    *("audio_duration_s", "audio_error", "audio_attempt_code"),
)


def _fits(policy: Policy, side: str) -> Column:
    """Whether `problems` of a side are none, without spelling them out: that takes most of the time of judging."""
    measured = F.col("ms").isNotNull() & F.col("content_sha256").isNotNull()
    told = F.lit(True)
    if policy.text is not None:
        told = ~is_blank(F.col("text"))
        if side in policy.text.human_only:
            told = told & (F.coalesce("text_kind", F.lit("machine")) == "human")
    return F.col("set_aside").isNull() & measured & told & ~has_failed(policy, side)


def problems(policy: Policy, asked: Mapping[Side, Column]) -> Column:
    """Array of `failure` of everything that stands against a judged row on any side that is `asked`, in order.

    A row that is set aside has that reason only: nobody asked for it to pass.
    """
    aside = F.array(_reason(F.col("set_aside")))
    rules = rule_failures(policy, asked)
    # A trainer needs both. Where a rule already failed, that is the better answer.
    unmeasured = F.col("ms").isNull() | F.col("content_sha256").isNull()
    why = F.coalesce("audio_error", "audio_attempt_code")
    missing = failures_when(
        (F.size(rules) == 0) & unmeasured, failure(F.lit("missing:audio"), F.lit(None), why, F.lit(None))
    )
    others = F.concat(rules, _text_problems(policy, asked), missing)
    return F.when(F.col("set_aside").isNotNull(), aside).otherwise(others)


def placement_problems(reason: Column, detail: Column) -> Column:
    """Array of `failure` of what speaks against a row where it was placed; `detail` is what stands in its way."""
    return failures_when(reason.isNotNull(), failure(reason, F.lit(None), detail, F.lit(None)))


def only(side: Column) -> dict[Side, Column]:
    """Which sides are asked where a column says which one; all of them where it is null, none where it names no side."""
    return {name: F.coalesce(side == name, F.lit(True)) for name in SIDES}


def set_aside() -> Column:
    """Why nobody asks whether the row passes; null for a row that is judged."""
    return (
        F.when(is_segmented(), "segmented")
        .when(F.col("retired_in").isNotNull(), "not_in_manifest")
        .when(F.col("role") == "evaluation", "evaluation_corpus")
        .when(F.col("recording_state") != "present", "audio_missing")
        .when(F.col("not_compared"), NOT_COMPARED)
    )


def _text_problems(policy: Policy, asked: Mapping[Side, Column]) -> Column:
    if policy.text is None:
        return F.array().cast(FAILURES)
    blank = is_blank(F.col("text"))
    wants_human = reduce(or_, (asked[side] for side in policy.text.human_only), F.lit(False))
    kind = F.coalesce("text_kind", F.lit("machine"))
    made = _reason(F.concat(kind, F.lit("_text")), kind, F.lit("human"))
    return F.concat(
        failures_when(blank, _reason(F.lit("no_text"))),
        failures_when(~blank & (kind != "human") & wants_human, made),
    )


def _reason(reason: Column, value: Column | None = None, threshold: Column | None = None) -> Column:
    nothing = F.lit(None)
    return failure(
        reason, nothing, nothing if value is None else value, nothing if threshold is None else threshold
    )
