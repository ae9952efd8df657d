"""How fast this lake's extractions went, and what they cost: what sizes chunks and foretells a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speechlake.lake import Lake

# Runs shorter than this say more about starting Spark and loading models (14 to 25 s on a slow machine) than about
# measuring: chunks sized by them are too small (docs/benchmarks.md, whisper-base).
SHORTEST_S = 60.0
RUNS_LOOKED_AT = 20


@dataclass(frozen=True)
class Rate:
    """`times_real_time` by the wall clock; what a second of audio took of CPUs and of devices, in seconds."""

    times_real_time: float
    cpu_s: float
    device_s: float


def past_rate(lake: Lake, fingerprints: Sequence[str]) -> Rate | None:
    """That of the newest run that measured exactly these fingerprints; None when there is none."""
    from pyspark.sql import functions as F

    wall = F.col("finished_at").cast("double") - F.col("started_at").cast("double")
    runs = lake.read("runs").where(
        (F.col("job") == "extract-signals") & (F.col("outcome") == "done") & (wall > SHORTEST_S)
    )
    newest = (
        runs.where("audio_s_out > 0")
        .select("arguments", "audio_s_out", "cpu_s", "device_s", wall.alias("wall"))
        .orderBy(F.col("finished_at").desc(), "run_id")
    )
    for row in newest.limit(RUNS_LOOKED_AT).collect():
        if _fingerprints(row.arguments) == sorted(fingerprints):
            audio_s = row.audio_s_out
            return Rate(audio_s / row.wall, row.cpu_s / audio_s, row.device_s / audio_s)
    return None


def _fingerprints(arguments: str) -> list[str]:
    """What a run measured; nothing of a calibration's, which hears everything in both windows."""
    told = json.loads(arguments)
    # Erasure takes away the arguments of runs that named somebody.
    said = told.get("extractors")
    if told.get("some") or not isinstance(said, list):
        return []
    return sorted(fingerprint for _, fingerprint, *_ in said)
