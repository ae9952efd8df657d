"""Quantiles as limits: read off the data once, pinned by a release, and the same number ever after.

A threshold that followed the data would move rows in and out with every ingest. So the first build of a
scheme that asks for a quantile takes its number, its release keeps it in `releases.pinned`, and later
builds of the scheme use that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from speechlake.splits.checks import number_read, ready
from speechlake.splits.judging import set_aside
from speechlake.splits.policy import ErrorRate, Policy
from speechlake.splits.policy_rules import AnyRule, Check, checks_of, with_checks
from speechlake.splits.policy_values import Quantile
from speechlake.splits.rules import override_of, scored_rate, with_derived
from speechlake.text.subtags import primary_of

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake

EACH = "each"
Numbers = Mapping[str, float]


@dataclass(frozen=True)
class Asked:
    """One quantile of a policy: of what, for which language (`EACH`: for each that is not in `named`).

    `named` are the languages that the same limit names beside `default`: they are left out of it. `override` is
    the number of the override that asks, whose rows it is about; the name says which corpora and languages.
    """

    name: str
    operator: str
    language: str
    named: tuple[str, ...]
    quantile: float
    value: Callable[[], Column]
    override: int | None = None

    def key(self, language: str) -> str:
        """Its canonical spelling, under which the number is pinned."""
        return f"{self.name} {self.operator} {language} {self.quantile:g}"

    @property
    def language_key(self) -> str:
        """The language as the key says it: `default-de-en` is all but German and English."""
        return "-".join((self.language, *self.named)) if self.language == "default" else self.language


@dataclass(frozen=True)
class _Scope:
    """Whose quantiles they are: the policy's, or those of an override, but for what it leaves to the rule it changes."""

    override: int | None = None
    name: str = ""
    inherited: frozenset[str] = frozenset()

    def of(self, asked: Asked) -> Asked:
        if self.override is None or asked.key(asked.language_key) in self.inherited:
            return asked
        return replace(asked, name=f"{asked.name}{self.name}", override=self.override)


def _scope(policy: Policy, n: int, rule: AnyRule) -> _Scope:
    override = policy.overrides[n]
    rows = [
        # A corpus may be called as a language is.
        f"{kind}{','.join(sorted(set(said)))}"
        for kind, said in (("corpora=", override.corpora), ("", override.languages))
        if said
    ]
    changed = next(base for base in policy.keep if base.rule == rule.rule)
    inherited = frozenset(asked.key(asked.language_key) for asked in _of_rule(changed))
    return _Scope(n, f"[{';'.join(rows)}]", inherited)


def with_numbers(policy: Policy, numbers: Numbers) -> Policy:
    """The policy with a number for every quantile; a quantile without one is no limit."""
    overrides = tuple(
        override.model_copy(
            update={
                "keep": tuple(
                    _rule_with_numbers(rule, numbers, _scope(policy, n, rule)) for rule in override.keep
                )
            }
        )
        for n, override in enumerate(policy.overrides)
    )
    keep = tuple(_rule_with_numbers(rule, numbers, _Scope()) for rule in policy.keep)
    return policy.model_copy(update={"keep": keep, "overrides": overrides})


def used(policy: Policy, numbers: Numbers) -> dict[str, float]:
    """Those of `numbers` that the policy asks for."""
    keys = {asked.key(asked.language_key) for asked in quantiles(policy) if asked.language != EACH}
    each = [asked for asked in quantiles(policy) if asked.language == EACH]
    return {
        key: number
        for key, number in sorted(numbers.items())
        if key in keys or any(_language_of(key, asked) is not None for asked in each)
    }


def without_values(policy: Policy, numbers: Numbers) -> list[str]:
    """A warning for each quantile of all languages, or of each, that has no number, as nothing had the value."""
    lacking = set()
    for asked in quantiles(policy):
        if asked.language == EACH:
            is_found = any(_language_of(key, asked) is not None for key in numbers)
        else:
            # A language that is named may just not be here.
            is_found = asked.language != "default" or asked.key(asked.language_key) in numbers
        if not is_found:
            lacking.add((asked.name, asked.quantile))
    return [
        f"the policy's quantile {quantile:g} of {name} found no value, and so is no limit yet"
        for name, quantile in sorted(lacking)
    ]


def pinned(lake: Lake, scheme: str) -> dict[str, float]:
    """Numbers that releases of the scheme pinned; the release that was published first has the say."""
    rows = lake.read("releases").where(F.col("scheme") == scheme)
    told = rows.select("published_at", "build_id", F.explode("pinned").alias("key", "number"))
    first = told.groupBy("key").agg(F.min(F.struct("published_at", "build_id", "number")).alias("first"))
    return {row.key: row.number for row in first.select("key", "first.number").collect()}


