"""Strict YAML for people: unknown keys are refused with the nearest valid name, errors name file and field."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, ValidationInfo, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from speechlake.errors import ConfigError

# What a value must be, by pydantic's name of the error and in words of ours.
_EXPECTED: Mapping[str, str] = {
    "bool_type": "true or false",
    "dict_type": "keys with values",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
    "list_type": "a list",
    "literal_error": "{expected}",
    "model_type": "keys with values",
    "string_pattern_mismatch": "what matches {pattern}",
    "string_too_long": "a length of at most {max_length}",
    "string_too_short": "a length of at least {min_length}",
    "string_type": "text",
    "too_long": "a length of at most {max_length}",
    "too_short": "a length of at least {min_length}",
    "tuple_type": "a list",
}


def nearest(name: object, valid: Iterable[str]) -> str | None:
    """The valid name that is nearest to `name`; null when none is near."""
    return next(iter(difflib.get_close_matches(str(name), list(valid), n=1)), None)


def near(name: object, valid: Iterable[str]) -> str:
    """A hint: the nearest valid name, or all of them when none is near, or that there is none."""
    names = list(valid)
    close = nearest(name, names)
    return (
        f"did you mean {close!r}?" if close else f"valid are {', '.join(names)}" if names else "there is none"
    )


def like(pattern: str, what: str) -> AfterValidator:
    """Of a text: all of it matches `pattern`, which errors tell as `what`."""

    def checked(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise PydanticCustomError("form", f"expected {what}")
        return text

    return AfterValidator(checked)


def invalid(what: str, name: object, valid: Iterable[str]) -> PydanticCustomError:
    """The error for a name that does not exist."""
    return PydanticCustomError("unknown_name", f"unknown {what} {str(name)!r}; {near(name, valid)}")


# Of a corpus and what is named like one: pattern and words for `like`.
CORPUS_NAME = (
    "[a-z0-9][a-z0-9._-]{0,63}",
    "1-64 lower-case letters, digits, '.', '_' and '-' that begin with a letter or digit",
)


class Section(BaseModel):
    """A mapping of a configuration file: strict types, frozen, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        valid = [field.alias or name for name, field in cls.model_fields.items()]
        for key in value:
            if key not in valid:
                raise invalid("key", key, valid)
        return value


_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


class _Loader(yaml.SafeLoader):
    """Safe YAML, in which a text is what looks like one; a key that is said twice is refused, and what UTF-8 cannot spell.

    In YAML 1.1 `on` and `no` are booleans, so that `on: train` and the language `no` would be lost; 1:30 is 90, 0012 is
    ten, 2026-01-01 a date, and 1e-9 no number.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            if isinstance(key_node, yaml.ScalarNode) and key_node.value == "<<" and key_node.style is None:
                # A few of them, each of others, may stand for gigabytes.
                raise yaml.MarkedYAMLError(problem=f"line {line}: '<<' is not read here; write the keys out")
            key = self.construct_object(key_node, deep=True)
            # Never spelled: a few aliases in it may stand for gigabytes.
            if isinstance(key, list | dict | set):
                raise yaml.MarkedYAMLError(problem=f"line {line}: a key is not a name")
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"line {line}: key {key!r} is said twice")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        if isinstance(node, yaml.ScalarNode) and _HALF_CHARACTER.search(node.value):
            line = node.start_mark.line + 1
            raise yaml.MarkedYAMLError(
                problem=f"line {line}: half of a surrogate pair, which no text can hold"
            )
        return super().construct_scalar(node)


# What is written without quotes and is no text: pattern, and the signs that it may begin with.
_PLAIN: Mapping[str, tuple[str, list[str]]] = {
    "null": (r"~|null|Null|NULL|", [*"~nN", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    "int": (r"[-+]?(?:0|[1-9][0-9]*(?:_[0-9]+)*|0x[0-9a-fA-F]+)", [*"-+0123456789"]),
    "float": (
        r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        [*"-+0123456789."],
    ),
}
_Loader.yaml_implicit_resolvers = {}
for _name, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(rf"^(?:{_pattern})$"), _first)

# PyYAML lets through what Python says of a value that its tag or escape cannot have: `!!int x`, `!!bool x`.
_NOT_YAML = (
    yaml.YAMLError,
    RecursionError,
    ValueError,
    TypeError,
    OverflowError,
    LookupError,
    AttributeError,
)
# Python spells no longer whole numbers, and nobody reads them.
_BITS_TOLD = 1024

S = TypeVar("S", bound=Section)
_BY_HAND = "by_hand"


def is_by_hand(info: ValidationInfo) -> bool:
    """For validators: whether somebody wrote this who can mend it; what a table holds is read as it was."""
    return bool((info.context or {}).get(_BY_HAND))


def load(path: str | Path, kind: type[S]) -> S:
    """The file as a `kind`; ConfigError names the file, the field, what was found and what is valid."""
    return loads(text_of(path), str(path), kind, by_hand=True)


def text_of(path: str | Path) -> str:
    """All of the file, byte for byte in UTF-8; ConfigError where it cannot be read."""
    try:
        return Path(path).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def loads(text: str, path: str, kind: type[S], *, by_hand: bool = False) -> S:
    """The text of a file as a `kind`; `path` names it in errors, as `load` does.

    `by_hand`: of somebody who can mend it. What a table holds was taken once, and is read as it was.
    """
    try:
        raw = yaml.load(text, Loader=_Loader)
    except _NOT_YAML as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from error
    try:
        return kind.model_validate(raw, context={_BY_HAND: by_hand})
    except ValidationError as error:
        raise ConfigError("\n  ".join(f"{path}: {told}" for told in problems(error))) from error


def problems(error: ValidationError, place: Callable[[ErrorDetails], str] | None = None) -> list[str]:
    """`field: what is wrong`, for every field; `place` names fields in another way."""
    return [f"{(place or _field)(e)}: {_message(e)}" for e in error.errors()]


def _field(error: ErrorDetails) -> str:
    """`keep[2].at_most`: the place in the file, without pydantic's names of alternatives and of keys."""
    parts = [part for part in error["loc"] if not (isinstance(part, str) and part.startswith(("<", "[")))]
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.lstrip(".") or "the whole file"


def _message(error: ErrorDetails) -> str:
    """What was expected and found; other messages are our own, and tell what was found."""
    if error["type"] == "missing":
        return "is missing"
    expected = _EXPECTED.get(error["type"])
    told = f"expected {expected.format(**error.get('ctx', {}))}" if expected else error["msg"]
    return f"{told}{_found(error.get('input'))}" if told.startswith("expected") else told


def _found(value: object) -> str:
    if value is None:
        return ", found nothing"
    is_short = not isinstance(value, int) or value.bit_length() <= _BITS_TOLD
    return f", found {value!r}" if isinstance(value, str | int | float | bool) and is_short else ""
