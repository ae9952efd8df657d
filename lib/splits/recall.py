"""Published sides, as the rows of releases tell them: what `assignments` must never contradict, and may have lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechlake.splits.keys import id_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.hold import Hold
    from speechlake.lake import Lake


def newest_sides(lake: Lake, scheme: str, *, but: str) -> DataFrame | None:
    """(utterance_id, published) of the rows of the scheme's newest release that is not build `but`; None without one."""
    from pyspark.sql import functions as F

    others = lake.read("releases").where((F.col("scheme") == scheme) & (F.col("build_id") != but))
    newest = others.orderBy(F.col("published_at").desc(), "build_id").limit(1).collect()
    if not newest:
        return None
    rows = lake.read("splits").where(F.col("build_id") == newest[0].build_id)
    return rows.select("utterance_id", F.col("split").alias("published"))


def put_back(hold: Hold, scheme: str, digest: str) -> int:
    """Remember the sides of published rows that `assignments` does not know any more; how many were lost.

    The keys of their speakers, recordings and copies follow: a build remembers those of every row that it keeps.
    """
    from pyspark.sql import functions as F

    lake = hold.lake
    releases = lake.read("releases").where(F.col("scheme") == scheme)
    builds = F.broadcast(releases.select("build_id", "published_at").distinct())
    rows = lake.read("splits").join(builds, on="build_id", how="inner")
    first = rows.groupBy("utterance_id").agg(
        F.min(F.struct("published_at", "build_id", "split")).alias("first")
    )
    sides = first.select(
        F.lit(scheme).alias("scheme"),
        id_of(F.lit("utterance"), F.col("utterance_id")).alias("link_key"),
        F.col("first.split").alias("side"),
        F.col("first.build_id").alias("build_id"),
    )
    known = lake.read("assignments").where(F.col("scheme") == scheme)
    known = known.join(builds, on="build_id", how="left_semi").select("link_key")
    return hold.append_missing(
        "assignments", sides.join(known, on="link_key", how="left_anti"), digest=digest
    )
