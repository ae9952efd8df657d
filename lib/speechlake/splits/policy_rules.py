"""The rules of a policy file: what each asks, for which sides it counts, what a missing signal means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from speechlake.config import Section, invalid, is_by_hand, nearest
from speechlake.ids import canonical_json
from speechlake.splits.columns import NAMES, Plain, column_named
from speechlake.splits.policy_values import (
    SIDES,
    Limits,
    Ranges,
    RuleName,
    Scalar,
    Scalars,
    Sides,
    as_tuple,
    pattern,
    plain,
    plain_limits,
)
from speechlake.splits.signals import SIGNALS, Signal
from speechlake.text.languages import canonical, is_canonical


class Check(Section):
    """One signal or plain column, one operator."""

    signal: str | None = None
    column: str | None = None
    is_: bool | None = Field(default=None, alias="is")
    equals: Scalar | None = None
    one_of: Scalars | None = None
    none_of: Scalars | None = None
    at_least: Limits | None = None
    at_most: Limits | None = None
    between: Ranges | None = None
    matches: Annotated[str, AfterValidator(pattern)] | None = None

    operators: ClassVar = (
        *("is", "equals", "one_of", "none_of"),
        *("at_least", "at_most", "between", "matches"),
    )

    @field_validator("signal")
    @classmethod
    def _known_signal(cls, name: str | None) -> str | None:
        if name is None or name in SIGNALS:
            return name
        if column_named(name) is not None:
            raise PydanticCustomError(
                "signal", f"{name!r} is no signal, it is a column: write `column: {name}`"
            )
        if name.startswith("imported"):
            raise PydanticCustomError(
                "signal", f"unknown signal {name!r}; what was imported is imported.<import>.<column>"
            )
        if name.startswith("score."):
            raise PydanticCustomError("signal", f"{name!r} is no signal: use the rule error_rate")
        raise invalid("signal", name, [*SIGNALS])

    @field_validator("column")
    @classmethod
    def _known_column(cls, name: str | None) -> str | None:
        if name is None or column_named(name) is not None:
            return name
        # As `utterances_now` spells it.
        signal = name if name in SIGNALS else name.replace("_", ".", 1)
        if signal in SIGNALS:
            raise PydanticCustomError(
                "column", f"{name!r} is no column, it is a signal: write `signal: {signal}`"
            )
        raise invalid("column", name, NAMES)

    @model_validator(mode="after")
    def _one_operator(self, info: ValidationInfo) -> Check:
        if (self.signal is None) == (self.column is None):
            raise PydanticCustomError("signal", "expected one of signal and column")
        given = self._given()
        if len(given) != 1:
            raise PydanticCustomError(
                "operator", f"expected one of {', '.join(self.operators)}, found {', '.join(given) or 'none'}"
            )
        if given[0] != "is" and self.asked is None:
            raise PydanticCustomError("operator", f"'{given[0]}' says nothing")
        _check_type(self.measured, given[0], self.asked)
        if is_by_hand(info) and given[0] in ("equals", "one_of", "none_of"):
            _check_values(self.measured, self.asked)
        return self

    def _given(self) -> list[str]:
        said = {"is" if name == "is_" else name for name in self.model_fields_set}
        return [name for name in self.operators if name in said]

    @property
    def measured(self) -> Signal | Plain:
        """What it reads: a signal, or a column."""
        if self.signal is not None:
            return SIGNALS[self.signal].compared_with(self.asked)
        found = column_named(self.column or "")
        assert found is not None, "validated"
        return found

    @property
    def operator(self) -> str:
        """Name of its operator."""
        return self._given()[0]

    @property
    def asked(self) -> Any:
        """What the operator compares with."""
        return getattr(self, "is_" if self.operator == "is" else self.operator)

    def meaning(self) -> dict[str, Any]:
        """What it asks, in one spelling."""
        asked = plain_limits(self.asked)
        if isinstance(self.asked, tuple):
            asked = sorted({canonical_json(item): item for item in asked}.items())
            asked = [item for _, item in asked]
        read = {"signal": self.signal} if self.signal is not None else {"column": self.column}
        return {**read, self.operator: asked}


Conditions = Annotated[
    tuple[Check, ...],
    BeforeValidator(lambda v: (v,) if isinstance(v, dict) else as_tuple(v)),
    Field(min_length=1),
]


class Rule(Section):
    """What all rules have: a name, the sides it counts for, and what a missing signal means.

    A rule with `when` applies where each of these conditions passes; elsewhere it is not applicable.
    """

    rule: RuleName
    on: Sides = SIDES
    if_missing: Literal["fail", "pass"] = "fail"
    when: Conditions | None = None


class SignalRule(Rule, Check):
    """One signal or column, one operator."""


class AnyOf(Rule):
    """Passes where any of its conditions passes."""

    any_of: Annotated[tuple[Check, ...], BeforeValidator(as_tuple), Field(min_length=2)]


class SameLanguage(Rule):
    """The detected language is the declared one, where the detector is sure enough to be heard."""

    rule: Literal["same_language"]
    on: Sides = ("train",)
    minimum_probability: Annotated[float, Field(ge=0, le=1)]


class ErrorRate(Rule):
    """Model and transcript agree: WER or CER, as the language's score counts, is at most a limit."""

    rule: Literal["error_rate"]
    on: Sides = ("train",)
    at_most: Limits
    min_units: Annotated[int, Field(ge=1)]


