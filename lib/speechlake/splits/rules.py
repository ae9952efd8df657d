"""What each rule of a policy says of each utterance: pass, fail or not applicable, with value and threshold.

Every rule is evaluated for every utterance, as column expressions, so that a threshold can be argued about
without audio, model or Python. Nothing here drops a row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.splits.checks import (
    Finding,
    any_of,
    checked,
    first_of,
    only_when,
    ready,
    unsupported,
    why_missing,
)
from speechlake.splits.keys import array_where
from speechlake.splits.operators import OPERATORS, by_language, number, number_text
from speechlake.splits.policy import AnyRule, ErrorRate, Policy, SameLanguage, Side
from speechlake.splits.policy_rules import AnyOf, checks_of, extractors_read
from speechlake.splits.signals import derived_columns
from speechlake.splits.text import is_blank
from speechlake.sql_text import literal
from speechlake.text.languages import HEARD_AS, WHISPER_SPELLING
from speechlake.text.subtags import primary_of

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

PASS, FAIL, NOT_APPLICABLE = "pass", "fail", "not_applicable"

# What is compared as one language: what no ear tells apart, Whisper's own codes, and Cantonese with Mandarin,
# because models before large-v3 know no `yue` and would fail the whole language.
HEARD = {**HEARD_AS, **{code: tag for tag, code in WHISPER_SPELLING.items()}, "yue": "zh"}


def with_verdicts(candidates: DataFrame, policy: Policy, english_only: Collection[str] = ()) -> DataFrame:
    """Add `verdicts`: one struct (rule, verdict, reason, value, threshold, sides) per rule, in policy order.

    `english_only` lists fingerprints of models that know no other language. `reason` is null for a plain
    pass or fail, `missing:<signal>` where there is no measurement, else why the rule is not applicable.
    Where the policy overrides a rule, the verdict is that of the changed one, with its threshold. Quantiles
    must have been replaced by their numbers.
    """
    said = [_of_row(rule, policy, english_only) for rule in policy.keep]
    verdicts = [_struct(rule, each, each.verdict) for rule, each in zip(policy.keep, said, strict=True)]
    return (
        _ready(candidates, policy)
        .withColumn("verdicts", F.array(*verdicts) if verdicts else F.array().cast(_VERDICTS))
        .drop("override")
    )


def with_said(candidates: DataFrame, policy: Policy, english_only: Collection[str] = ()) -> DataFrame:
    """Add `said`, the first letter of each rule's verdict in policy order, and `failed`, a struct of the `failure` of
    each rule that failed (`rule_<n>`); null where none did.

    What a build needs: what speaks of a rule is spelled for the few rows that it fails, not for all.
    """
    said = {f"rule_{n}": (r, _of_row(r, policy, english_only)) for n, r in enumerate(policy.keep)}
    letters = (F.substring(name, 1, 1) for name in said)
    failed = [
        F.when(F.col(name) == FAIL, _failure(rule, each)).alias(name) for name, (rule, each) in said.items()
    ]
    some = reduce(or_, (F.col(name) == FAIL for name in said), F.lit(False))
    told = F.when(some, F.struct(*failed)) if failed else F.lit(None).cast("string")
    return (
        _ready(candidates, policy)
        .withColumns({name: each.verdict for name, (_, each) in said.items()})
        .withColumns({"said": F.concat(F.lit(""), *letters), "failed": told})
        .drop("override", *said)
    )


def _ready(candidates: DataFrame, policy: Policy) -> DataFrame:
    return with_derived(candidates, policy).withColumn("override", override_of(policy))


def with_derived(rows: DataFrame, policy: Policy) -> DataFrame:
    """Add the derived values that the policy reads and `rows` lacks: a rule that names one computes it thrice."""
    names = {check.measured.name for rule in policy.rules() for check in checks_of(rule)}
    columns = derived_columns(sorted(names))
    return rows.withColumns({name: value for name, value in columns.items() if name not in rows.columns})


def columns_read(policy: Policy) -> set[str]:
    """Names of the columns of candidates that the rules of a policy read, and its overrides."""
    rules = [*policy.rules()]
    values = {name for rule in rules for check in checks_of(rule) for name in check.measured.columns}
    measured = {f"{name}_{part}" for rule in rules for name in extractors_read(rule) for part in _MEASURED}
    of_kinds = [_READ_BY[kind] for kind in _READ_BY if any(isinstance(rule, kind) for rule in rules)]
    return {"language", "corpus"}.union(values, measured, *of_kinds)


_MEASURED = ("fingerprint", "error", "attempt_code")
_READ_BY: Mapping[type, tuple[str, ...]] = {
    SameLanguage: ("whisper_language", "whisper_language_probability"),
    ErrorRate: (
        *("text", "text_kind", "score_unit", "score_wer", "score_cer"),
        *(
            f"score_{unit}_{kind}"
            for unit in ("word", "char")
            for kind in ("hits", "substitutions", "deletions")
        ),
    ),
}


def says(n: int, verdict: str) -> str:
    """SQL: whether that is the verdict of rule `n` of the policy, of a row with `said`."""
    return f"substring(said, {n + 1}, 1) = {literal(verdict[0])}"


def has_failed(policy: Policy, side: str) -> Column:
    """Whether any rule that counts for the side failed, of a row with `said`."""
    counting = (says(n, FAIL) for n, rule in enumerate(policy.keep) if side in rule.on)
    return F.expr(" OR ".join(counting) or "false")


def rule_failures(policy: Policy, asked: Mapping[Side, Column]) -> Column:
    """Array of `failure` of the rules that `failed` and count for a side that is `asked`, in policy order."""
    each = [
        (
            F.expr(says(n, FAIL)) & reduce(or_, (asked[side] for side in rule.on), F.lit(False)),
            F.col("failed")[f"rule_{n}"],
        )
        for n, rule in enumerate(policy.keep)
    ]
    return array_where(each, FAILURES)


def failures_when(condition: Column, one: Column) -> Column:
    """An array of the `failure` where the condition is true, else an empty one."""
    return array_where([(condition, one)], FAILURES)


def failure(reason: Column, rule: Column, value: Column, threshold: Column) -> Column:
    """One reason why a row is out; `rule` is null where no rule says so."""
    fields = {"reason": reason, "rule": rule, "value": value, "threshold": threshold}
    return F.struct(*(column.cast("string").alias(name) for name, column in fields.items()))


FAILURES = "array<struct<reason:string,rule:string,value:string,threshold:string>>"
_VERDICTS = "array<struct<rule:string,verdict:string,reason:string,value:string,threshold:string,sides:array<string>>>"


@dataclass(frozen=True)
class Said:
    """What a rule says of a row."""

    verdict: Column
    reason: Column
    value: Column
    threshold: Column


def override_of(policy: Policy) -> Column:
    """Number of the first override that is for the row; null where none is."""
    rows: Column = F.lit(None).cast("int")
    for n, override in reversed([*enumerate(policy.overrides)]):
        for_row = F.lit(True)
        if override.languages is not None:
            language = primary_of(F.col("language"))
            for_row = for_row & F.coalesce(language.isin(list(override.languages)), F.lit(False))
        if override.corpora is not None:
            for_row = for_row & F.col("corpus").isin(list(override.corpora))
        rows = F.when(for_row, F.lit(n)).otherwise(rows)
    return rows


def _of_row(rule: AnyRule, policy: Policy, english_only: Collection[str]) -> Said:
    """What a rule says, or what the row's override makes of it."""
    said = _said(rule, _finding(rule, english_only))
    for n, override in enumerate(policy.overrides):
        changed = {other.rule: other for other in override.keep}.get(rule.rule)
        if rule.rule in override.drop_rules:
            other = Said(F.lit(NOT_APPLICABLE), F.lit("override"), F.lit(None), F.lit(None))
        elif changed is not None:
            other = _said(changed, _finding(changed, english_only))
        else:
            continue
        said = _where(F.col("override") == n, other, said)
    return said


