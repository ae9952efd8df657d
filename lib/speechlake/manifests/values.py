"""What a single value of a field means: seconds, counts, names, channels; strict, nothing is turned into text."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from speechlake.manifests.record import Refusal
from speechlake.manifests.strict_json import MAX_NUMBER_CHARACTERS, json_type

PLACEHOLDERS: Final = frozenset(
    {
        "",
        "-",
        "--",
        "?",
        "n/a",
        "na",
        "none",
        "null",
        "nan",
        "unk",
        "<unk>",
        "unknown",
        "undefined",
        "no-speaker",
    }
)
MAX_SECONDS: Final = Decimal(10_000_000)
"""No recording lasts 115 days; larger values are counted in something else than seconds."""
MAX_SPEAKER: Final = 1024
MAX_COUNT: Final = Decimal(1 << 63)
"""What a column of whole numbers can hold."""

_DECIMAL: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?", re.ASCII)
_LETTER_CHANNELS: Final = {"a": "0", "b": "1", "left": "0", "right": "1", "mix": "mix"}


def seconds_of(role: str, value: Any) -> Decimal | None:
    """Exact seconds; None where the line says nothing."""
    number = _number_of(role, value)
    if number is not None and not -MAX_SECONDS < number < MAX_SECONDS:
        raise Refusal("BAD_NUMBER", f"{role} {number} s")
    return number


def _number_of(role: str, value: Any) -> Decimal | None:
    if value is None:
        return None
    if type(value) is Decimal:
        return value
    if type(value) is int:
        return Decimal(value)
    if type(value) is not Cell:
        raise Refusal("BAD_TYPE", f"{role} is {json_type(value)}, expected a number")
    return value.number(role) if value.strip() else None


def count_of(role: str, value: Any) -> int | None:
    """A declared whole number, however odd: nothing trusts it. What is no number of anything is refused."""
    number = _number_of(role, value)
    if number is None:
        return None
    if not 0 <= number < MAX_COUNT or number != number.to_integral_value():
        raise Refusal("BAD_NUMBER", f"{role} {number}")
    return int(number)


def string_of(role: str, value: Any) -> str | None:
    """A text verbatim; a number, list or object is refused, never turned into a string."""
    if value is None or type(value) is str:
        return value
    if type(value) is Cell:
        return str(value)
    raise Refusal("BAD_TYPE", f"{role} is {json_type(value)}, expected a string")


def name_of(role: str, value: Any) -> str | None:
    """An id: a string, or the whole number that some corpora use for one."""
    return str(value) if type(value) is int else string_of(role, value)


def channel_of(value: Any) -> str | None:
    """A channel counted from 0, `mix`, or None; A and B (left and right) are 0 and 1 as in NIST SPHERE."""
    text = name_of("channel", value)
    if text is None or not text.strip():
        return None
    text = _LETTER_CHANNELS.get(text.strip().lower(), text.strip())
    if text == "mix" or (text.isascii() and text.isdigit() and len(text) <= 3):
        return text if text == "mix" else str(int(text))
    raise Refusal("BAD_CHANNEL", text)


def is_placeholder(name: str) -> bool:
    """True for what people write where they do not know a speaker or language."""
    return name.strip().lower() in PLACEHOLDERS


def one_spelling(speaker: str) -> str:
    """The speaker's name without white space around it, its accents composed: who types it twice means one person.

    Endless names, which no person has, stay as they are: normalising takes quadratic time.
    """
    return unicodedata.normalize("NFC", speaker.strip()) if len(speaker) <= MAX_SPEAKER else speaker


class Cell(str):
    """A cell of a table: text that may be asked to be a number."""

    __slots__ = ()

    def number(self, role: str) -> Decimal:
        """The exact decimal; NaN, infinity and anything but digits are refused."""
        text = self.strip()
        if len(text) > MAX_NUMBER_CHARACTERS or not _DECIMAL.fullmatch(text):
            raise Refusal("BAD_NUMBER", f"{role} {text!r}")
        try:
            return Decimal(text)
        except InvalidOperation:
            raise Refusal("BAD_NUMBER", f"{role} {text!r}") from None