def _check_type(signal: Signal | Plain, operator: str, asked: Any) -> None:
    """Refuse comparisons that can never hold, such as a text with a number."""
    numeric = operator in ("at_least", "at_most", "between")
    values = asked if operator in ("one_of", "none_of") else [asked]
    kinds: dict[str, type] = {"string": str, "boolean": bool, "array<string>": str}
    wanted = kinds.get(signal.type)
    if numeric:
        fine = signal.is_number
    elif operator == "matches":
        fine = signal.type == "string"
    elif operator == "is":
        fine = asked is None or signal.type == "boolean"
    elif wanted is None:
        fine = signal.is_number and all(
            isinstance(v, int | float) and not isinstance(v, bool) for v in values
        )
    else:
        fine = all(isinstance(v, wanted) for v in values)
    if not fine:
        raise PydanticCustomError(
            "type", f"'{operator}' cannot compare {signal.name}, which is {signal.type}"
        )


def _check_values(read: Signal | Plain, asked: Any) -> None:
    """Refuse a value that the column never has: the comparison would always end the same."""
    for value in asked if isinstance(asked, tuple) else (asked,):
        if isinstance(read, Plain) and read.values and value not in read.values:
            raise invalid(read.name, value, read.values)
        if read.name == "language" and not is_canonical(value):
            hint = f"; here it is {canonical(value)!r}" if canonical(value) else ""
            raise PydanticCustomError("language", f"{value!r} is no language tag of the tables{hint}")


# Rules that say by their name what they read.
OF_A_KIND = ("same_language", "error_rate")


def _kind_of_rule(value: Any) -> str:
    name = value.get("rule") if isinstance(value, dict) else getattr(value, "rule", None)
    if isinstance(value, dict) and not any(nearest(key, ("signal", "column", "any_of")) for key in value):
        # What reads nothing was meant for one of these: its error then names it.
        name = nearest(name, OF_A_KIND) or name
    if name in OF_A_KIND:
        return f"<{name}>"
    return (
        "<any_of>"
        if isinstance(value, AnyOf) or (isinstance(value, dict) and "any_of" in value)
        else "<signal>"
    )


AnyRule = Annotated[
    Annotated[SameLanguage, Tag("<same_language>")]
    | Annotated[ErrorRate, Tag("<error_rate>")]
    | Annotated[AnyOf, Tag("<any_of>")]
    | Annotated[SignalRule, Tag("<signal>")],
    Discriminator(_kind_of_rule),
]


def rule_meaning(rule: AnyRule) -> dict[str, Any]:
    """What the rule asks, with its defaults spelled out, for the policy's digest."""
    said: dict[str, Any] = {"rule": rule.rule, "on": list(rule.on), "if_missing": rule.if_missing}
    if rule.when is not None:
        said["when"] = _in_order(rule.when)
    if isinstance(rule, SignalRule):
        return {**said, **rule.meaning()}
    if isinstance(rule, AnyOf):
        return {**said, "any_of": _in_order(rule.any_of)}
    if isinstance(rule, SameLanguage):
        return {**said, "minimum_probability": plain(rule.minimum_probability)}
    return {**said, "at_most": plain_limits(rule.at_most), "min_units": rule.min_units}


def _in_order(checks: tuple[Check, ...]) -> list[dict[str, Any]]:
    """Meanings in an order of their own: which of several conditions is written first means nothing."""
    return sorted((check.meaning() for check in checks), key=canonical_json)


def checks_of(rule: AnyRule) -> tuple[Check, ...]:
    """Every condition that the rule names, those of its `when` first."""
    own = (rule,) if isinstance(rule, SignalRule) else rule.any_of if isinstance(rule, AnyOf) else ()
    return (*(rule.when or ()), *own)


def extractors_read(rule: AnyRule) -> set[str]:
    """Names of the extractors whose measurements the rule reads."""
    own = {"whisper"} if isinstance(rule, SameLanguage | ErrorRate) else set[str]()
    return own | {name for check in checks_of(rule) for name in check.measured.needs}


def with_checks(rule: AnyRule, change: Callable[[Check], Check]) -> AnyRule:
    """The rule with every condition changed; `error_rate` has none but those of its `when`."""
    changed: dict[str, Any] = {}
    if rule.when is not None:
        changed["when"] = tuple(change(check) for check in rule.when)
    if isinstance(rule, AnyOf):
        changed["any_of"] = tuple(change(check) for check in rule.any_of)
    whole = rule.model_copy(update=changed)
    if isinstance(whole, SignalRule):
        other = change(whole)
        assert isinstance(other, SignalRule), "a rule stays one"
        return other
    return whole
