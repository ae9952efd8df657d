"""Tables and lines on the terminal. Foreign text is shown with its control characters escaped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from rich.console import Console

PLAIN_WIDTH = 140
ROWS_SHOWN = 1000
# Characters that a column of a table keeps at least, and those between two: rich squeezes columns to nothing where
# there are many.
COLUMN_WIDTH, BETWEEN = 3, 3
NUMBERS_SHOWN = 8


def console(stream: TextIO | None = None) -> Console:
    """A console on stdout; wide and without colour when it is not a terminal."""
    from rich.console import Console

    out = stream or sys.stdout
    return Console(file=out, highlight=False, markup=False, width=None if out.isatty() else PLAIN_WIDTH)


def show(out: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table with a title, numbers to the right; one row after another where the columns are too many for it.

    Of a title without rows it is said that there are none."""
    data = [list(row) for row in rows]
    if title and not data:
        out.print(f"{title}: none")
        return
    texts = [columns, *([shown(value) for value in row] for row in data)]
    least = [min(max(map(len, column)), COLUMN_WIDTH) + BETWEEN for column in zip(*texts, strict=True)]
    if sum(least) - BETWEEN <= out.width:
        _show_table(out, title, columns, data)
        return
    if not data:
        out.print("no rows")
    for n, row in enumerate(data, 1):
        pairs = list(zip(columns, row, strict=True))
        _show_table(out, f"{title} row {n} of {len(data)}".lstrip(), ["column", "value"], pairs)


def _show_table(out: Console, title: str, columns: Sequence[str], data: Sequence[Sequence[Any]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(columns):
        numeric = any(isinstance(row[i], int | float) for row in data)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in data:
        table.add_row(*[Text(shown(value)) for value in row])
    out.print(table)


def show_frame(
    out: Console, title: str, frame: DataFrame, names: dict[str, Callable[[Any], Any]] | None = None
) -> None:
    """A small frame; `names` picks columns and says how each value is spelled. What is cut is told."""
    spell = names or {name: (lambda value: value) for name in frame.columns}
    rows = frame.select(*spell).limit(ROWS_SHOWN + 1).collect()
    show(
        out,
        title,
        [name.replace("_", " ") for name in spell],
        ([spell[name](row[name]) for name in spell] for row in rows[:ROWS_SHOWN]),
    )
    if len(rows) > ROWS_SHOWN:
        out.print(f"  … only the first {ROWS_SHOWN:,} rows are shown")


def shown(value: Any) -> str:
    """A value as text: three decimals, lists and maps in JSON's spirit, control characters escaped.

    Of bytes only their number is told, of long lists of numbers (an embedding) the first few.
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3f}"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 100_000 else str(value)
    if isinstance(value, bytes | bytearray):
        return f"{len(value):,} bytes"
    if isinstance(value, list) and len(value) > NUMBERS_SHOWN and isinstance(value[0], float):
        return f"[{', '.join(f'{one:.3f}' for one in value[:NUMBERS_SHOWN])}, … {len(value)} numbers]"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))


def shown_lines(message: object) -> str:
    """A message of several lines with its control characters escaped."""
    return "\n".join(map(shown, str(message).split("\n")))


def percent(value: float | None) -> str | None:
    """A share as per cent with one decimal."""
    return None if value is None else f"{value:.1%}"
