"""What a release holds and leaves out, and which releases there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from speechlake.errors import UsageError
from speechlake.ledger import unchanged
from speechlake.questions.groups import held_together
from speechlake.questions.hours import whole_ms
from speechlake.schemas import TABLES
from speechlake.views import OF_BUILDS, shared_audio

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake


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


def is_published(lake: Lake, name: str | None) -> bool:
    """Whether there is a release of that name; of no name there is none."""
    from pyspark.sql import functions as F

    return name is not None and not lake.read("releases").where(F.col("release") == name).isEmpty()


def splits_of(lake: Lake, build: str) -> DataFrame:
    """Rows of `splits` of one build."""
    from pyspark.sql import functions as F

    return lake.read("splits").where(F.col("build_id") == build)


def groups_of(lake: Lake, build: str) -> DataFrame:
    """What belongs together among the rows that a build keeps, by what links them: see `groups.held_together`."""
    kept = splits_of(lake, build).withColumn("ms", whole_ms("duration_s"))
    return held_together(kept.join(shared_audio(lake), on="utterance_id", how="left"))


def changed_since(lake: Lake, build: str, now: DataFrame) -> tuple[int, int]:
    """How many utterances of `now` came after the build was decided, and how many that it keeps are not there any more."""
    from pyspark.sql import functions as F

    here = now.select("utterance_id")
    kept = splits_of(lake, build).select("utterance_id")
    out = lake.read("decisions").where(F.col("build_id") == build).select("utterance_id")
    came = here.join(kept.unionByName(out), on="utterance_id", how="left_anti").count()
    return came, kept.join(here, on="utterance_id", how="left_anti").count()


def tables_changed_since(lake: Lake, release: Mapping[str, Any]) -> list[str]:
    """Tables that a row of `releases` was decided by and that hold other rows since, sorted."""
    read: Mapping[str, int] = release["versions_read"] or {}
    decided_by = sorted(name for name in read if name in TABLES and name not in (*OF_BUILDS, "releases"))
    return [name for name in decided_by if not unchanged(lake, name, read[name], None)]


def published(lake: Lake) -> DataFrame:
    """Every release, newest first: what it is, hours of each side and excluded, and how long its build took.

    `build_s` is null where another run completed the build than began it.
    """
    from pyspark.sql import functions as F

    took = F.col("finished_at").cast("double") - F.col("started_at").cast("double")
    runs = (
        lake.read("runs")
        .where((F.col("job") == "build-splits") & F.map_contains_key("versions_written", "releases"))
        .groupBy(F.get_json_object("arguments", "$.release").alias("release"))
        .agg(F.max(took).alias("build_s"))
    )
    sides = {"hours_train": "train", "hours_dev": "dev", "hours_test": "test", "hours_excluded": None}
    told = ("release", "scheme", "build_id", "rows_digest", "policy", "policy_sha256", "published_at")
    return (
        lake.read("releases")
        .select(*told, *(_hours_of_side(side).alias(name) for name, side in sides.items()))
        .join(runs, on="release", how="left")
        .orderBy(F.col("published_at").desc(), "release")
    )


def _hours_of_side(side: str | None) -> Column:
    """Hours of one side, or of what is excluded, in a row of `releases`."""
    from pyspark.sql import functions as F

    of_side = F.filter("counts", lambda count: count["split"].eqNullSafe(F.lit(side).cast("string")))
    return F.aggregate(of_side, F.lit(0.0), lambda total, count: total + count["hours"])
