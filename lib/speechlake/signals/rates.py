"""What this lake's extractions took of CPUs and devices: what sizes chunks and foretells a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speechlake.lake import Lake
    from speechlake.signals.plan import Wanted

# Workers that measured for less, each, spent most of it on opening models: chunks sized by them are too small.
SHORTEST_S = 60.0


@dataclass(frozen=True)
class Rate:
    """What a second of audio took of CPUs and of devices, in seconds."""

    cpu_s: float
    device_s: float


def past_rate(lake: Lake, wanted: Sequence[Wanted], *, on_device: bool) -> Rate | None:
    """That of the newest run that measured exactly `wanted`, on a device or without; None when there is none.

    By what measuring took, not by the clock: a run also waits for others, plans, and reads what was listed anew. One
    that wrote no row of one of the extractors had measured that before, and says nothing of it.
    """
    from pyspark.sql import functions as F

    mine = F.array(*[F.lit(fingerprint) for fingerprint in sorted(each.fingerprint for each in wanted)])
    sums = [F.sum(name).alias(name) for name in ("audio_s", "cpu_s", "device_s", "model_loads")]
    took = (
        lake.read("chunks").where(F.array_sort("fingerprints") == mine).groupBy("run_id").agg(*sums)
    ).where(
        (F.col("audio_s") > 0)
        & ((F.col("device_s") > 0) == on_device)
        & (F.col("cpu_s") + F.col("device_s") > SHORTEST_S * F.greatest("model_loads", F.lit(1)))
    )
    runs = lake.read("runs").where((F.col("job") == "extract-signals") & (F.col("outcome") == "done"))
    # A calibration hears each clip in both windows, and counts it once.
    runs = runs.where("get_json_object(arguments, '$.extractors') IS NOT NULL")
    runs = runs.where("get_json_object(arguments, '$.some') IS NULL")
    for name in {each.name for each in wanted}:
        runs = runs.where(F.col("versions_written")[f"signals_{name}"].isNotNull())
    newest = took.join(runs.select("run_id", "finished_at"), on="run_id", how="inner")
    for row in newest.orderBy(F.col("finished_at").desc(), "run_id").limit(1).collect():
        return Rate(row.cpu_s / row.audio_s, row.device_s / row.audio_s)
    return None