def _said(rule: AnyRule, found: Finding) -> Said:
    verdict = (
        F.when(found.silent.isNotNull(), NOT_APPLICABLE)
        .when(found.missing.isNotNull(), rule.if_missing)
        .when(found.holds, PASS)
        .otherwise(FAIL)
    )
    reason = F.coalesce(found.silent, F.concat(F.lit("missing:"), found.missing))
    return Said(verdict, reason, found.value, found.threshold)


def _where(condition: Column, yes: Said, no: Said) -> Said:
    parts = (F.when(condition, getattr(yes, f.name)).otherwise(getattr(no, f.name)) for f in fields(Said))
    return Said(*parts)


def _failure(rule: AnyRule, said: Said) -> Column:
    return failure(F.coalesce(said.reason, F.lit(rule.rule)), F.lit(rule.rule), said.value, said.threshold)


def _struct(rule: AnyRule, said: Said, verdict: Column) -> Column:
    return F.struct(
        F.lit(rule.rule).alias("rule"),
        verdict.alias("verdict"),
        said.reason.cast("string").alias("reason"),
        said.value.cast("string").alias("value"),
        said.threshold.cast("string").alias("threshold"),
        F.array(*(F.lit(side) for side in rule.on)).alias("sides"),
    )


def _finding(rule: AnyRule, english_only: Collection[str]) -> Finding:
    if isinstance(rule, SameLanguage):
        found = _same_language(rule, english_only)
    elif isinstance(rule, ErrorRate):
        found = _error_rate(rule)
    else:
        found = any_of(rule.any_of) if isinstance(rule, AnyOf) else checked(rule)
    return found if rule.when is None else only_when(found, rule.when)


