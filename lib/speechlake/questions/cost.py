"""What the measuring took and cost: by the chunks that were committed, those of interrupted runs among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake

COSTS = ("audio_s", "cpu_s", "device_s", "model_loads")


def charged_seconds(cpu_s: Column, device_s: Column) -> Column:
    """What a run is charged for: its time on accelerators, or on CPU cores where it used none, in seconds.

    On a CPU run, a device hour is an hour of one core.
    """
    from pyspark.sql import functions as F

    return F.when(device_s > 0, device_s).otherwise(cpu_s)


def extraction_runs(lake: Lake) -> DataFrame:
    """Runs of extract-signals that measured, a row each: corpus, run_id, `COSTS`, `charged_s`, `ended`.

    A run that was interrupted has no row in `runs`, and is what its chunks say; it `ended` when it began, by its
    id. Runs from before there were chunks are what `runs` says.
    """
    from pyspark.sql import functions as F

    sums = [F.sum(name).alias(name) for name in COSTS]
    chunked = lake.read("chunks").groupBy("corpus", "run_id").agg(*sums)
    told = _told(lake).select(
        F.col("scope").alias("corpus"), "run_id", F.col("audio_s_out").alias("audio_s"), *COSTS[1:]
    )
    # Ids sort by time. A later run without chunks committed those that a killed run left, which are counted there.
    first = lake.read("chunks").agg(F.min("run_id").alias("first"))
    older = F.col("first").isNull() | (F.col("run_id") < F.col("first"))
    before = told.join(F.broadcast(first), on=older, how="inner").drop("first")
    ends = lake.read("runs").select("run_id", "finished_at")
    began = F.try_to_timestamp(F.substring("run_id", 1, 15), F.lit("yyyyMMdd'T'HHmmss"))
    return (
        chunked.unionByName(before)
        .join(ends, on="run_id", how="left")
        .withColumns(
            {
                "charged_s": charged_seconds(F.col("cpu_s"), F.col("device_s")),
                "ended": F.coalesce("finished_at", began),
            }
        )
        .drop("finished_at")
    )


def extraction_cost(lake: Lake, price_per_device_hour: float | None = None) -> DataFrame:
    """One row over all runs of extract-signals: what the measuring took.

    `hours` of audio; `cpu_hours`, `device_hours`; `model_loads`; `price`, the set price of what is charged
    (`charged_seconds`), null where none is set. Of the runs that were not interrupted, whose end is known:
    `wall_s`; by that clock `times_real_time`, and `devices_used` and `cores_used`, how many were busy on average.
    """
    from pyspark.sql import functions as F

    price = F.lit(price_per_device_hour).cast("double") * F.sum("charged_s") / 3600
    all_runs = extraction_runs(lake).agg(
        (F.sum("audio_s") / 3600).alias("hours"),
        (F.sum("cpu_s") / 3600).alias("cpu_hours"),
        (F.sum("device_s") / 3600).alias("device_hours"),
        F.sum("model_loads").alias("model_loads"),
        price.alias("price"),
    )
    wall = F.sum(F.col("finished_at").cast("double") - F.col("started_at").cast("double"))
    ended = _told(lake).agg(
        F.coalesce(wall, F.lit(0.0)).alias("wall_s"),
        F.try_divide(F.sum("audio_s_out"), wall).alias("times_real_time"),
        F.try_divide(F.sum("device_s"), wall).alias("devices_used"),
        F.try_divide(F.sum("cpu_s"), wall).alias("cores_used"),
    )
    return all_runs.crossJoin(ended)


def price_by_release(lake: Lake, price_per_device_hour: float) -> DataFrame:
    """Per release: hours kept, the price of all measuring until it was published, and the price per hour kept."""
    from pyspark.sql import functions as F

    counted = lake.read("releases").select("release", "published_at", F.explode("counts").alias("count"))
    kept = F.sum(F.when(F.col("count.split").isNotNull(), F.col("count.hours")).otherwise(0.0))
    releases = counted.groupBy("release", "published_at").agg(kept.alias("hours_kept"))
    runs = extraction_runs(lake).select("ended", "charged_s")
    before = F.col("ended") <= F.col("published_at")
    charged = releases.join(runs, on=before, how="left").groupBy("release", "published_at", "hours_kept")
    price = F.coalesce(F.sum("charged_s"), F.lit(0.0)) / 3600 * price_per_device_hour
    return (
        charged.agg(price.alias("price"))
        .withColumn("price_per_hour_kept", F.try_divide("price", "hours_kept"))
        .orderBy("published_at", "release")
        .drop("published_at")
    )


def _told(lake: Lake) -> DataFrame:
    """Rows of `runs` of extract-signals that measured audio."""
    from pyspark.sql import functions as F

    return lake.read("runs").where((F.col("job") == "extract-signals") & (F.col("audio_s_out") > 0))
