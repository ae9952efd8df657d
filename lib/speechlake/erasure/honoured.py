"""What was erased does not come back: ingest, segmentation and imports ask the tombstones for what they leave out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from speechlake.erasure.tables import of_any_corpus
from speechlake.erasure.tombstones import hash_of, hashed, known_hashes, of_kind, salt_of
from speechlake.errors import UsageError
from speechlake.manifests.record import ERASED
from speechlake.sql_text import literal

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake

# What stays of a line that is erased: where it stands, so that every line is counted.
_PLACE = (
    "manifest_uri",
    "manifest_sha256",
    "parser_version",
    "byte_offset",
    "line_number",
    "format",
    "reason",
)
# What was erased, and the column that would name it. A speaker may have been erased under the line's own spelling.
_LINE_IS = (
    ("speaker", "speaker_id"),
    ("speaker", "speaker_said"),
    ("recording", "recording_id"),
    ("utterance", "utterance_id"),
    ("source_id", "source_id"),
)


def refuse_erased(lake: Lake, corpus: str) -> None:
    """UsageError for a corpus that was erased as a whole."""
    if known_hashes(lake, "corpus", [corpus]):
        raise UsageError(
            f"corpus {corpus!r} was erased from {lake.root} on request",
            hint="What may be taken in again belongs under another name.",
        )


def manifests_left(lake: Lake, corpus: str, versions: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The manifest versions that were not erased; a file that has changed since is another version."""
    from pyspark.sql import functions as F

    if not lake.exists("tombstones"):
        return list(versions)
    salt = salt_of(lake)
    rows = lake.read("tombstones").where(F.col("kind") == "manifest").select("hash").collect()
    dead = {row.hash for row in rows}
    return [v for v in versions if hash_of(salt, "manifest", corpus, v["uri"], v["sha256"]) not in dead]


def with_erased(lake: Lake, corpus: str, namespace: str, lines: DataFrame) -> DataFrame:
    """`lines`, parsed lines of a corpus, in which those of erased speakers, recordings and utterances, and of source
    ids that a request named, say nothing; without `speaker_said`, which nobody needs further on.

    They are refused `ERASED`, without their bytes. In a corpus that somebody was erased from, no refused line
    keeps its bytes: nobody can tell whose it is.
    """
    from pyspark.sql import functions as F

    if not lake.exists("tombstones"):
        return lines.drop("speaker_said")
    salt, hashes = salt_of(lake), lake.read("tombstones")
    erased = F.lit(False)
    for kind, column in _LINE_IS:
        # A source id means something in its corpus alone.
        flag = f"erased_{column}"
        dead = of_kind(hashes, kind).select(F.col("hash").alias(f"hash_{column}"), F.lit(True).alias(flag))
        within = [literal(corpus)] if kind == "source_id" else []
        marked = lines.withColumn(f"hash_{column}", hashed(salt, kind, *within, column))
        lines = marked.join(dead, on=f"hash_{column}", how="left").drop(f"hash_{column}")
        erased = erased | F.coalesce(F.col(flag), F.lit(False))
    quiet = bool(known_hashes(lake, "lines", [corpus, namespace]))
    aside = ["speaker_said", *(f"erased_{column}" for _, column in _LINE_IS)]
    said = [name for name in lines.columns if name not in aside]
    return lines.select(*(_without(name, lines, erased, quiet).alias(name) for name in said))


def segments_left(lake: Lake, heard: DataFrame) -> DataFrame:
    """Results of the segmenter, one row per source, without the segments that were erased."""
    from pyspark.sql import functions as F

    if not lake.exists("tombstones"):
        return heard
    each = heard.select("utterance_id", F.explode("segments.utterance_id").alias("segment"))
    dead = of_kind(lake.read("tombstones"), "utterance")
    marked = each.withColumn("hash", hashed(salt_of(lake), "utterance", "segment"))
    gone = marked.join(dead, on="hash", how="left_semi")
    lost = gone.groupBy("utterance_id").agg(F.collect_set("segment").alias("lost"))
    left = F.filter("segments", lambda segment: ~F.array_contains("lost", segment["utterance_id"]))
    kept = F.when(F.col("lost").isNull(), F.col("segments")).otherwise(left)
    return heard.join(lost, on="utterance_id", how="left").withColumn("segments", kept).drop("lost")


def _without(name: str, lines: DataFrame, erased: Column, quiet: bool) -> Column:
    """A column of `with_erased`: nothing of an erased line but its place."""
    from pyspark.sql import functions as F

    kind = lines.schema[name].dataType
    if name == "reason":
        return F.when(erased, F.lit(ERASED)).otherwise(F.col(name))
    if name in _PLACE:
        return F.col(name)
    empty = {"extras": F.create_map().cast(kind), "texts": F.array().cast(kind)}
    nothing = empty.get(name, F.lit(None).cast(kind))
    if quiet and name in ("raw_line", "detail"):
        return nothing
    return F.when(erased, nothing).otherwise(F.col(name))


def refusals_without_erased(lake: Lake, refused: DataFrame) -> DataFrame:
    """Refused rows of an import, in which those that name an erased utterance, or may, say nothing more."""
    from pyspark.sql import functions as F

    if not lake.exists("tombstones"):
        return refused
    salt, hashes = salt_of(lake), lake.read("tombstones")
    ids = {
        "utterance": hashed(salt, "utterance", "given"),
        # What lakes that were erased from by an older version remember of all that went.
        "source_id": hashed(salt, "source_id", "corpus", "given"),
        "given": hashed(salt, "given", "corpus", "given"),
    }
    erased = F.lit(False)
    for kind, value in ids.items():
        dead = of_kind(hashes, kind).select(
            F.col("hash").alias(f"hash_{kind}"), F.lit(True).alias(f"erased_{kind}")
        )
        marked = refused.withColumn(f"hash_{kind}", value)
        refused = marked.join(dead, on=f"hash_{kind}", how="left").drop(f"hash_{kind}")
        erased = erased | F.coalesce(F.col(f"erased_{kind}"), F.lit(False))
    silent = erased | of_any_corpus()
    nothing = {
        name: F.when(silent, F.lit(None)).otherwise(F.col(name)) for name in ("given", "said", "detail")
    }
    reason = F.when(erased, F.lit(ERASED)).otherwise(F.col("reason"))
    return refused.withColumns({**nothing, "reason": reason}).drop(*(f"erased_{kind}" for kind in ids))
