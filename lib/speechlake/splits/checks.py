"""What one condition of a rule says of a row, and several of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.splits.columns import Plain
from speechlake.splits.operators import NUMERIC, OPERATORS, Condition, number_text
from speechlake.splits.policy_rules import Check
from speechlake.splits.signals import Signal
from speechlake.text.subtags import primary_of

if TYPE_CHECKING:
    from pyspark.sql import Column

# An English-only model refuses other languages with this code: outside of what it can judge, not a defect.
UNSUPPORTED = "UNSUPPORTED_LANGUAGE"
# Nobody may use what he does not know to be allowed: where these say nothing, `if_missing` decides.
NEVER_GUESSED = ("licence",)


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


def checked(check: Check) -> Finding:
    """One condition: not applicable where the model does not know the language, or there is no value or limit."""
    read = check.measured
    condition = compared(check)
    shown = _shown(read)
    if read.is_error:
        missing = F.when(~ready_or_error(*read.needs), F.lit(read.name))
        shown = F.when(missing.isNotNull(), why_missing(*read.needs)).otherwise(shown)
        # No error is none of them.
        holds = F.coalesce(condition.holds, F.lit(check.operator == "none_of"))
        return Finding(F.lit(None), missing, holds, shown, condition.threshold)
    reads_null = check.operator == "is" and check.asked is None
    silent = first_of(
        (unsupported(*read.needs), "language_not_supported"),
        (ready(*read.needs) & read.value().isNull() & F.lit(not reads_null), "no_value"),
        (condition.threshold.isNull(), "no_threshold"),
    )
    missing = F.when(~ready(*read.needs), F.lit(read.name))
    if read.name in NEVER_GUESSED and not reads_null:
        silent, missing = F.lit(None).cast("string"), F.when(read.value().isNull(), F.lit(read.name))
    if read.needs:
        shown = F.when(missing.isNotNull(), why_missing(*read.needs)).otherwise(shown)
    return Finding(silent, missing, condition.holds, shown, condition.threshold)


def compared(check: Check) -> Condition:
    """The check's operator on its value; of several values one must pass, or with `none_of` each."""
    read, operator, language = check.measured, OPERATORS[check.operator], primary_of(F.col("language"))
    if read.type.startswith("array"):
        if check.operator == "is":
            return Condition(F.coalesce(F.size(read.value()) <= 0, F.lit(True)), F.lit("null"))
        some = F.forall if check.operator == "none_of" else F.exists
        holds = some(read.value(), lambda item: operator(item, check.asked, language).holds)
        return Condition(holds, operator(F.lit(""), check.asked, language).threshold)
    return operator(number_read(check) if check.operator in NUMERIC else read.value(), check.asked, language)


def number_read(check: Check) -> Column:
    """The value that a numeric operator of the check compares."""
    read = check.measured
    return read.number() if isinstance(read, Plain) else read.value()


def any_of(checks: Sequence[Check]) -> Finding:
    """Passes where any condition passes, whatever is missing of the others.

    Else it is missing where any is, since that one might have passed; else not applicable where none
    applies; else it fails.
    """
    found = [(check, checked(check)) for check in checks]
    open_ = [each.silent.isNull() & each.missing.isNull() for _, each in found]
    holds = reduce(
        or_, (o & F.coalesce(each.holds, F.lit(False)) for o, (_, each) in zip(open_, found, strict=True))
    )
    missing = F.coalesce(*(F.when(each.silent.isNull(), each.missing) for _, each in found))
    silent = F.when(reduce(and_, (each.silent.isNotNull() for _, each in found)), found[0][1].silent)
    return Finding(silent, F.when(~holds, missing), holds, _named(found, "value"), _named(found, "threshold"))


def _named(found: Sequence[tuple[Check, Finding]], part: str) -> Column:
    """`audio.clipped_ratio 0.2; whisper.truncated true`: the parts of several findings, those that there are."""
    told = (
        F.when(column.isNotNull(), F.concat(F.lit(f"{check.measured.name} "), column.cast("string")))
        for check, each in found
        for column in [getattr(each, part)]
    )
    return F.nullif(F.concat_ws("; ", *told), F.lit(""))


def only_when(finding: Finding, conditions: Sequence[Check]) -> Finding:
    """The finding where every condition passes; elsewhere it is not applicable, with the reason `when`.

    Where a condition's own signal is missing, nobody knows whether the rule applies: that signal is missing.
    """
    found = [checked(check) for check in conditions]
    unmet = reduce(
        or_,
        (
            each.silent.isNotNull() | (each.missing.isNull() & ~F.coalesce(each.holds, F.lit(False)))
            for each in found
        ),
    )
    missing = F.coalesce(*(each.missing for each in found))
    return Finding(
        F.when(unmet, F.lit("when")).otherwise(F.when(missing.isNull(), finding.silent)),
        F.coalesce(missing, finding.missing),
        finding.holds,
        finding.value,
        finding.threshold,
    )


def _shown(read: Signal | Plain) -> Column:
    value = read.value()
    if read.type == "double":
        return number_text(value)
    if read.type == "array<string>":
        return F.array_join(value, ", ")
    if read.type == "binary" or read.type.startswith("array"):
        size, of = (F.octet_length(value), "bytes") if read.type == "binary" else (F.size(value), "values")
        return F.when(value.isNotNull(), F.format_string(f"%d {of}", size))
    return value.cast("string")


def measured(extractor: str) -> Column:
    """The extractor has a row."""
    return F.col(f"{extractor}_fingerprint").isNotNull()


def ready_or_error(*extractors: str) -> Column:
    """Each has a row, be it a measurement or an error. Never null."""
    return reduce(and_, map(measured, extractors), F.lit(True))


def ready(*extractors: str) -> Column:
    """Each has a row, and it is a measurement rather than an error. Never null."""
    fine = (measured(name) & F.col(f"{name}_error").isNull() for name in extractors)
    return reduce(and_, fine, F.lit(True))


def unsupported(*extractors: str) -> Column:
    """Some extractor refused the language. Never null."""
    refused = (F.coalesce(F.col(f"{name}_error") == UNSUPPORTED, F.lit(False)) for name in extractors)
    return reduce(or_, refused, F.lit(False))


def why_missing(*extractors: str) -> Column:
    """The first error or failure of one that did not measure."""
    return F.coalesce(*(F.coalesce(f"{name}_error", f"{name}_attempt_code") for name in extractors))


def first_of(*reasons: tuple[Column, str]) -> Column:
    """The first reason whose condition is true; null where none is."""
    return F.coalesce(*(F.when(condition, F.lit(reason)) for condition, reason in reasons))
