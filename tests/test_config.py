"""Configuration files: whatever somebody wrote there, the answer names the file."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from speechlake.config import Section, like, loads
from speechlake.errors import ConfigError


class Word(Section):
    """One key."""

    said: str


class All(Section):
    """A key of every kind."""

    text: str = ""
    number: Annotated[float, Field(ge=0, lt=1)] = 0.0
    count: int = 0
    flag: bool = False
    side: Literal["left", "right"] = "left"
    several: Annotated[tuple[str, ...], Field(min_length=1)] = ("a",)
    named: Annotated[str, like("[a-z]+", "lower-case letters")] = "a"
    below: Word | None = None


def test_yaml_that_is_right_is_read() -> None:
    assert loads("said: no", "f.yaml", Word).said == "no"


@pytest.mark.parametrize(
    "text",
    [
        "said: !!int x",
        "said: !!int ''",
        "said: !!bool x",
        "said: !!timestamp x",
        f"said: {'9' * 5000}",
        r'said: "\UFFFFFFFF"',
        "said: !!set [1]",
    ],
)
def test_a_value_that_its_tag_cannot_have_is_no_yaml(text: str) -> None:
    with pytest.raises(ConfigError, match=r"f\.yaml: is not valid YAML: "):
        loads(text, "f.yaml", Word)


@pytest.mark.parametrize(
    "text", ["no", "1:30", "2026-01-01", "2026-02-30", "007", "00.5", "1_", "12:30:45.5", "=", "0b1"]
)
def test_what_yaml_1_1_takes_for_something_else_is_text(text: str) -> None:
    assert loads(f"said: {text}", "f.yaml", Word).said == text


@pytest.mark.parametrize("text", ["0", "-7", "+1_000", "0xff", "1.5", ".5", "-2.0e-3", "1.", "1e-9", "2.5E7"])
def test_numbers_are_none_of_them_text(text: str) -> None:
    with pytest.raises(ConfigError, match="said: expected text, found"):
        loads(f"said: {text}", "f.yaml", Word)


def test_a_merge_of_keys_is_told() -> None:
    with pytest.raises(ConfigError, match="line 3: '<<' is not read here; write the keys out"):
        loads("a: &a {said: x}\nb:\n  <<: *a\n", "f.yaml", Word)
    assert loads("said: <<", "f.yaml", Word).said == "<<"


@pytest.mark.parametrize("key", ["[a]", "{a: b}", "!!set {a}"])
def test_a_key_of_several_values_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match="line 1: a key is not a name"):
        loads(f"? {key}\n: 1", "f.yaml", Word)


def test_a_key_that_aliases_make_endless_is_not_spelled() -> None:
    bomb = "".join(f"- &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    with pytest.raises(ConfigError, match="a key is not a name"):
        loads(f"- &a0 [x]\n{bomb}- ? *a29\n  : 1\n", "f.yaml", Word)


def test_a_number_that_python_does_not_spell_is_not_told() -> None:
    with pytest.raises(ConfigError, match=r"said: expected text$"):
        loads(f"said: 0x{'f' * 5000}", "f.yaml", Word)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the whole file: expected keys with values, found nothing"),
        ("text: 1", "text: expected text, found 1"),
        ("text:", "text: expected text, found nothing"),
        ("number: often", "number: expected a number, found 'often'"),
        ("number: -1", "number: expected 0.0 or more, found -1"),
        ("number: 1", "number: expected less than 1.0, found 1"),
        ("number: .inf", "number: expected a finite number, found inf"),
        ("count: 1.5", "count: expected a whole number, found 1.5"),
        ("flag: yes", "flag: expected true or false, found 'yes'"),
        ("side: up", "side: expected 'left' or 'right', found 'up'"),
        ("several: x", "several: expected a list, found 'x'"),
        ("named: B", "named: expected lower-case letters, found 'B'"),
        (r'named: "b\n"', r"named: expected lower-case letters, found 'b\n'"),
        ("below: x", "below: expected keys with values, found 'x'"),
        ("below: {}", "below.said: is missing"),
    ],
)
def test_what_was_expected_is_told_in_words_for_people(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        loads(text, "f.yaml", All)
    assert error.value.message == f"f.yaml: {told}"
