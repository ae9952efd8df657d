"""The operators of a rule: a condition on a value, and how its threshold reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from speechlake.splits.policy_values import LONGEST_VALUE

if TYPE_CHECKING:
    from pyspark.sql import Column


NUMERIC = ("at_least", "at_most", "between")


@dataclass(frozen=True)
class Condition:
    """`holds` may be null for a null value; `threshold` is null where this language has none."""

    holds: Column
    threshold: Column


# (value, what the policy asks, primary language subtag) -> condition
Operator = Callable[["Column", Any, "Column"], Condition]


def is_(value: Column, asked: bool | None, language: Column) -> Condition:
    """True where the value is null, true or false, as asked."""
    if asked is None:
        return Condition(value.isNull(), F.lit("null"))
    return Condition(value == asked, F.lit(str(asked).lower()))


def equals(value: Column, asked: bool | float | str, language: Column) -> Condition:
    """True where the value is the one asked for."""
    return Condition(value == asked, F.lit(_plain(asked)))


def one_of(value: Column, asked: Sequence[bool | float | str], language: Column) -> Condition:
    """True where the value is among those asked for."""
    return Condition(value.isin(list(asked)), F.lit(", ".join(_plain(item) for item in asked)))


def none_of(value: Column, asked: Sequence[bool | float | str], language: Column) -> Condition:
    """True where the value is not among those asked for."""
    return Condition(~value.isin(list(asked)), F.lit("none of " + ", ".join(_plain(item) for item in asked)))


def at_least(value: Column, asked: Mapping[str, float], language: Column) -> Condition:
    """True where the value is a number not below the language's limit (NaN fails)."""
    limit = by_language(asked, language)
    text = by_language({key: f">= {_plain(low)}" for key, low in asked.items()}, language)
    return Condition(number(value) & (value >= limit), text)


def at_most(value: Column, asked: Mapping[str, float], language: Column) -> Condition:
    """True where the value is a number not above the language's limit (NaN fails)."""
    limit = by_language(asked, language)
    text = by_language({key: f"<= {_plain(high)}" for key, high in asked.items()}, language)
    return Condition(number(value) & (value <= limit), text)


def between(value: Column, asked: Mapping[str, tuple[float, float]], language: Column) -> Condition:
    """True where the value is a number inside the language's closed range (NaN fails)."""
    low = by_language({key: pair[0] for key, pair in asked.items()}, language)
    high = by_language({key: pair[1] for key, pair in asked.items()}, language)
    text = by_language({key: f"{_plain(a)} .. {_plain(b)}" for key, (a, b) in asked.items()}, language)
    return Condition(number(value) & (value >= low) & (value <= high), text)


def matches(value: Column, asked: str, language: Column) -> Condition:
    """True where the whole value fits the regular expression `asked`, false where it is longer than LONGEST_VALUE."""
    short = F.length(value) <= LONGEST_VALUE
    # `when` keeps Java's engine, which backtracks, from reading long values.
    fits = value.rlike(rf"\A(?:{asked})\z")
    return Condition(F.when(short, fits).otherwise(F.lit(False)), F.lit(asked))


OPERATORS: Mapping[str, Operator] = {
    "is": is_,
    "equals": equals,
    "one_of": one_of,
    "none_of": none_of,
    "at_least": at_least,
    "at_most": at_most,
    "between": between,
    "matches": matches,
}


def by_language(
    values: Mapping[str, float | str], language: Column, otherwise: Column | None = None
) -> Column:
    """The value for a language, else that of `default`, else `otherwise`, else null."""
    named = [F.lit(text) for key, value in values.items() if key != "default" for text in (key, value)]
    # A map looks at the language once, where a condition per key would compute it for each.
    found = [F.create_map(*named)[language]] if named else []
    rest = F.lit(values["default"]) if "default" in values else otherwise
    return F.coalesce(*found, rest if rest is not None else F.lit(None))


def number(value: Column) -> Column:
    """True where the value is not NaN, which Spark sorts above every number."""
    return ~F.isnan(value.cast("double"))


def number_text(value: Column) -> Column:
    """A double as plain decimal text, six places at most; one of which those would show little, as 1.25e-07.

    Java's own spelling differs between versions.
    """
    number = value.cast("double")
    digits = number.try_cast("decimal(38,6)").cast("string")
    plain = F.rtrim(F.rtrim(digits, F.lit("0")), F.lit("."))
    small = F.regexp_replace(F.format_string("%.5e", number), r"\.?0*e", "e")
    return F.when((number != 0) & (F.abs(number) < 1e-4), small).otherwise(
        F.coalesce(plain, value.cast("string"))
    )


def _plain(value: bool | float | str) -> str:
    return (
        str(value).lower()
        if isinstance(value, bool)
        else f"{value:.10g}"
        if isinstance(value, float)
        else str(value)
    )
