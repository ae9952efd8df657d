"""Safe patterns for `matches`: a small part of regular expressions that no text can make slow.

Java's engine runs them, beside the data, and it backtracks: `(a+)+` on thirty letters takes minutes. RE2,
which never does, is not to be had inside Spark; so a pattern is read here first, and refused unless the
number of ways in which it can be tried on the longest text it is given stays small.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

from pydantic_core import PydanticCustomError

LONGEST_PATTERN = 200
# Longer values match nothing: names, licences and tags are short, and the bound below depends on it.
LONGEST_VALUE = 256
# Ways of trying a pattern on one value. Measured in Spark on patterns near this bound and values made to fail:
# 10 to 40 ms a value on a busy core. Values that people write take microseconds.
MOST_WAYS = 1_000_000
LONGEST_REPEAT = 256

ALLOWED = (
    "allowed are letters, digits, escaped signs such as \\., the classes \\d \\w \\s \\p{L} \\p{N} and [a-z0-9_], "
    "alternatives (a|b), and *, +, ? or {1,9} behind one character or class, ? alone behind a group"
)
_ESCAPED_CLASSES = "dDwWsS"
_PROPERTIES = ("p{L}", "p{N}", "p{P}")
_META = set("\\.[]()|*+?{}^$")


@dataclass
class _Reader:
    """A pattern that is read from left to right; `ways` bounds how often the engine can change its mind."""

    text: str
    at: int = 0
    ways: int = 1
    endless: int = 0

    def refuse(self, why: str) -> PydanticCustomError:
        shown = self.text[max(0, self.at - 10) : self.at + 10].replace("{", "{{").replace("}", "}}")
        told = f"{why} at character {self.at + 1} (near '{shown}'); {ALLOWED}"
        return PydanticCustomError("pattern", told.replace("{{", "{").replace("}}", "}"))

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        found = self.peek()
        if not found:
            raise self.refuse("the pattern ends too early")
        self.at += 1
        return found

    def alternatives(self, *, inside: bool) -> None:
        """`a|b|c`, up to a closing parenthesis where `inside` one."""
        branches = 1
        while (sign := self.peek()) and not (inside and sign == ")"):
            if sign == "|":
                self.at += 1
                branches += 1
            else:
                self.item()
        self.ways *= branches

    def item(self) -> None:
        """One character, class or group, with what repeats it."""
        sign = self.take()
        group = sign == "("
        if group:
            self.group()
        elif sign == "[":
            self.set_of_characters()
        elif sign == "\\":
            self.escaped()
        elif sign in _META and sign != ".":
            self.at -= 1
            raise self.refuse(f"{sign!r} is not allowed here")
        self.repeat(group=group)

    def group(self) -> None:
        if self.peek() == "?":
            raise self.refuse("'(?' (look-around, flags, names) is not allowed")
        self.alternatives(inside=True)
        if self.take() != ")":
            raise self.refuse("a group is not closed")

    def escaped(self) -> None:
        sign = self.take()
        for name in _PROPERTIES:
            if self.text.startswith(name, self.at - 1):
                self.at += len(name) - 1
                return
        if sign.isdigit():
            raise self.refuse("a reference back to a group is not allowed")
        if (sign.isalnum() and sign not in _ESCAPED_CLASSES) or not sign.isascii():
            raise self.refuse(f"'\\{sign}' is not allowed")

    def set_of_characters(self) -> None:
        """`[a-z_]`, after its opening bracket."""
        if self.peek() == "^":
            self.at += 1
        first, last = True, ""
        while (sign := self.take()) != "]" or first:
            if sign == "]" or sign == "[" or (sign == "&" and self.peek() == "&"):
                raise self.refuse(f"{sign!r} in a set of characters must be written \\{sign}")
            if sign == "\\":
                self.escaped()
                sign = ""
            elif sign == "-" and last and self.peek() not in ("]", ""):
                end = self.take()
                if not (last.isalnum() and end.isalnum() and last <= end):
                    raise self.refuse(f"'{last}-{end}' is not a range of letters or digits")
                sign = ""
            first, last = False, sign

    def repeat(self, *, group: bool) -> None:
        """`*`, `+`, `?`, `{n,m}`, or nothing; never two of them."""
        sign = self.peek()
        if sign not in ("*", "+", "?", "{") or not sign:
            return
        if group and sign != "?":
            raise self.refuse("a group cannot be repeated (only ?)")
        self.at += 1
        low, high = (0, 1) if sign == "?" else self.bounds() if sign == "{" else (0, None)
        if high is None:
            self.endless += 1
        else:
            self.ways *= high - low + 1
        if self.peek() in ("*", "+", "?", "{") and self.peek():
            raise self.refuse("a repeat cannot be repeated")

    def bounds(self) -> tuple[int, int | None]:
        """`1,9}` after its opening brace."""
        inside, closed, _ = self.text[self.at :].partition("}")
        low, comma, high = inside.partition(",")
        fine = (
            closed and low.isascii() and low.isdigit() and (not high or (high.isascii() and high.isdigit()))
        )
        if not fine or int(high or low) < int(low) or int(high or low) > LONGEST_REPEAT:
            raise self.refuse(f"expected {{n}}, {{n,}} or {{n,m}} with n <= m <= {LONGEST_REPEAT}")
        self.at += len(inside) + 1
        return int(low), int(high) if high else None if comma else int(low)


def safe_pattern(pattern: str) -> str:
    """The pattern, as it is; PydanticCustomError says what is not allowed, where, and what is."""
    reader = _Reader(pattern)
    if not pattern or len(pattern) > LONGEST_PATTERN:
        raise reader.refuse(f"a pattern has 1 to {LONGEST_PATTERN} characters, this one {len(pattern)}")
    if any(not sign.isprintable() for sign in pattern):
        raise reader.refuse("control characters are not allowed")
    reader.alternatives(inside=False)
    # n endless repeats can share a text of length L in C(L + n, n) ways.
    ways = reader.ways * comb(LONGEST_VALUE + reader.endless, reader.endless)
    if ways > MOST_WAYS:
        raise reader.refuse(
            f"the pattern can be tried in up to {ways:.0e} ways, {MOST_WAYS:.0e} are allowed: "
            "say {1,9} in place of + and *, or use fewer of them, or a list with one_of"
        )
    return pattern


def whole(pattern: str) -> str:
    """The pattern as Java reads it, for the whole of a value."""
    return rf"\A(?:{pattern})\z"
