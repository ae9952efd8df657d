"""Patterns that a policy may ask for: what is read, and what is refused because it could take for ever."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from speechlake.splits.patterns import LONGEST_PATTERN, LONGEST_VALUE, safe_pattern, whole

FINE = [
    "librispeech", "CC-BY(-SA)?-[0-9]\\.[0-9]", "calls-[0-9]{4}-[0-9]{2}", "[^/]+/[^/]+", "(a|b|cd)?x", ".*noise.*",
    "\\d{1,3}\\p{L}*", "[\\w.-]+", "a{3}", "[]]".replace("]]", "\\]]"), "été [a-z]{1,9}",
]  # fmt: skip

REFUSED = {
    "": "1 to 200 characters",
    "a" * (LONGEST_PATTERN + 1): "1 to 200 characters",
    "(a+)+": "a group cannot be repeated",
    "(a|a)*": "a group cannot be repeated",
    "(a?){9}": "a group cannot be repeated",
    "a**": "a repeat cannot be repeated",
    "a+?": "a repeat cannot be repeated",
    "a++": "a repeat cannot be repeated",
    "(?=a)b": "look-around",
    "(?i)a": "look-around, flags",
    "(a)\\1": "a reference back",
    "\\Qa": "'\\Q' is not allowed",
    "^a$": "'^' is not allowed here",
    "*a": "'*' is not allowed here",
    "(a": "ends too early",
    "a)": "')' is not allowed here",
    "[a": "ends too early",
    "[]a]": "must be written",
    "[a&&[b]]": "must be written",
    "[z-a]": "is not a range",
    "a{9,1}": "n <= m",
    "a{1,999}": "n <= m",
    "a{x}": "expected {n}",
    "a\nb": "control characters",
    "a\\": "ends too early",
    ".*.*.*x": "ways",
    "a?" * 30 + "b": "ways",
    "(a|a)" * 30: "ways",
    "a{0,200}a{0,200}a{0,200}": "ways",
}


@pytest.mark.parametrize("pattern", FINE)
def test_is_allowed_and_read_by_python_alike(pattern):
    assert safe_pattern(pattern) == pattern
    re.compile(pattern.replace("\\p{L}", "[a-z]"))


@pytest.mark.parametrize("pattern", REFUSED)
def test_is_refused_with_what_is_allowed(pattern):
    with pytest.raises(PydanticCustomError) as caught:
        safe_pattern(pattern)
    assert REFUSED[pattern] in str(caught.value)
    assert "allowed are letters" in str(caught.value)


@given(st.text(alphabet="ab(|)[]*+?{}1,9.\\-^$dw&", max_size=24))
def test_what_is_allowed_is_never_slow(pattern):
    """Python's engine backtracks as Java's does."""
    try:
        safe_pattern(pattern)
    except PydanticCustomError:
        return
    started = time.process_time()
    for value in ("a" * LONGEST_VALUE, "ab" * (LONGEST_VALUE // 2), "1" * (LONGEST_VALUE - 1) + "$"):
        re.fullmatch(pattern, value)
    assert time.process_time() - started < 5


def test_a_pattern_is_for_the_whole_value():
    assert whole("a|b") == r"\A(?:a|b)\z"
