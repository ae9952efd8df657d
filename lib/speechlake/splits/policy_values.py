"""Values of a policy file: limits, which may differ by language or be quantiles, ranges, sides, languages."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, ValidationInfo
from pydantic_core import PydanticCustomError

from speechlake.config import CORPUS_NAME, Section, invalid, is_by_hand, like, nearest
from speechlake.text.languages import canonical, is_canonical
from speechlake.text.subtags import primary

Side = Literal["train", "dev", "test"]
SIDES: tuple[Side, ...] = ("train", "dev", "test")
EVALUATION: tuple[Side, ...] = ("dev", "test")

RuleName = Annotated[
    str, like("[a-z][a-z0-9_]{0,63}", "1-64 lower-case letters, digits and '_' that begin with a letter")
]

# A regular expression of `matches`: names, licences and tags are short, and longer values match nothing, because Java's
# engine backtracks.
LONGEST_PATTERN = 200
LONGEST_VALUE = 256


def pattern(text: str) -> str:
    """Return the regular expression as it is; PydanticCustomError where it is none, or too long.

    Java's engine reads it later, so that it should mean the same to both: sets, classes, groups and repeats do.
    """
    if not 1 <= len(text) <= LONGEST_PATTERN:
        message = f"a pattern has 1 to {LONGEST_PATTERN} characters, this one {len(text)}"
        raise PydanticCustomError("pattern", message)
    try:
        re.compile(text)
    except re.error as error:
        # Braces of the text would be read as fields of the message.
        raise PydanticCustomError("pattern", "no regular expression: {why}", {"why": str(error)}) from error
    return text


def _one_value(value: object) -> object:
    """Refuse what is no single value, before each kind of value is told in turn."""
    if not isinstance(value, bool | int | float | str):
        raise PydanticCustomError("scalar", "expected one text, number or truth value")
    return value


def _as_stored(code: str, info: ValidationInfo) -> str:
    """A primary language subtag as tables have it; another code of that language would never apply."""
    stored = primary(canonical(code))
    if is_by_hand(info) and code != "default" and stored != code and not is_canonical(code):
        hint = f"; here it is {stored!r}" if stored else ""
        raise PydanticCustomError("language", f"{code!r} is no language code of the tables{hint}")
    return code


SUBTAG = "a primary subtag, such as en"
Language = Annotated[str, like("[a-z]{2,3}", SUBTAG), AfterValidator(_as_stored)]
LanguageOrDefault = Annotated[
    str, like("[a-z]{2,3}|default", f"{SUBTAG}, or default"), AfterValidator(_as_stored)
]
CorpusName = Annotated[str, like(*CORPUS_NAME)]
# A whole number that no column can hold is compared as any number is.
Scalar = Annotated[
    bool | Annotated[int, Field(ge=-(2**63), lt=2**63)] | float | str, BeforeValidator(_one_value)
]
# A hundred thousand years of audio: in milliseconds, a number that Spark has.
Hours = Annotated[float, Field(gt=0, le=1e9)]


class Quantile(Section):
    """A limit that is read off the data, once: the number is pinned by the first release of the scheme.

    `per: language` takes a number of its own for each language that no other limit names.
    """

    quantile: Annotated[float, Field(gt=0, lt=1)]
    per: Literal["language"] | None = None


def _by_language(value: object) -> object:
    """A value for every language is the map {default: value}."""
    if not isinstance(value, dict) or "quantile" in value:
        return {"default": value}
    for key in value:
        if len(str(key)) > 3 and key != "default":
            near = primary(canonical(str(key))) or nearest(key, ("default", "quantile"))
            hint = f"did you mean {near!r}?" if near else f"expected {SUBTAG}, or default"
            raise PydanticCustomError("unknown_name", f"unknown language {str(key)!r}; {hint}")
    return value


def _ordered(pairs: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Refuse a range whose lower end is above its upper end."""
    for language, (low, high) in pairs.items():
        if low > high:
            raise PydanticCustomError("range", f"{language}: {low:g} is above {high:g}")
    return pairs


def _language_of_its_own(limits: dict[str, Any]) -> dict[str, Any]:
    """Refuse `per: language` for one language."""
    for language, limit in limits.items():
        if isinstance(limit, Quantile) and limit.per and language != "default":
            raise PydanticCustomError("quantile", f"{language}: 'per' is for default; this is one language")
    return limits


def _kind_of_limit(value: Any) -> str:
    return "<quantile>" if isinstance(value, dict | Quantile) else "<number>"


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


Limit = Annotated[
    Annotated[float, Tag("<number>")] | Annotated[Quantile, Tag("<quantile>")], Discriminator(_kind_of_limit)
]
Limits = Annotated[
    dict[LanguageOrDefault, Limit],
    BeforeValidator(_by_language),
    Field(min_length=1),
    AfterValidator(_language_of_its_own),
]
Pair = Annotated[tuple[float, float], BeforeValidator(as_tuple)]
Ranges = Annotated[
    dict[LanguageOrDefault, Pair],
    BeforeValidator(_by_language),
    Field(min_length=1),
    AfterValidator(_ordered),
]
Sides = Annotated[tuple[Side, ...], BeforeValidator(_sides)]
Scalars = Annotated[tuple[Scalar, ...], BeforeValidator(as_tuple), Field(min_length=1)]
Languages = Annotated[tuple[Language, ...], BeforeValidator(as_tuple), Field(min_length=1)]
Corpora = Annotated[tuple[CorpusName, ...], BeforeValidator(as_tuple), Field(min_length=1)]


def plain(value: Any) -> Any:
    """A value in its one spelling, for digests: 8000.0 is 8000, sequences are lists, keys and parts likewise."""
    if isinstance(value, Section):
        return plain(value.model_dump(by_alias=True, exclude_none=True))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def plain_limits(value: Any) -> Any:
    """Limits in their one spelling: a language whose number is that of `default` need not be named."""
    said = plain(value)
    if not isinstance(said, dict):
        return said
    rest = said.get("default")
    # A quantile is over the languages that no other key names, so there each name counts.
    repeated = {} if isinstance(rest, dict) or "default" not in said else {"default": rest}
    return {key: item for key, item in said.items() if key == "default" or item != repeated.get("default")}
