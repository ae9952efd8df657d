"""What was read: lines by corpus, and what was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechlake.manifests.gone import GONE
from speechlake.schemas import TABLES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake


def newest_manifest_versions(lake: Lake) -> DataFrame:
    """The row of `manifests` of each manifest's newest generation, refused ones included."""
    from pyspark.sql import functions as F

    rest = [name for name in TABLES["manifests"].column_names if name not in ("corpus", "uri", "generation")]
    newest = (
        lake.read("manifests").groupBy("corpus", "uri").agg(F.max(F.struct("generation", *rest)).alias("m"))
    )
    return newest.select("corpus", "uri", "m.*")


def refused_manifests(lake: Lake) -> DataFrame:
    """(corpus, uri) of manifests whose newest version was refused."""
    return newest_manifest_versions(lake).where("NOT accepted").select("corpus", "uri")


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


def quarantine_examples(lake: Lake) -> DataFrame:
    """Per reason: lines, and of the first of them corpus, uri, line_number, detail and raw_line (bytes)."""
    from pyspark.sql import functions as F

    first = F.min(F.struct("corpus", "uri", "line_number", "detail", "raw_line")).alias("first")
    counted = current_quarantine(lake).groupBy("reason").agg(F.count("*").alias("lines"), first)
    return counted.select("reason", "lines", "first.*").orderBy(F.col("lines").desc(), "reason")
