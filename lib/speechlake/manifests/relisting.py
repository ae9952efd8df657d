"""What lies under the roots of a corpus in this run: listed once, counted, and written to its recordings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from speechlake import faults
from speechlake.files import as_is
from speechlake.hold import Hold
from speechlake.manifests.places import entry_of
from speechlake.manifests.table_rows import relisted_recordings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake


@dataclass(frozen=True)
class Listed:
    """What a listing says: how many files, how many places that no table can name or nobody can look at, the first of
    those, and the names of the roots of which it says anything."""

    files: int
    problems: int
    first: str | None
    seen: frozenset[str]


def staged_listing(hold: Hold, row: Mapping[str, Any]) -> DataFrame:
    """What lies now under the roots of `row`, a row of `corpora`, listed once on executors: rows of `listing.LISTING_DDL`."""
    from speechlake.manifests.listing import LISTING_DDL, list_roots

    drop_listing(hold)
    path = hold.staging.scratch("listing", hold.run_id)
    list_roots(hold.lake.spark, _uris(row)).write.mode("overwrite").parquet(path)
    faults.point("after:listing")
    return hold.lake.spark.read.schema(LISTING_DDL).parquet(as_is(path))


def counted(listing: DataFrame, row: Mapping[str, Any]) -> Listed:
    """Counts of a listing of the roots of `row`."""
    from pyspark.sql import functions as F

    odd = F.col("problem").isNotNull()
    found = listing.select(
        F.count_if(~odd).alias("files"),
        F.count_if(odd).alias("problems"),
        F.min(F.when(odd, F.struct("root", "detail", "problem"))).alias("first"),
        F.collect_set("root").alias("roots"),
    ).collect()[0]
    first = found.first and _told(found.first.root, found.first.detail, found.first.problem, _uris(row))
    return Listed(found.files, found.problems, first, frozenset(found.roots))


def commit_listing(hold: Hold, listing: DataFrame) -> int:
    """Update the recordings whose file is new, changed or missing; how many."""
    known = hold.lake.read("recordings").where(f"corpus = '{hold.scope}'")
    return hold.merge("recordings", relisted_recordings(known, listing), corpus=hold.scope, digest="listing")


def missing_by_root(lake: Lake, corpus: str) -> dict[str, tuple[int, int]]:
    """Name of a root -> (recordings that are missing, all that are not retired)."""
    from pyspark.sql import functions as F

    current = lake.read("recordings").where(f"corpus = '{corpus}' AND retired_in IS NULL")
    counts = current.groupBy("root").agg(
        F.count_if(F.col("state") == "missing").alias("missing"), F.count("*").alias("n")
    )
    return {row.root: (row.missing, row.n) for row in counts.collect()}


def drop_listing(hold: Hold) -> None:
    """Delete the listing of this scope, and the channels that were counted by it; every run makes them anew."""
    for kind in ("listing", "channels"):
        hold.staging.drop_scratch(kind, hold.run_id)


def _uris(row: Mapping[str, Any]) -> dict[str, str]:
    return {root["name"]: root["uri"] for root in row["roots"]}


def _told(root: str, detail: str, problem: str, uris: Mapping[str, str]) -> str:
    """A place that could not be listed, in words; without `detail` it is the root itself."""
    if detail:
        return f"{root}:{detail!r} ({problem})"
    return f"root {root} {'cannot be listed' if _is_there(uris[root]) else 'is not there'}: {uris[root]}"


def _is_there(uri: str) -> bool:
    try:
        return entry_of(uri) is not None
    except OSError:
        return True
