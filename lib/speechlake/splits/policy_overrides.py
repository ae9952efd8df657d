"""Overrides of a policy: other limits of named rules, or none, for some languages and corpora."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, model_validator
from pydantic_core import PydanticCustomError

from speechlake.config import Section, invalid
from speechlake.splits.policy_rules import AnyOf, AnyRule, Check, ErrorRate, SameLanguage, rule_meaning
from speechlake.splits.policy_values import Corpora, Languages, RuleName, as_tuple


class Override(Section):
    """For rows of these languages and corpora (both, where both are said), some rules ask something else.

    A row follows the first override that is for it, and no other. `keep` holds whole rules: what the file
    leaves out is that of the rule it changes.
    """

    languages: Languages | None = None
    corpora: Corpora | None = None
    keep: Annotated[tuple[AnyRule, ...], BeforeValidator(as_tuple)] = ()
    drop_rules: Annotated[tuple[RuleName, ...], BeforeValidator(as_tuple)] = ()

    @model_validator(mode="after")
    def _says_something(self) -> Override:
        if self.languages is None and self.corpora is None:
            raise PydanticCustomError(
                "override", "expected languages, corpora or both; for all rows, change keep"
            )
        changed = [*(rule.rule for rule in self.keep), *self.drop_rules]
        twice = sorted({name for name in changed if changed.count(name) > 1})
        if twice or not changed:
            what = f"{', '.join(twice)} is changed twice" if twice else "expected keep, drop_rules or both"
            raise PydanticCustomError("override", what)
        return self

    def is_for_all_of(self, other: Override) -> bool:
        """Whether it is for every row that `other` is for."""
        asked = ((self.languages, other.languages), (self.corpora, other.corpora))
        return all(mine is None or (its is not None and {*its} <= {*mine}) for mine, its in asked)

    def meaning(self, rules: Mapping[str, AnyRule]) -> dict[str, Any]:
        """What it changes of `rules`, in one spelling; a rule that stays the same is left out."""
        changed = {rule.rule: rule_meaning(rule) for rule in self.keep}
        return {
            "languages": sorted(self.languages) if self.languages else None,
            "corpora": sorted(self.corpora) if self.corpora else None,
            "keep": {name: said for name, said in changed.items() if said != rule_meaning(rules[name])},
            "drop_rules": sorted(self.drop_rules),
        }


def whole_overrides(value: Any, rules: Sequence[AnyRule]) -> Any:
    """Overrides as a file has them, with the rules they change filled up from `rules`; others are refused."""
    if not isinstance(value, list):
        return value
    named = {rule.rule: rule for rule in rules}
    return tuple(_whole(item, named, n) if isinstance(item, dict) else item for n, item in enumerate(value))


def _whole(override: dict[str, Any], named: Mapping[str, AnyRule], n: int) -> dict[str, Any]:
    dropped = override.get("drop_rules", [])
    for name in dropped if isinstance(dropped, list) else []:
        if str(name) not in named:
            raise invalid(f"rule in [{n}].drop_rules:", name, named)
    changes = override.get("keep", [])
    if not isinstance(changes, list):
        return override
    return {**override, "keep": [_filled(item, named, f"[{n}].keep[{k}]") for k, item in enumerate(changes)]}


def _filled(change: Any, named: Mapping[str, AnyRule], where: str) -> Any:
    """A change with all else that its rule says."""
    if not isinstance(change, dict):
        return change
    name = str(change.get("rule"))
    if name not in named:
        raise invalid(f"rule in {where}:", name, named)
    rule = named[name]
    for key in change:
        if key not in (allowed := _changeable(rule)):
            raise invalid(f"change of {rule.rule!r} in {where}:", key, allowed)
    said = rule.model_dump(by_alias=True, exclude_unset=True)
    if isinstance(rule, Check) and any(key in rule.operators for key in change):
        said = {key: value for key, value in said.items() if key not in rule.operators}
    return {**said, **change}


def _changeable(rule: AnyRule) -> tuple[str, ...]:
    """Keys that an override may give: limits, and what a missing signal means."""
    if isinstance(rule, AnyOf):
        return ("rule", "if_missing")
    if isinstance(rule, SameLanguage):
        return ("rule", "if_missing", "minimum_probability")
    if isinstance(rule, ErrorRate):
        return ("rule", "if_missing", "at_most", "min_units")
    return ("rule", "if_missing", *rule.operators)
