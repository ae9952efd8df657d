"""All rows of a lake's tables without Spark, for comparing two lakes by value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from deltalake import DeltaTable

from speechlake.schemas import TABLES

# What differs between two runs that do the same: who ran, and when. `chunks` are cut by measured speed.
APART = ("run_id", "published_at")
OF_RUNS = ("runs", "chunks")
# Of `runs`: what was done, without what it took.
SAME_IN_RUNS = ("job", "scope", "arguments", "outcome", "left_to_retry", "rows_in", "rows_out", "counts")


def rows(
    lake: Path | str,
    names: Iterable[str] | None = None,
    *,
    without: Mapping[str, Sequence[str]] | None = None,
    storage_options: dict[str, str] | None = None,
) -> dict[str, list[str]]:
    """Sorted rows by table, without `APART`; of `runs` only what was done. Tables never written are left out.

    Without `names`: all of them but `chunks`. `without` names more columns to leave out, by table.
    """
    wanted = [name for name in TABLES if name != "chunks"] if names is None else list(names)
    found = {}
    for name in wanted:
        uri = f"{lake}/{name}"
        if DeltaTable.is_deltatable(uri, storage_options):
            table = DeltaTable(uri, storage_options=storage_options).to_pyarrow_table()
            left_out = {*APART, *(without or {}).get(name, ())}
            kept = [
                column
                for column in table.column_names
                if column not in left_out and (name not in OF_RUNS or column in SAME_IN_RUNS)
            ]
            found[name] = sorted(repr(sorted(row.items())) for row in table.select(kept).to_pylist())
    return found
