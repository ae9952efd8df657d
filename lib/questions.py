"""What people ask of a lake, as small frames: for the report on the terminal, and for whoever wants them.

Every frame here has as many rows as corpora, languages, rules or reasons, never as utterances.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechlake.errors import UsageError
from speechlake.manifests.gone import GONE
from speechlake.schemas import TABLES

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake


def newest_manifest_versions(lake: Lake) -> DataFrame:
    """The row of `manifests` of each manifest's newest generation, refused ones included."""
    from pyspark.sql import functions as F

    rest = [name for name in TABLES["manifests"].column_names if name not in ("corpus", "uri", "generation")]
    newest = (
        lake.read("manifests").groupBy("corpus", "uri").agg(F.max(F.struct("generation", *rest)).alias("m"))
    )
    return newest.select("corpus", "uri", "m.*")


def lines_read(lake: Lake) -> DataFrame:
    """Per corpus: manifests that are there, lines, utterances, repeats, quarantined, of the newest versions."""
    from pyspark.sql import functions as F

    sums = [F.sum(name).alias(name) for name in ("lines", "utterances", "repeats", "quarantined")]
    return (
        newest_manifest_versions(lake)
        .groupBy("corpus")
        .agg(F.count_if(F.col("sha256") != GONE).alias("manifests"), *sums)
        .orderBy("corpus")
    )


def current_quarantine(lake: Lake) -> DataFrame:
    """Rows of `quarantine` of each manifest's newest version."""
    newest = newest_manifest_versions(lake).select("corpus", "uri", "sha256", "parser_version")
    return lake.read("quarantine").join(
        newest, on=["corpus", "uri", "sha256", "parser_version"], how="left_semi"
    )


def quarantine_reasons(lake: Lake) -> DataFrame:
    """Per reason: lines, and one of them to look at."""
    from pyspark.sql import functions as F

    place = F.min(F.struct("corpus", "uri", "line_number", "detail")).alias("first")
    counted = current_quarantine(lake).groupBy("reason").agg(F.count("*").alias("lines"), place)
    return counted.select(
        "reason",
        "lines",
        F.concat_ws(" ", "first.corpus", F.concat_ws(":", "first.uri", "first.line_number")).alias("first"),
        "first.detail",
    ).orderBy(F.col("lines").desc(), "reason")


def audio_errors(now: DataFrame) -> DataFrame:
    """Per state or error of the audio: utterances of `utterances_now` that could not be measured."""
    from pyspark.sql import functions as F

    missing = F.when(F.col("recording_state") == "missing", F.lit("file is missing"))
    why = F.coalesce(missing, "audio_error", "audio_attempt_code")
    return (
        now.where(why.isNotNull())
        .groupBy(why.alias("error"))
        .agg(F.count("*").alias("utterances"))
        .orderBy(F.col("utterances").desc(), "error")
    )


def by_corpus_and_language(now: DataFrame, build_rows: DataFrame | None) -> DataFrame:
    """Per corpus and language: hours in and kept, error rate with its parts, share of hours that nobody judged.

    Rates count words, or characters in languages without spaces (`unit`); a sum over all scored texts.
    """
    from pyspark.sql import functions as F

    kept = build_rows.select("utterance_id", F.lit(True).alias("kept")) if build_rows is not None else None
    frame = (
        now.withColumn("kept", F.lit(False))
        if kept is None
        else now.join(kept, on="utterance_id", how="left")
    )
    # Clips that cannot be decoded have no decoded length: they count as clips, not as hours.
    hours = F.coalesce("audio_duration_s", F.lit(0.0)) / 3600

    def units(kind: str) -> Column:
        each = F.when(F.col("score_unit") == "char", F.col(f"score_char_{kind}")).otherwise(
            F.col(f"score_word_{kind}")
        )
        return F.sum(each)

    spoken = units("hits") + units("substitutions") + units("deletions")
    rates = {
        kind: F.try_divide(units(kind), spoken).alias(kind)
        for kind in ("substitutions", "deletions", "insertions")
    }
    wrong = units("substitutions") + units("deletions") + units("insertions")
    return (
        frame.groupBy("corpus", "language")
        .agg(
            F.count("*").alias("clips"),
            F.sum(hours).alias("hours"),
            F.count_if("kept").alias("clips_kept"),
            F.sum(F.when(F.col("kept"), hours).otherwise(0.0)).alias("hours_kept"),
            F.max("score_unit").alias("unit"),
            F.try_divide(wrong, spoken).alias("error_rate"),
            *rates.values(),
            F.try_divide(
                F.sum(F.when(F.coalesce("score_wer", "score_cer").isNull(), hours)), F.sum(hours)
            ).alias("unjudged"),
        )
        .orderBy("corpus", "language")
    )


def by_split(build_rows: DataFrame) -> DataFrame:
    """Per split of a release: clips, hours, speakers, languages."""
    from pyspark.sql import functions as F

    order = F.when(F.col("split") == "train", 0).when(F.col("split") == "dev", 1).otherwise(2)
    return (
        build_rows.groupBy("split")
        .agg(
            F.count("*").alias("clips"),
            (F.sum("duration_s") / 3600).alias("hours"),
            F.count_distinct("speaker_id").alias("speakers"),
            F.array_join(F.array_sort(F.collect_set("language")), " ").alias("languages"),
        )
        .orderBy(order)
    )


def reasons_of(lake: Lake, build: str) -> DataFrame:
    """Per first reason: clips and hours that a build excludes."""
    from pyspark.sql import functions as F

    rows = lake.read("decisions").where(F.col("build_id") == build)
    return (
        rows.groupBy("rule")
        .agg(F.count("*").alias("clips"), (F.sum("duration_s") / 3600).alias("hours"))
        .orderBy(F.col("clips").desc(), "rule")
    )


def release_named(lake: Lake, name: str | None) -> dict[str, object] | None:
    """The row of a release, or of the one published last; None when nothing was published and none is named."""
    from pyspark.sql import functions as F

    releases = lake.read("releases")
    rows = (
        (releases if name is None else releases.where(F.col("release") == name))
        .orderBy(F.col("published_at").desc(), "release")
        .limit(1)
        .collect()
    )
    if rows:
        return dict(rows[0].asDict(recursive=True))
    if name is None:
        return None
    known = sorted(row.release for row in releases.select("release").collect())
    raise UsageError(
        f"there is no release {name!r} in {lake.root}", hint=f"Releases: {', '.join(known) or 'none'}."
    )


def splits_of(lake: Lake, build: str) -> DataFrame:
    """Rows of `splits` of one build."""
    from pyspark.sql import functions as F

    return lake.read("splits").where(F.col("build_id") == build)


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
