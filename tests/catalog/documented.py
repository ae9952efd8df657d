"""The questions of docs/queries.md, read out of the page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "queries.md").read_text("utf-8")
_QUESTION = re.compile(
    r"^### (\d+)\. (.+?)\n\n```sql\n(.*?)^```\n\nColumns: ((?:`\w+`(?:, )?)+)", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Question:
    """A query with the columns that the page promises."""

    number: int
    title: str
    sql: str
    columns: tuple[str, ...]


QUESTIONS = [
    Question(int(number), title, sql, tuple(re.findall(r"`(\w+)`", columns)))
    for number, title, sql, columns in _QUESTION.findall(PAGE)
]


def python_blocks() -> list[str]:
    """Code in Python on the page."""
    return re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
