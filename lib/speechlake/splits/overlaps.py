"""Utterances that are mostly the same stretch of one channel: of each such pair one stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.splits.keepers import preference

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from speechlake.splits.policy import Policy

# Of the shorter of two intervals, more than this share under the other makes them one stretch (the issue's
# "more than half").
SHARED = 0.5

_HERE = ["side", "recording_id", "channel"]


def overlapped(rows: DataFrame, policy: Policy) -> DataFrame:
    """(utterance_id, reason, detail) of the rows that give way to another one of their channel, `detail`.

    Rows compete in the policy's order for copies, then by id: the best stays, and what shares more than half
    of the shorter interval with a row that stays, and does not differ from it in speaker, is
    `overlaps_other_utterance`. An unknown speaker differs from nobody.
    """
    from pyspark.sql import Window

    end = F.col("start_ms") + F.col("ms")
    before = Window.partitionBy(*_HERE).orderBy("start_ms", "utterance_id")
    rank = preference(policy).alias("rank")
    intervals = rows.select("utterance_id", *_HERE, "start_ms", end.alias("end_ms"), "speaker_id", rank)
    ends_before = F.max("end_ms").over(before.rowsBetween(Window.unboundedPreceding, -1))
    starts_next = F.lead("start_ms").over(before)
    # Nearly no recording has such rows; only those that touch another one go to Python.
    touching = intervals.withColumns({"ends_before": ends_before, "starts_next": starts_next}).filter(
        (F.col("ends_before") > F.col("start_ms")) | (F.col("starts_next") < F.col("end_ms"))
    )
    place = F.row_number().over(Window.partitionBy(*_HERE).orderBy("rank")).alias("place")
    ordered = touching.select("utterance_id", *_HERE, "start_ms", "end_ms", "speaker_id", place)
    found = ordered.groupBy(*_HERE).applyInPandas(_give_way, "utterance_id string, detail string")
    return found.select("utterance_id", F.lit("overlaps_other_utterance").alias("reason"), "detail")


def _give_way(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one channel, `place` by `place`: each is compared with those that stay, at once.

    Greedy, so it cannot be a column expression: whether a row stays depends on the rows before it.
    """
    import numpy as np
    import pandas as pd

    ordered = rows.sort_values("place")
    starts, ends = ordered["start_ms"].to_numpy(), ordered["end_ms"].to_numpy()
    speakers = pd.factorize(ordered["speaker_id"])[0]  # -1: unknown
    ids = ordered["utterance_id"].to_list()
    stay = np.zeros(len(ids), dtype=np.int64)
    kept, found = 0, []
    for i in range(len(ids)):
        others = stay[:kept]
        shared = np.minimum(ends[others], ends[i]) - np.maximum(starts[others], starts[i])
        shorter = np.minimum(ends[others] - starts[others], ends[i] - starts[i])
        differs = (speakers[others] != speakers[i]) & (speakers[others] >= 0) & (speakers[i] >= 0)
        hits = np.flatnonzero((shared > SHARED * shorter) & ~differs)
        if len(hits):
            found.append((ids[i], ids[others[hits[0]]]))
        else:
            stay[kept] = i
            kept += 1
    return pd.DataFrame(found, columns=["utterance_id", "detail"], dtype=object)