def taken(candidates: DataFrame, policy: Policy, known: Numbers) -> dict[str, float]:
    """`known`, and numbers for the quantiles of the policy that it lacks, read off the candidates.

    Of rows that are not set aside and have a finite value; for a limit that an override changes, of the rows
    that follow it. Quantiles are exact for values rounded to five digits, away from what they exclude, and so
    the same in any order and any number of partitions; rounding bounds what one task holds to some 90,000
    values per power of ten. The cost is one more reading of the candidates, and none where
    everything is known; `per: language` reads them in every build, for languages that are new.
    """
    asked = quantiles(policy)
    whole = [one for one in asked if one.language == "default" and one.key(one.language_key) not in known]
    by_language = [one for one in asked if one.language != "default" and not _is_known(one, known)]
    asking = {"primary": primary_of(F.col("language")), "override": override_of(policy)}
    rows = with_derived(candidates, policy).filter(set_aside().isNull()).withColumns(asking)
    found: dict[str, float] = {}
    if whole:
        row = rows.agg(*(_percentile(one).alias(str(n)) for n, one in enumerate(whole))).collect()[0]
        found |= {one.key(one.language_key): row[n] for n, one in enumerate(whole)}
    if by_language or any(one.language == EACH for one in asked):
        each = [one for one in asked if one.language != "default"]
        columns = [_percentile(one).alias(str(n)) for n, one in enumerate(each)]
        for row in rows.filter("primary IS NOT NULL").groupBy("primary").agg(*columns).collect():
            found |= {
                one.key(row.primary): row[str(n)]
                for n, one in enumerate(each)
                if row.primary == one.language or (one.language == EACH and row.primary not in one.named)
            }
    new = {key: float(f"{number:.6g}") for key, number in found.items() if number is not None}
    return {**new, **known}


def quantiles(policy: Policy) -> list[Asked]:
    """Every quantile that the policy asks for."""
    own = [asked for rule in policy.keep for asked in _of_rule(rule)]
    changed = [(n, rule) for n, override in enumerate(policy.overrides) for rule in override.keep]
    return own + [_scope(policy, n, rule).of(asked) for n, rule in changed for asked in _of_rule(rule)]


def _of_rule(rule: AnyRule) -> Iterator[Asked]:
    if isinstance(rule, ErrorRate):
        yield from _of_limits("error_rate", "at_most", rule.at_most, scored_rate)
    for check in checks_of(rule):
        if check.operator in ("at_least", "at_most"):
            yield from _of_limits(check.measured.name, check.operator, check.asked, partial(_measured, check))


def _of_limits(
    name: str, operator: str, limits: Mapping[str, Any], value: Callable[[], Column]
) -> Iterator[Asked]:
    named = tuple(sorted(language for language in limits if language != "default"))
    for language, limit in limits.items():
        if isinstance(limit, Quantile):
            of = EACH if limit.per else language
            yield Asked(name, operator, of, named if language == "default" else (), limit.quantile, value)


def _measured(check: Check) -> Column:
    """The value that the check compares, where there is a measurement."""
    return F.when(ready(*check.measured.needs), number_read(check))


def _percentile(asked: Asked) -> Column:
    """The quantile of the finite values of the rows that it is about."""
    value = asked.value().cast("double")
    finite = value.isNotNull() & ~F.isnan(value) & (F.abs(value) < F.lit(float("inf")))
    if asked.language == "default" and asked.named:
        finite = finite & ~F.coalesce(F.col("primary").isin(list(asked.named)), F.lit(False))
    if asked.override is not None:
        finite = finite & F.col("override").eqNullSafe(F.lit(asked.override))
    return F.percentile(F.when(finite, _outward(value, asked.operator)), asked.quantile)


def _outward(value: Column, operator: str) -> Column:
    """`value` to five digits, up for at_most and down for at_least: a row whose value is the quantile itself passes."""
    written = F.format_string("%.4e", value)
    near, exponent = written.try_cast("double"), F.substring_index(written, "e", -1).try_cast("int")
    last_digit = F.pow(F.lit(10.0), exponent - 4)
    beyond, there = (
        (near < value, near + last_digit) if operator == "at_most" else (near > value, near - last_digit)
    )
    return F.when(beyond, F.format_string("%.4e", there).try_cast("double")).otherwise(near)


def _is_known(asked: Asked, known: Numbers) -> bool:
    return asked.language != EACH and asked.key(asked.language) in known


def _language_of(key: str, asked: Asked) -> str | None:
    """The language of a pinned key, where it is one of those that `asked` is for."""
    name, operator, language, quantile = key.rsplit(" ", 3)
    same = (name, operator, quantile) == (asked.name, asked.operator, f"{asked.quantile:g}")
    return language if same and not language.startswith("default") and language not in asked.named else None


def _rule_with_numbers(rule: AnyRule, numbers: Numbers, scope: _Scope) -> AnyRule:
    if isinstance(rule, ErrorRate):
        limits = _limits_with_numbers("error_rate", "at_most", rule.at_most, numbers, scope)
        rule = rule.model_copy(update={"at_most": limits})
    return with_checks(rule, lambda check: _check_with_numbers(check, numbers, scope))


def _check_with_numbers(check: Check, numbers: Numbers, scope: _Scope) -> Check:
    if check.operator not in ("at_least", "at_most"):
        return check
    limits = _limits_with_numbers(check.measured.name, check.operator, check.asked, numbers, scope)
    return check.model_copy(update={check.operator: limits})


def _limits_with_numbers(
    name: str, operator: str, limits: Mapping[str, Any], numbers: Numbers, scope: _Scope
) -> dict[str, float]:
    plain: dict[str, float] = {k: limit for k, limit in limits.items() if not isinstance(limit, Quantile)}
    for asked in map(scope.of, _of_limits(name, operator, limits, scored_rate)):
        if asked.language == EACH:
            languages: Sequence[tuple[str | None, float]] = [
                (_language_of(k, asked), n) for k, n in numbers.items()
            ]
            plain |= {language: number for language, number in languages if language is not None}
        elif (key := asked.key(asked.language_key)) in numbers:
            plain[asked.language] = numbers[key]
    return plain
