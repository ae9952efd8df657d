"""How values look on the terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from speechlake.terminal import show, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (0.12345, "0.123"),
        (1234567, "1,234,567"),
        (2026, "2026"),
        ("a\x1b[31m", "a\\x1b[31m"),
        (["a", "b"], "['a', 'b']"),
        (bytearray(904), "904 bytes"),  # keys of audio_keys
        ([0.25] * 256, f"[{', '.join(['0.250'] * 8)}, … 256 numbers]"),  # an embedding
    ],
)
def test_a_value_is_shown_short_and_without_control_characters(value: Any, text: str) -> None:
    assert shown(value) == text


def told(columns: list[str], *rows: list[Any], width: int = 80, title: str = "") -> list[list[str]]:
    """Words of each line that is shown."""
    out = Console(file=io.StringIO(), width=width)
    show(out, title, columns, rows)
    assert isinstance(out.file, io.StringIO)
    return [line.split() for line in out.file.getvalue().splitlines() if line.strip()]


@pytest.mark.parametrize("count", [14, 24, 90])
def test_more_columns_than_fit_are_shown_row_by_row(count: int) -> None:
    names = [f"name{i}" for i in range(count)]
    lines = told(names, [f"said{i}" for i in range(count)], [i + 0.5 for i in range(count)])
    assert ["row", "1", "of", "2"] in lines
    assert all([name, f"said{i}"] in lines for i, name in enumerate(names))
    assert ["name7", "7.500"] in lines


def test_columns_that_fit_stay_a_table_and_no_column_is_squeezed_to_nothing() -> None:
    lines = told([f"n{i}" for i in range(13)], ["x" * 32] * 13, width=78)
    assert lines[0] == [f"n{i}" for i in range(13)]
    assert [len(word) >= 3 for word in lines[2]] == [True] * 13


def test_no_rows_of_many_columns_are_told_as_such() -> None:
    assert told([f"name{i}" for i in range(90)]) == [["no", "rows"]]


def test_no_rows_of_a_title_are_told_without_the_head_of_a_table() -> None:
    assert told(["split", "reason"], title="Added") == [["Added:", "none"]]
    assert told(["split", "reason"])[0] == ["split", "reason"]
