"""The rules of a policy file: what each asks, for which sides it counts, what a missing signal means."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from speechlake.config import Section, invalid
from speechlake.splits.signals import SIGNALS, Signal

Side = Literal["train", "dev", "test"]
SIDES: tuple[Side, ...] = ("train", "dev", "test")
EVALUATION: tuple[Side, ...] = ("dev", "test")

RuleName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
LanguageOrDefault = Annotated[str, Field(pattern=r"^([a-z]{2,3}|default)$")]
Scalar = bool | int | float | str


def _by_language(value: object) -> object:
    """A value for every language is the map {default: value}."""
    return value if isinstance(value, dict) else {"default": value}


def _ordered(pairs: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Refuse a range whose lower end is above its upper end."""
    for language, (low, high) in pairs.items():
        if low > high:
            raise PydanticCustomError("range", f"{language}: {low:g} is above {high:g}")
    return pairs


def _sides(value: object) -> object:
    """`train`, `eval`, `all` or a list of sides, as sides in their usual order."""
    named: dict[str, tuple[str, ...]] = {
        "all": SIDES,
        "eval": EVALUATION,
        **{side: (side,) for side in SIDES},
    }
    if isinstance(value, str):
        if value not in named:
            raise invalid("side", value, [*named])
        return named[value]
    if isinstance(value, list) and value and all(side in SIDES for side in value):
        return tuple(side for side in SIDES if side in value)
    if isinstance(value, tuple):
        return value
    raise PydanticCustomError("sides", "expected train, eval, all, or a list of train, dev and test")


def as_tuple(value: object) -> object:
    """YAML has lists only; frozen models hold tuples."""
    return tuple(value) if isinstance(value, list) else value


Limits = Annotated[dict[LanguageOrDefault, float], BeforeValidator(_by_language), Field(min_length=1)]
Pair = Annotated[tuple[float, float], BeforeValidator(as_tuple)]
Ranges = Annotated[dict[LanguageOrDefault, Pair], BeforeValidator(_by_language), AfterValidator(_ordered)]
Sides = Annotated[tuple[Side, ...], BeforeValidator(_sides)]


class Rule(Section):
    """What all rules have: a name, the sides it counts for, and what a missing signal means."""

    rule: RuleName
    on: Sides = SIDES
    if_missing: Literal["fail", "pass"] = "fail"


class SignalRule(Rule):
    """One signal, one operator."""

    signal: str
    is_: bool | None = Field(default=None, alias="is")
    equals: Scalar | None = None
    one_of: Annotated[tuple[Scalar, ...], BeforeValidator(as_tuple), Field(min_length=1)] | None = None
    at_least: Limits | None = None
    at_most: Limits | None = None
    between: Ranges | None = None

    operators: ClassVar = ("is", "equals", "one_of", "at_least", "at_most", "between")

    @field_validator("signal")
    @classmethod
    def _known_signal(cls, name: str) -> str:
        if name not in SIGNALS:
            raise invalid("signal", name, [*SIGNALS])
        return name

    @model_validator(mode="after")
    def _one_operator(self) -> SignalRule:
        given = self._given()
        if len(given) != 1:
            raise PydanticCustomError(
                "operator", f"expected one of {', '.join(self.operators)}, found {', '.join(given) or 'none'}"
            )
        _check_type(self.measured, given[0], self.asked)
        return self

    def _given(self) -> list[str]:
        said = {"is" if name == "is_" else name for name in self.model_fields_set}
        return [name for name in self.operators if name in said]

    @property
    def measured(self) -> Signal:
        """The signal it reads."""
        return SIGNALS[self.signal].compared_with(self.asked)

    @property
    def operator(self) -> str:
        """Name of its operator."""
        return self._given()[0]

    @property
    def asked(self) -> Any:
        """What the operator compares with."""
        return getattr(self, "is_" if self.operator == "is" else self.operator)


def _check_type(signal: Signal, operator: str, asked: Any) -> None:
    """Refuse comparisons that can never hold, such as a text with a number."""
    numeric = operator in ("at_least", "at_most", "between")
    values = asked if operator == "one_of" else [asked]
    kinds = {"string": str, "boolean": bool}
    if signal.is_number:
        fine = numeric or all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    else:
        wanted = kinds.get(signal.type)
        fine = not numeric and wanted is not None and all(isinstance(v, wanted) for v in values)
    if operator == "is":
        fine = asked is None or signal.type == "boolean"
    if not fine:
        raise PydanticCustomError(
            "type", f"'{operator}' cannot compare {signal.name}, which is {signal.type}"
        )


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


def _kind_of_rule(value: Any) -> str:
    name = value.get("rule") if isinstance(value, dict) else getattr(value, "rule", None)
    return f"<{name}>" if name in ("same_language", "error_rate") else "<signal>"


AnyRule = Annotated[
    Annotated[SameLanguage, Tag("<same_language>")]
    | Annotated[ErrorRate, Tag("<error_rate>")]
    | Annotated[SignalRule, Tag("<signal>")],
    Discriminator(_kind_of_rule),
]


def rule_meaning(rule: AnyRule) -> dict[str, Any]:
    """What the rule asks, with its defaults spelled out, for the policy's digest."""
    said = rule.model_dump(mode="json", by_alias=True)
    if isinstance(rule, SignalRule):
        said = {key: said[key] for key in ("rule", "on", "if_missing", "signal")}
        said[rule.operator] = list(rule.asked) if isinstance(rule.asked, tuple) else rule.asked
    return said
