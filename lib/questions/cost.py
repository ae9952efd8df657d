"""What the measuring took and cost, by the ledger of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake


def device_seconds() -> Column:
    """What a run is charged for: its time on accelerators, or on CPU cores where it used none, in seconds.

    On a CPU run, a device hour is an hour of one core.
    """
    from pyspark.sql import functions as F

    return F.when(F.col("device_s") > 0, F.col("device_s")).otherwise(F.col("cpu_s"))


def extraction_runs(lake: Lake) -> DataFrame:
    """Runs of extract-signals that measured audio, with `charged_s` (`device_seconds`) and `wall_s`."""
    from pyspark.sql import functions as F

    runs = lake.read("runs").where((F.col("job") == "extract-signals") & (F.col("audio_s_out") > 0))
    wall = F.col("finished_at").cast("double") - F.col("started_at").cast("double")
    return runs.withColumns({"charged_s": device_seconds(), "wall_s": wall})


def extraction_cost(lake: Lake, price_per_device_hour: float | None = None) -> DataFrame:
    """One row over all runs of extract-signals: what the measuring took.

    `hours` of audio, `wall_s`, `times_real_time` by the wall clock; `cpu_hours`, `device_hours`;
    `devices_used` and `cores_used`, how many were busy on average; `model_loads`; `price`, the set price of
    what is charged (`device_seconds`), null where none is set.
    """
    from pyspark.sql import functions as F

    audio, wall = F.sum("audio_s_out"), F.sum("wall_s")
    price = F.lit(price_per_device_hour).cast("double") * F.sum("charged_s") / 3600
    return extraction_runs(lake).agg(
        (audio / 3600).alias("hours"),
        wall.alias("wall_s"),
        F.try_divide(audio, wall).alias("times_real_time"),
        (F.sum("cpu_s") / 3600).alias("cpu_hours"),
        (F.sum("device_s") / 3600).alias("device_hours"),
        F.try_divide(F.sum("device_s"), wall).alias("devices_used"),
        F.try_divide(F.sum("cpu_s"), wall).alias("cores_used"),
        F.sum("model_loads").alias("model_loads"),
        price.alias("price"),
    )


def price_by_release(lake: Lake, price_per_device_hour: float) -> DataFrame:
    """Per release: hours kept, the price of all measuring until it was published, and the price per hour kept."""
    from pyspark.sql import functions as F

    counted = lake.read("releases").select("release", "published_at", F.explode("counts").alias("count"))
    kept = F.sum(F.when(F.col("count.split").isNotNull(), F.col("count.hours")).otherwise(0.0))
    releases = counted.groupBy("release", "published_at").agg(kept.alias("hours_kept"))
    runs = extraction_runs(lake).select("finished_at", "charged_s")
    before = F.col("finished_at") <= F.col("published_at")
    charged = releases.join(runs, on=before, how="left").groupBy("release", "published_at", "hours_kept")
    price = F.coalesce(F.sum("charged_s"), F.lit(0.0)) / 3600 * price_per_device_hour
    return (
        charged.agg(price.alias("price"))
        .withColumn("price_per_hour_kept", F.try_divide("price", "hours_kept"))
        .orderBy("published_at", "release")
        .drop("published_at")
    )