def _same_language(rule: SameLanguage, english_only: Collection[str]) -> Finding:
    declared, detected = primary_of(F.col("language")), F.col("whisper_language")
    probability = F.col("whisper_language_probability")
    heard = number(probability) & (probability >= rule.minimum_probability)
    silent = first_of(
        (declared.isNull(), "no_declared_language"),
        (unsupported("whisper"), "language_not_supported"),
        (F.col("whisper_fingerprint").isin(list(english_only)), "english_only_model"),
        (ready("whisper") & (detected.isNull() | ~F.coalesce(heard, F.lit(False))), "not_sure"),
    )
    missing = F.when(~ready("whisper"), F.lit("whisper.language"))
    shown = F.when(missing.isNotNull(), why_missing("whisper")).otherwise(detected)
    return Finding(silent, missing, _as_heard(declared) == _as_heard(detected), shown, declared)


def _error_rate(rule: ErrorRate) -> Finding:
    unit, rate = F.col("score_unit"), scored_rate()
    condition = OPERATORS["at_most"](rate, rule.at_most, primary_of(F.col("language")))
    has_score, heard = unit.isNotNull(), ready("whisper")
    no_reference = is_blank(F.col("text")) | (F.col("text_kind") == "machine")
    silent = first_of(
        (unsupported("whisper"), "language_not_supported"),
        (~has_score & heard & no_reference, "no_reference"),
        (has_score & rate.isNull(), "empty_reference"),
        (has_score & (_units() < rule.min_units), "few_units"),
        (condition.threshold.isNull(), "no_threshold"),
    )
    missing = F.when(~has_score, F.when(heard, F.lit("score")).otherwise(F.lit("whisper.text")))
    shown = F.when(missing.isNotNull(), why_missing("whisper")).otherwise(number_text(rate))
    return Finding(silent, missing, condition.holds, shown, condition.threshold)


def scored_rate() -> Column:
    """WER or CER, as the language's score counts."""
    return F.when(F.col("score_unit") == "char", F.col("score_cer")).otherwise(F.col("score_wer"))


def _units() -> Column:
    """Length of the reference in the unit of its score."""

    def total(prefix: str) -> Column:
        return F.col(f"{prefix}_hits") + F.col(f"{prefix}_substitutions") + F.col(f"{prefix}_deletions")

    return F.when(F.col("score_unit") == "char", total("score_char")).otherwise(total("score_word"))


def _as_heard(language: Column) -> Column:
    return by_language(HEARD, primary_of(language), otherwise=primary_of(language))
