"""Published sides, as the rows of releases tell them: what `assignments` is held against, and may have lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechlake.splits.evaluation_corpora import is_prompts
from speechlake.splits.keys import id_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

    from speechlake.hold import Hold
    from speechlake.lake import Lake


def largest_release(lake: Lake, scheme: str, *, but: str) -> DataFrame | None:
    """(utterance_id, published) of the rows of that release of the scheme which keeps most, the newest of several, and is
    not build `but`; None without one."""
    from pyspark.sql import functions as F

    others = lake.read("releases").where((F.col("scheme") == scheme) & (F.col("build_id") != but))
    rows = others.select("build_id", "published_at", "counts").collect()
    if not rows:
        return None

    def kept(row: Row) -> int:
        return sum(int(count.utterances) for count in row.counts if count.split)

    largest = max(rows, key=lambda row: (kept(row), row.published_at, row.build_id))
    found = lake.read("splits").where(F.col("build_id") == largest.build_id)
    return found.select("utterance_id", F.col("split").alias("published"))


def evaluated_texts(lake: Lake, scheme: str, *, until: str | None = None) -> DataFrame:
    """(utterance_id, text, prompts) of all that evaluates in releases of the scheme, as these released it; `prompts` of
    corpora whose texts many say on purpose. With `until`, of that build and those that were published before it.

    Somebody was measured by these texts, whatever became of the rows since: they are retired, or say something else.
    """
    from pyspark.sql import functions as F

    releases = lake.read("releases").where(F.col("scheme") == scheme)
    if until is not None:
        last = releases.where(F.col("build_id") == until).agg(F.min("published_at").alias("last"))
        releases = releases.join(F.broadcast(last), on=F.col("published_at") <= F.col("last"), how="inner")
    # As many as releases; by name, Spark reads their files alone.
    builds = sorted({row.build_id for row in releases.select("build_id").collect()})
    corpora = lake.read("corpora").select("corpus", is_prompts().alias("prompts"))
    rows = lake.read("splits").where(F.col("build_id").isin(builds) & (F.col("split") != "train"))
    said = rows.where("text IS NOT NULL").select("corpus", "utterance_id", "text").distinct()
    return said.join(F.broadcast(corpora), on="corpus", how="inner").drop("corpus")


def put_back(hold: Hold, scheme: str, digest: str) -> int:
    """Remember the sides of published rows that `assignments` does not know any more; how many keys were lost.

    Of each row its own key, and those of its speaker, recording and content, where these are on one side. Keys of
    copies, sessions and columns follow: a build remembers those of every row that it keeps.
    """
    from pyspark.sql import functions as F

    lake = hold.lake
    releases = lake.read("releases").where(F.col("scheme") == scheme)
    builds = F.broadcast(releases.select("build_id", "published_at").distinct())
    place = lake.read("utterances").select("utterance_id", "recording_id")
    rows = (
        lake.read("splits")
        .join(builds, on="build_id", how="inner")
        .join(place, on="utterance_id", how="left")
    )
    links = {
        "utterance": "utterance_id",
        "speaker": "speaker_id",
        "recording": "recording_id",
        "content": "content_sha256",
    }
    said = F.array(*(F.struct(F.lit(k).alias("kind"), F.col(c).alias("value")) for k, c in links.items()))
    each = rows.select("published_at", "build_id", "split", F.explode(said).alias("link"))
    first = (
        each.where("link.value IS NOT NULL")
        .groupBy("link.kind", "link.value")
        .agg(
            F.min(F.struct("published_at", "build_id", "split")).alias("first"),
            (F.min("split") == F.max("split")).alias("one_side"),
        )
    )
    sides = first.where("one_side OR kind = 'utterance'").select(
        F.lit(scheme).alias("scheme"),
        id_of("kind", "value").alias("link_key"),
        F.col("first.split").alias("side"),
        F.col("first.build_id").alias("build_id"),
    )
    known = lake.read("assignments").where(F.col("scheme") == scheme)
    known = known.join(builds, on="build_id", how="left_semi").select("link_key")
    return hold.append_missing(
        "assignments", sides.join(known, on="link_key", how="left_anti"), digest=digest
    )
