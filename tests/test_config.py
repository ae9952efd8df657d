"""Configuration files: whatever somebody wrote there, the answer names the file."""

from __future__ import annotations

import pytest

from speechlake.config import Section, loads
from speechlake.errors import ConfigError


class Word(Section):
    """One key."""

    said: str


def test_yaml_that_is_right_is_read() -> None:
    assert loads("said: no", "f.yaml", Word).said == "no"


@pytest.mark.parametrize(
    "text",
    [
        "said: 2026-02-30",
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


@pytest.mark.parametrize("key", ["[a]", "{a: b}", "!!set {a}"])
def test_a_key_of_several_values_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match="line 1: a key is not a name"):
        loads(f"? {key}\n: 1", "f.yaml", Word)


def test_a_key_that_aliases_make_endless_is_not_spelled() -> None:
    bomb = "".join(f"- &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    with pytest.raises(ConfigError, match="a key is not a name"):
        loads(f"- &a0 [x]\n{bomb}- ? *a29\n  : 1\n", "f.yaml", Word)


def test_a_number_that_python_does_not_spell_is_not_told() -> None:
    with pytest.raises(ConfigError, match=r"said: Input should be a valid string$"):
        loads(f"said: 0x{'f' * 5000}", "f.yaml", Word)
