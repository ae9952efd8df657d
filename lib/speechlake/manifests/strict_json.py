"""One JSON object from one line, strictly.

Own code around the C scanner of `json`, because every reader at hand is lenient in one way or
another (facts.md): last of two equal keys wins, a second object is dropped, NaN and 1e999 pass,
20,000 brackets crash. Numbers come back as `int` or exact `Decimal`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from speechlake.manifests.record import Refusal

MAX_LINE_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 64
MAX_NUMBER_CHARACTERS: Final = 40
MAX_EXPONENT: Final = 307  # of a double: scores as small as 1e-25 are common among extra fields

_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
# Only escapes can smuggle these past the scanner, which refuses raw control characters.
_SUSPICIOUS_ESCAPE = re.compile(rb"\\(?:u00[0189]|u007[fF]|u[dD][89a-fA-F]|[bf])")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_WHITESPACE: Final = " \t\r\n"


def parse_object(raw: bytes) -> dict[str, Any]:
    """The object that `raw` holds; raises `Refusal` (TOO_LONG, TOO_DEEP, BAD_UTF8, BAD_JSON, TWO_OBJECTS,
    DUPLICATE_KEY, BAD_TYPE, BAD_NUMBER, LONE_SURROGATE, CONTROL_CHARACTER).

    A byte order mark is refused here: whoever reads the file removes the one at its first byte.
    """
    if len(raw) > MAX_LINE_BYTES:
        raise Refusal("TOO_LONG", f"{len(raw)} bytes, at most {MAX_LINE_BYTES}")
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth(raw) > MAX_DEPTH:
        raise Refusal("TOO_DEEP", f"nested deeper than {MAX_DEPTH}")
    value = _value(_text(raw).strip(_WHITESPACE))
    if type(value) is not dict:
        raise Refusal("BAD_TYPE", f"a line must be an object, this is {json_type(value)}")
    if _SUSPICIOUS_ESCAPE.search(raw):
        for text in _strings(value):
            check_text(text)
    return value


def check_text(text: str) -> None:
    """Refuse text with half surrogates or control characters other than tab and line ends."""
    if _SURROGATE.search(text):
        raise Refusal("LONE_SURROGATE", ascii(text))
    if _CONTROL.search(text):
        raise Refusal("CONTROL_CHARACTER", ascii(text))


def json_type(value: object) -> str:
    """The JSON name of a Python value's type, for messages."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def canonical(value: object) -> str:
    """A parsed value as text for `extras`: strings as they are, numbers as written, others canonical JSON."""
    if isinstance(value, str):
        return str(value)
    if type(value) is Decimal:
        return str(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=float)


def _text(raw: bytes) -> str:
    if b"\0" in raw:
        raise Refusal("CONTROL_CHARACTER", "NUL byte (UTF-16 text has many)")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal("BAD_UTF8", f"byte {error.start} is {raw[error.start]:#04x}") from None


def _value(text: str) -> Any:
    try:
        value, end = _SCAN(text, 0)
    except StopIteration as stop:
        raise Refusal("BAD_JSON", f"no value at character {stop.value}") from None
    except json.JSONDecodeError as error:
        reason = "CONTROL_CHARACTER" if error.msg.startswith("Invalid control") else "BAD_JSON"
        raise Refusal(reason, f"{error.msg.removesuffix(' at')} at character {error.pos}") from None
    except RecursionError:
        raise Refusal("TOO_DEEP", "nested deeper than the scanner follows") from None
    rest = text[end:].lstrip(_WHITESPACE)
    if rest:
        raise Refusal("TWO_OBJECTS" if rest[0] in "{[" else "BAD_JSON", f"after the first value: {rest[:60]}")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise Refusal("DUPLICATE_KEY", twice)
    return value


def _float(text: str) -> Decimal:
    if len(text) > MAX_NUMBER_CHARACTERS:
        raise Refusal("BAD_NUMBER", f"{len(text)} characters: {text[:40]}")
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise Refusal("BAD_NUMBER", text) from None
    if abs(number.adjusted()) > MAX_EXPONENT:
        raise Refusal("BAD_NUMBER", text)
    return number


def _int(text: str) -> int:
    if len(text) > MAX_NUMBER_CHARACTERS:
        raise Refusal("BAD_NUMBER", f"{len(text)} digits: {text[:40]}")
    return int(text)


def _constant(text: str) -> Any:
    raise Refusal("BAD_NUMBER", text)


_SCAN = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_float, parse_int=_int, parse_constant=_constant
).scan_once  # type: ignore[attr-defined]  # raw_decode would turn its StopIteration into another error


def _depth(raw: bytes) -> int:
    """The deepest nesting of brackets outside strings, without recursion."""
    depth = deepest = 0
    for match in _STRING_OR_BRACKET.finditer(raw):
        token = match[0]
        if token in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
        elif token in (b"]", b"}"):
            depth -= 1
    return deepest


def _strings(value: Any) -> Iterator[str]:
    """Every string of a value of bounded depth, keys included."""
    if type(value) is str:
        yield value
    elif type(value) is dict:
        for name, inner in value.items():
            yield name
            yield from _strings(inner)
    elif type(value) is list:
        for inner in value:
            yield from _strings(inner)
