"""What each rule of a policy says of each utterance: pass, fail or not applicable, with value and threshold.

Every rule is evaluated for every utterance, as column expressions, so that a threshold can be argued about
without audio, model or Python. Nothing here drops a row.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.splits.keys import primary
from speechlake.splits.operators import OPERATORS, by_language, number, number_text
from speechlake.splits.policy import AnyRule, ErrorRate, Policy, SameLanguage, SignalRule
from speechlake.splits.text import is_blank
from speechlake.text.languages import HEARD_AS, WHISPER_SPELLING

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

PASS, FAIL, NOT_APPLICABLE = "pass", "fail", "not_applicable"

# An English-only model refuses other languages with this code: outside of what it can judge, not a defect.
UNSUPPORTED = "UNSUPPORTED_LANGUAGE"

# What is compared as one language: what no ear tells apart, Whisper's own codes, and Cantonese with Mandarin,
# because models before large-v3 know no `yue` and would fail the whole language.
HEARD = {**HEARD_AS, **{code: tag for tag, code in WHISPER_SPELLING.items()}, "yue": "zh"}


@dataclass(frozen=True)
class Finding:
    """A rule's view of a row, as columns. Not applicable goes before missing, missing before `holds`.

    `silent` says why the rule is not applicable, `missing` which signal is; both are null otherwise.
    """

    silent: Column
    missing: Column
    holds: Column
    value: Column
    threshold: Column


def with_verdicts(candidates: DataFrame, policy: Policy, english_only: Collection[str] = ()) -> DataFrame:
    """Add `verdicts`: one struct (rule, verdict, reason, value, threshold, sides) per rule, in policy order.

    `english_only` lists fingerprints of models that know no other language. `reason` is null for a plain
    pass or fail, `missing:<signal>` where there is no measurement, else why the rule is not applicable.
    """
    verdicts = [_verdict(rule, _finding(rule, english_only)) for rule in policy.keep]
    empty = F.array().cast(f"array<{_STRUCT}>")
    return candidates.withColumn("verdicts", F.array(*verdicts) if verdicts else empty)


def rule_failures(sides: Column) -> Column:
    """Array of `failure` of the rules that failed and count for any of `sides`, in policy order."""
    failed = F.filter("verdicts", lambda v: (v["verdict"] == FAIL) & F.arrays_overlap(v["sides"], sides))
    return F.transform(
        failed, lambda v: failure(F.coalesce(v["reason"], v["rule"]), v["rule"], v["value"], v["threshold"])
    )


def failure(reason: Column, rule: Column, value: Column, threshold: Column) -> Column:
    """One reason why a row is out; `rule` is null where no rule says so."""
    fields = {"reason": reason, "rule": rule, "value": value, "threshold": threshold}
    return F.struct(*(column.cast("string").alias(name) for name, column in fields.items()))


_STRUCT = "struct<rule:string,verdict:string,reason:string,value:string,threshold:string,sides:array<string>>"


def _verdict(rule: AnyRule, found: Finding) -> Column:
    def said(verdict: Column, reason: Column) -> Column:
        return F.struct(
            F.lit(rule.rule).alias("rule"),
            verdict.alias("verdict"),
            reason.cast("string").alias("reason"),
            found.value.cast("string").alias("value"),
            found.threshold.cast("string").alias("threshold"),
            F.array(*(F.lit(side) for side in rule.on)).alias("sides"),
        )

    return (
        F.when(found.silent.isNotNull(), said(F.lit(NOT_APPLICABLE), found.silent))
        .when(
            found.missing.isNotNull(),
            said(F.lit(rule.if_missing), F.concat(F.lit("missing:"), found.missing)),
        )
        .otherwise(said(F.when(found.holds, PASS).otherwise(FAIL), F.lit(None)))
    )


def _finding(rule: AnyRule, english_only: Collection[str]) -> Finding:
    if isinstance(rule, SameLanguage):
        return _same_language(rule, english_only)
    return _error_rate(rule) if isinstance(rule, ErrorRate) else _signal(rule)


def _signal(rule: SignalRule) -> Finding:
    signal = rule.measured
    value = signal.value()
    condition = OPERATORS[rule.operator](value, rule.asked, primary(F.col("language")))
    shown = number_text(value) if signal.type == "double" else value.cast("string")
    if signal.is_error:
        missing = F.when(~_measured(signal.extractor), F.lit(signal.name))
        shown = F.when(missing.isNotNull(), _why_missing(signal.extractor)).otherwise(shown)
        return Finding(F.lit(None), missing, condition.holds, shown, condition.threshold)
    reads_null = rule.operator == "is" and rule.asked is None
    silent = _first(
        (_unsupported(*signal.needs), "language_not_supported"),
        (_ready(*signal.needs) & value.isNull() & F.lit(not reads_null), "no_value"),
        (condition.threshold.isNull(), "no_threshold"),
    )
    missing = F.when(~_ready(*signal.needs), F.lit(signal.name))
    shown = F.when(missing.isNotNull(), _why_missing(*signal.needs)).otherwise(shown)
    return Finding(silent, missing, condition.holds, shown, condition.threshold)


def _same_language(rule: SameLanguage, english_only: Collection[str]) -> Finding:
    declared, detected = primary(F.col("language")), F.col("whisper_language")
    probability = F.col("whisper_language_probability")
    heard = number(probability) & (probability >= rule.minimum_probability)
    silent = _first(
        (declared.isNull(), "no_declared_language"),
        (_unsupported("whisper"), "language_not_supported"),
        (F.col("whisper_fingerprint").isin(list(english_only)), "english_only_model"),
        (_ready("whisper") & (detected.isNull() | ~F.coalesce(heard, F.lit(False))), "not_sure"),
    )
    missing = F.when(~_ready("whisper"), F.lit("whisper.language"))
    shown = F.when(missing.isNotNull(), _why_missing("whisper")).otherwise(detected)
    return Finding(silent, missing, _as_heard(declared) == _as_heard(detected), shown, declared)


def _error_rate(rule: ErrorRate) -> Finding:
    unit = F.col("score_unit")
    rate = F.when(unit == "char", F.col("score_cer")).otherwise(F.col("score_wer"))
    condition = OPERATORS["at_most"](rate, rule.at_most, primary(F.col("language")))
    has_score, heard = unit.isNotNull(), _ready("whisper")
    no_reference = is_blank(F.col("text")) | (F.col("text_kind") == "machine")
    silent = _first(
        (_unsupported("whisper"), "language_not_supported"),
        (~has_score & heard & no_reference, "no_reference"),
        (has_score & rate.isNull(), "empty_reference"),
        (has_score & (_units() < rule.min_units), "few_units"),
        (condition.threshold.isNull(), "no_threshold"),
    )
    missing = F.when(~has_score, F.when(heard, F.lit("score")).otherwise(F.lit("whisper.text")))
    shown = F.when(missing.isNotNull(), _why_missing("whisper")).otherwise(number_text(rate))
    return Finding(silent, missing, condition.holds, shown, condition.threshold)


def _units() -> Column:
    """Length of the reference in the unit of its score."""

    def total(prefix: str) -> Column:
        return F.col(f"{prefix}_hits") + F.col(f"{prefix}_substitutions") + F.col(f"{prefix}_deletions")

    return F.when(F.col("score_unit") == "char", total("score_char")).otherwise(total("score_word"))


def _as_heard(language: Column) -> Column:
    return by_language(HEARD, primary(language), otherwise=primary(language))


def _measured(extractor: str) -> Column:
    return F.col(f"{extractor}_fingerprint").isNotNull()


def _ready(*extractors: str) -> Column:
    """Each has a row, and it is a measurement rather than an error. Never null."""
    return reduce(and_, (_measured(name) & F.col(f"{name}_error").isNull() for name in extractors))


def _unsupported(*extractors: str) -> Column:
    return reduce(
        or_, (F.coalesce(F.col(f"{name}_error") == UNSUPPORTED, F.lit(False)) for name in extractors)
    )


def _why_missing(*extractors: str) -> Column:
    """The first error or failure of one that did not measure."""
    return F.coalesce(*(F.coalesce(f"{name}_error", f"{name}_attempt_code") for name in extractors))


def _first(*reasons: tuple[Column, str]) -> Column:
    """The first reason whose condition is true; null where none is."""
    return F.coalesce(*(F.when(condition, F.lit(reason)) for condition, reason in reasons))
