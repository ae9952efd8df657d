"""Table rows from classified lines: pure transforms, one per table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from speechlake.schemas import QUARANTINE, RECORDINGS, REPEATS, UTTERANCES

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# With more unreadable folders and files than this the storage is at fault, and no file is called missing.
MAX_UNREADABLE = 100
NOTHING = {
    "container": "string",
    "member": "string",
    "byte_offset": "bigint",
    "byte_length": "bigint",
    "retired_in": "string",
}


def utterance_rows(accepted: DataFrame, corpus: str) -> DataFrame:
    """Rows of `utterances` from lines of class utterance."""
    from pyspark.sql import functions as F

    return (
        accepted.withColumn("corpus", F.lit(corpus))
        .withColumn(
            "session_id", F.when(F.col("session").isNotNull(), F.concat(F.lit(f"{corpus}:"), "session"))
        )
        .withColumn("origin", F.lit("manifest"))
        .withColumn("retired_in", F.lit(None).cast("string"))
        .select(*UTTERANCES.column_names)
    )


def recording_rows(accepted: DataFrame, listing: DataFrame, corpus: str) -> DataFrame:
    """Rows of `recordings` that the lines name, with their state in `listing`."""
    from pyspark.sql import functions as F

    # The id is a hash of root and path: grouping by all three makes one row per recording.
    named = accepted.groupBy("recording_id", "root", "path").agg(F.count("*").alias("n"))
    frame = named.join(files(listing), on=["root", "path"], how="left")
    for name, kind in NOTHING.items():
        frame = frame.withColumn(name, F.lit(None).cast(kind))
    return (
        frame.withColumn("state", state())
        .withColumn("corpus", F.lit(corpus))
        .select(*RECORDINGS.column_names)
    )


def state() -> Column:
    """State of a recording from its listing key in the newest listing."""
    from pyspark.sql import functions as F

    return F.when(F.col("listing_key").isNull(), "missing").otherwise("present")


def files(listing: DataFrame) -> DataFrame:
    """(root, path, listing_key, size_bytes) of the files of a listing that tables can name."""
    return listing.where("problem IS NULL").select("root", "path", "listing_key", "size_bytes")


def relisted_recordings(known: DataFrame, listing: DataFrame) -> DataFrame:
    """Rows of `recordings` whose state or listing key changed: new, changed and missing files.

    Files that could not be looked at, or lie in such folders, are unknown rather than missing, and stay as
    they are.
    """
    from pyspark.sql import functions as F

    now = files(listing).withColumnsRenamed({"listing_key": "key_now", "size_bytes": "size_now"})
    here = (F.col("k.root") == F.col("l.root")) & (F.coalesce("k.container", "k.path") == F.col("l.path"))
    both = known.alias("k").join(now.alias("l"), here, how="left")
    gone = F.col("l.key_now").isNull()
    # A missing file keeps the key and size under which it was last seen.
    renewed = {
        "listing_key": F.coalesce("l.key_now", "k.listing_key"),
        "size_bytes": F.coalesce("l.size_now", "k.size_bytes"),
        "state": F.when(gone, "missing").otherwise("present"),
    }
    changed = ~renewed["listing_key"].eqNullSafe(F.col("k.listing_key")) | (
        renewed["state"] != F.col("k.state")
    )
    rows = both.where(changed & ~(gone & _unlisted(listing)))
    return rows.select(
        *[renewed.get(name, F.col(f"k.{name}")).alias(name) for name in RECORDINGS.column_names]
    )


def _unlisted(listing: DataFrame) -> Column:
    """True where a recording is, or lies in, what could not be listed. Such places are few, or a whole root."""
    from functools import reduce

    from pyspark.sql import functions as F

    places = (
        listing.where("problem = 'UNREADABLE'").select("root", "detail").limit(MAX_UNREADABLE + 1).collect()
    )
    if len(places) > MAX_UNREADABLE:
        return F.lit(True)
    path = F.coalesce("k.container", "k.path")
    inside = [
        (F.col("k.root") == row.root)
        & (path.startswith(f"{row.detail}/" if row.detail else "") | (path == row.detail))
        for row in places
    ]
    return reduce(lambda a, b: a | b, inside, F.lit(False))


def transcript_rows(accepted: DataFrame, corpus: str) -> DataFrame:
    """Rows of `transcripts` from the texts of lines of class utterance; a text said twice counts once."""
    from pyspark.sql import functions as F

    texts = accepted.select("utterance_id", F.explode("texts").alias("t")).select("utterance_id", "t.*")
    # min: the same text under the same source says the same of itself; any order, one answer.
    return (
        texts.groupBy("utterance_id", "source", "text_sha256")
        .agg(F.min("text").alias("text"), F.min("kind").alias("kind"), F.min("language").alias("language"))
        .select(F.lit(corpus).alias("corpus"), "*", F.lit(None).cast("string").alias("retired_in"))
    )


def changed_rows(known: DataFrame, said: DataFrame, columns: Sequence[str]) -> DataFrame:
    """Rows of `said` whose key `known` has with other values. Maps are compared as sorted entries."""
    from pyspark.sql import functions as F

    key = ["utterance_id", *(name for name in ("source", "text_sha256") if name in columns)]

    def values(prefix: str) -> Column:
        flat = [
            F.to_json(F.array_sort(F.map_entries(f"{prefix}.{name}")))
            if name == "extras"
            else F.col(f"{prefix}.{name}")
            for name in columns
            if name not in key
        ]
        return F.struct(*[column.alias(f"c{i}") for i, column in enumerate(flat)])

    both = said.alias("s").join(known.alias("k"), on=key, how="inner")
    return both.where(~values("s").eqNullSafe(values("k"))).select(
        *[name if name in key else F.col(f"s.{name}") for name in columns]
    )


def repeat_rows(lines: DataFrame, corpus: str) -> DataFrame:
    """Rows of `repeats`."""
    return _of_manifest(lines.where("class = 'repeat'"), corpus).select(*REPEATS.column_names)


def quarantine_rows(lines: DataFrame, corpus: str, *, several: bool = False) -> DataFrame:
    """Rows of `quarantine`. `several`: of the refused rows of a line the first channel's stands for it."""
    from pyspark.sql import functions as F

    rows = _of_manifest(lines.where("class = 'refused'"), corpus)
    if several:
        rest = F.struct("channel", *(name for name in QUARANTINE.column_names if name not in QUARANTINE.key))
        rows = rows.groupBy(*QUARANTINE.key).agg(F.min(rest).alias("r")).select(*QUARANTINE.key, "r.*")
    return rows.select(*QUARANTINE.column_names)


def _of_manifest(lines: DataFrame, corpus: str) -> DataFrame:
    from pyspark.sql import functions as F

    named = {"corpus": F.lit(corpus), "uri": F.col("manifest_uri"), "sha256": F.col("manifest_sha256")}
    return lines.withColumns(named)
