"""To version 2, from lakes that had no number: columns that came before lakes were numbered.

* `signals_whisper.segments`, `.words`: null, as where nobody asked for times. Whisper has had another version
  since; what the old one measured stays.
* `repeats.parser_version`: that of the newest version of the manifest with these bytes; empty where there is none,
  because its ingest was ended before it said so.
* `duplicates.overlap_id`: the cluster, because nothing else linked then. find-duplicates looks again.
* `releases.pinned`: empty, because limits were numbers.
* `assignments`, `repeats`: build and parser are part of the key, and so of what Delta keeps minima and maxima of.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from speechlake.table_files import property_of
from speechlake.upgrade.change import (
    Change,
    add_columns,
    filled_column,
    lacks,
    set_property,
    stored,
)

if TYPE_CHECKING:
    from speechlake.hold import Hold
    from speechlake.lake import Lake

WHISPER = {
    "segments": "array<struct<start_s:double,end_s:double,text:string>>",
    "words": "array<struct<start_s:double,end_s:double,word:string,probability:double>>",
}
STATISTICS = "delta.dataSkippingStatsColumns"
# What was the key but for the partition, and what is.
KEYS = {
    "assignments": ("link_key", "link_key,build_id"),
    "repeats": ("uri,sha256,byte_offset", "uri,sha256,parser_version,byte_offset"),
}


def changes(lake: Lake) -> Iterator[Change]:
    """What the lake lacks of version 2."""
    lacking = {name: kind for name, kind in WHISPER.items() if lacks(lake, "signals_whisper", name)}
    if lacking:
        what = f"columns {', '.join(lacking)}, null"
        yield Change("signals_whisper", what, partial(add_columns, name="signals_whisper", columns=lacking))
    kind = "string COMMENT 'Parser that read it.'"
    what = "as manifests say"
    yield from filled_column(lake, "repeats", "parser_version", kind, what, _parsers_of_repeats)
    kind = "string COMMENT 'All that share audio, parts included, transitively; stable as it grows.'"
    what = "the cluster, until find-duplicates runs"
    yield from filled_column(lake, "duplicates", "overlap_id", kind, what, _overlaps_of_duplicates)
    kind = "map<string,double> COMMENT 'Numbers of the policy''s quantiles.'"
    yield from filled_column(lake, "releases", "pinned", kind, "empty", _pins_of_releases)
    for name, (before, after) in KEYS.items():
        if lake.exists(name) and property_of(lake, name, STATISTICS) == before:
            make = partial(set_property, name=name, key=STATISTICS, value=after)
            yield Change(name, f"statistics of its key: {after}", make)


def _parsers_of_repeats(hold: Hold) -> None:
    from delta.tables import DeltaTable
    from pyspark.sql import functions as F

    same = ["corpus", "uri", "sha256"]
    newest = F.max_by("parser_version", "generation").alias("parser_version")
    manifests = stored(hold.lake, "manifests").groupBy(*same).agg(newest)
    repeats = stored(hold.lake, "repeats").where("parser_version IS NULL").select(*same).distinct()
    parsers = repeats.join(manifests, on=same, how="left").fillna("", ["parser_version"])
    target = DeltaTable.forPath(hold.lake.spark, hold.lake.path("repeats")).alias("t")
    found = " AND ".join([*(f"t.{name} = s.{name}" for name in same), "t.parser_version IS NULL"])
    target.merge(parsers.alias("s"), found).whenMatchedUpdate(
        set={"parser_version": F.col("s.parser_version")}
    ).execute()


def _overlaps_of_duplicates(hold: Hold) -> None:
    from delta.tables import DeltaTable
    from pyspark.sql import functions as F

    target = DeltaTable.forPath(hold.lake.spark, hold.lake.path("duplicates"))
    target.update(F.col("overlap_id").isNull(), {"overlap_id": F.col("cluster_id")})


def _pins_of_releases(hold: Hold) -> None:
    from delta.tables import DeltaTable
    from pyspark.sql import functions as F

    target = DeltaTable.forPath(hold.lake.spark, hold.lake.path("releases"))
    target.update(F.col("pinned").isNull(), {"pinned": F.create_map().cast("map<string,double>")})
