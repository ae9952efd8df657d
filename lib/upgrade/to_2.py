"""To version 2, from lakes that had no number: columns that came before lakes were numbered.

* `signals_whisper.segments`, `.words`: null, as where nobody asked for times. Whisper has had another version
  since; what the old one measured stays.
* `repeats.parser_version`: that of the newest version of the manifest with these bytes.
* `duplicates.overlap_id`: the cluster, because nothing else linked then. find-duplicates looks again.
* `releases.pinned`: empty, because limits were numbers.
* `assignments`: the build is part of the key, and so of what Delta keeps minima and maxima of.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from speechlake.upgrade.change import (
    Change,
    add_columns,
    lacks,
    property_of,
    rewrite,
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


def changes(lake: Lake) -> Iterator[Change]:
    """What the lake lacks of version 2."""
    lacking = {name: kind for name, kind in WHISPER.items() if lacks(lake, "signals_whisper", name)}
    if lacking:
        what = f"columns {', '.join(lacking)}, null"
        yield Change("signals_whisper", what, partial(add_columns, name="signals_whisper", columns=lacking))
    if lacks(lake, "repeats", "parser_version"):
        yield Change("repeats", "column parser_version, from manifests", _repeats)
    if lacks(lake, "duplicates", "overlap_id"):
        yield Change("duplicates", "column overlap_id, the cluster until find-duplicates runs", _duplicates)
    if lacks(lake, "releases", "pinned"):
        yield Change("releases", "column pinned, empty", _releases)
    if lake.exists("assignments") and property_of(lake, "assignments", STATISTICS) == "link_key":
        key = partial(set_property, name="assignments", key=STATISTICS, value="link_key,build_id")
        yield Change("assignments", "statistics of build_id, which is part of the key", key)


def _repeats(hold: Hold) -> None:
    """The manifest's newest generation with these bytes read the line; there is one for every repeat."""
    from pyspark.sql import functions as F

    same = ["corpus", "uri", "sha256"]
    newest = F.max_by("parser_version", "generation").alias("parser_version")
    parsers = stored(hold.lake, "manifests").groupBy(*same).agg(newest)
    columns = ["corpus", "uri", "sha256", "parser_version", "byte_offset", "utterance_id"]
    rows = stored(hold.lake, "repeats").join(parsers, on=same, how="left").select(*columns)
    rewrite(hold, "repeats", rows.withColumn("parser_version", F.coalesce("parser_version", F.lit(""))))


def _duplicates(hold: Hold) -> None:
    from pyspark.sql import functions as F

    columns = ["corpus", "utterance_id", "cluster_id", "overlap_id", "kind", "similarity"]
    rows = stored(hold.lake, "duplicates").withColumn("overlap_id", F.col("cluster_id"))
    rewrite(hold, "duplicates", rows.select(*columns))


def _releases(hold: Hold) -> None:
    from pyspark.sql import functions as F

    empty = F.create_map().cast("map<string,double>")
    rewrite(hold, "releases", stored(hold.lake, "releases").withColumn("pinned", empty))
