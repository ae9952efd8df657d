"""How fast this lake's extractions went: what sizes chunks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speechlake.lake import Lake

# Runs shorter than this say more about starting Spark than about measuring.
SHORTEST_S = 20.0
RUNS_LOOKED_AT = 20


def measured_rate(lake: Lake, fingerprints: Sequence[str]) -> float | None:
    """× real time (wall clock) of the newest run that measured exactly these fingerprints; None when there is none."""
    from pyspark.sql import functions as F

    wall = F.col("finished_at").cast("double") - F.col("started_at").cast("double")
    runs = lake.read("runs").where(
        (F.col("job") == "extract-signals") & (F.col("outcome") == "done") & (wall > SHORTEST_S)
    )
    newest = runs.select("arguments", (F.col("audio_s_out") / wall).alias("rate")).orderBy(
        F.col("finished_at").desc(), "run_id"
    )
    for row in newest.limit(RUNS_LOOKED_AT).collect():
        if sorted(json.loads(row.arguments)["extractors"].values()) == sorted(fingerprints) and row.rate > 0:
            return float(row.rate)
    return None
