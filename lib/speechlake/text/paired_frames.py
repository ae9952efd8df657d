"""The paired comparison over a table of utterances: sums in the executors, a few thousand numbers on the driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from speechlake.text.alignment import Counts
from speechlake.text.paired import REPLICATES, SEED, WIDTH, Paired, Whole, compared, weighted_sums

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Columns of counts that a frame brings along: a_hits … a_insertions, b_hits … b_insertions.
COUNT_COLUMNS: tuple[str, ...] = tuple(f"{side}_{field}" for side in "ab" for field in Counts._fields)
# Beside the weighted sums: how many utterances there are, and how many have other counts.
_SUMS = (*COUNT_COLUMNS, "utterances", "changed")
# The row of plain sums, where every weight is 1.
_PLAIN = -1

# Sums by group: plain ones (`_SUMS`), and weighted ones (replicates x WIDTH).
Sums = dict[str, tuple[Whole, Whole]]


def paired_by(frame: DataFrame, group: str) -> dict[str, Paired]:
    """B against A for each value of the text column `group`, and for all utterances under the name ``.

    `frame` has one row per utterance: utterance_id, `group` (not null) and `COUNT_COLUMNS`. The driver gets
    `REPLICATES` x groups rows, however many utterances there are. Empty without utterances.
    """
    sums = _sums_by(frame, group)
    if sums:
        plain, weighted = (np.sum([pair[i] for pair in sums.values()], axis=0) for i in (0, 1))
        sums = {**sums, "": (plain, weighted)}
    return {
        name: compared(
            [int(n) for n in plain[:WIDTH]],
            weighted,
            utterances=int(plain[WIDTH]),
            changed=int(plain[WIDTH + 1]),
        )
        for name, (plain, weighted) in sums.items()
    }


def _sums_by(frame: DataFrame, group: str) -> Sums:
    from pyspark.sql import functions as F

    ddl = ", ".join(["name string", "replicate int", *(f"{column} bigint" for column in _SUMS)])
    parts = frame.select("utterance_id", F.col(group).alias("name"), *COUNT_COLUMNS).mapInPandas(
        partial_sums(SEED, REPLICATES), ddl
    )
    rows = (
        parts.groupBy("name", "replicate").agg(*(F.sum(column).alias(column) for column in _SUMS)).collect()
    )
    sums: Sums = {}
    for row in rows:
        zero = (np.zeros(len(_SUMS), np.int64), np.zeros((REPLICATES, WIDTH), np.int64))
        plain, weighted = sums.setdefault(row.name, zero)
        said = [row[column] for column in _SUMS]
        if row.replicate == _PLAIN:
            plain[:] = said
        else:
            weighted[row.replicate] = said[:WIDTH]
    return dict(sorted(sums.items()))


def partial_sums(seed: int, replicates: int) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """A function for mapInPandas: counts of utterances in; sums of this partition out, a row per replicate."""

    def run(batches: Iterator[Any]) -> Iterator[Any]:
        sums: Sums = {}
        for batch in batches:
            for name, rows in batch.groupby("name", sort=False):
                _add(sums, str(name), rows, seed, replicates)
        for name, (plain, weighted) in sums.items():
            yield _frame(name, plain, weighted)

    return run


def _add(sums: Sums, name: str, rows: Any, seed: int, replicates: int) -> None:
    counts = rows[list(COUNT_COLUMNS)].to_numpy(np.int64)
    half = len(Counts._fields)
    changed = int((counts[:, :half] != counts[:, half:]).any(axis=1).sum())
    zero = (np.zeros(len(_SUMS), np.int64), np.zeros((replicates, WIDTH), np.int64))
    plain, weighted = sums.setdefault(name, zero)
    plain += np.array([*counts.sum(axis=0), len(rows), changed])
    weighted += weighted_sums(list(rows["utterance_id"]), counts, seed=seed, replicates=replicates)


def _frame(name: str, plain: Whole, weighted: Whole) -> Any:
    import pandas as pd

    # Utterances are counted once, in the row of plain sums.
    padded = np.pad(weighted, ((0, 0), (0, len(_SUMS) - WIDTH)))
    frame = pd.DataFrame(np.vstack([plain, padded]), columns=list(_SUMS))
    frame.insert(0, "replicate", np.arange(_PLAIN, len(weighted), dtype=np.int32))
    frame.insert(0, "name", name)
    return frame
