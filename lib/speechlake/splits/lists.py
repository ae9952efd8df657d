"""Evaluation sets by list: files of utterance or source ids, one a line, that say which rows a side holds."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from speechlake.errors import ConfigError
from speechlake.splits.policy_links import FixedSet, FoundSet

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

    from speechlake.lake import Lake
    from speechlake.splits.policy import Policy

# Read whole, on the driver: an evaluation set, not a corpus.
MAX_IDS = 1_000_000


def listed_ids(policy: Policy) -> dict[str, str]:
    """Id -> side, of all lists of a policy from a file; ConfigError for an id on two lists, or too many.

    The policy of a release is a text without its lists beside it: it has none.
    """
    found: dict[str, str] = {}
    for side, fixed in policy.lists.named().items():
        for line in _lines(side, fixed):
            if found.setdefault(line, side) != side:
                raise ConfigError(f"lists: {line!r} is on the lists of {found[line]} and of {side}")
    if len(found) > MAX_IDS:
        raise ConfigError(f"lists: {len(found)} ids; an evaluation set has {MAX_IDS} at most")
    return found


def _lines(side: str, fixed: FixedSet) -> list[str]:
    """Ids of a file, blank lines and those that start with # left out."""
    if not isinstance(fixed, FoundSet):
        return []
    try:
        text = Path(fixed.file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"lists.{side}: {fixed.file} cannot be read: {error}") from error
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def with_listed(utterances: DataFrame, policy: Policy) -> DataFrame:
    """Add `listed`: the side whose list names the row by its utterance_id, else by its source_id; or null."""
    from pyspark.sql import functions as F

    ids = listed_ids(policy)
    if not ids:
        return utterances.withColumn("listed", F.lit(None).cast("string"))
    frame = utterances.sparkSession.createDataFrame([*ids.items()], "id string, side string")
    for column in ("utterance_id", "source_id"):
        named = frame.select(F.col("id").alias(column), F.col("side").alias(f"by_{column}"))
        utterances = utterances.join(F.broadcast(named), column, how="left")
    listed = F.coalesce("by_utterance_id", "by_source_id")
    return utterances.withColumn("listed", listed).drop("by_utterance_id", "by_source_id")


def with_lists(listed: DataFrame, policy: Policy) -> DataFrame:
    """(corpus, utterance_id, listed, file, sha256) of rows that have `listed`: which list it was that named them."""
    from pyspark.sql import functions as F

    nothing = F.lit(None).cast("string")
    file, sha256 = nothing, nothing
    for side, fixed in policy.lists.named().items():
        mine = F.col("listed") == side
        file = F.when(mine, F.lit(fixed.file)).otherwise(file)
        sha256 = F.when(mine, F.lit(fixed.sha256)).otherwise(sha256)
    return listed.select("corpus", "utterance_id", "listed", file.alias("file"), sha256.alias("sha256"))


def lists_now(lake: Lake, build: str) -> list[Row]:
    """(side, file, sha256, utterances, state) of each list that the build read; `state` is told for people.

    A list is no part of a release: the rows that it named are, and stay when it changes or goes.
    """
    from pyspark.sql import Row
    from pyspark.sql import functions as F

    rows = lake.read("fixed_sets").where(F.col("build_id") == build)
    read = rows.groupBy("side", "file", "sha256").agg(F.count("*").alias("utterances"))
    found = read.orderBy("side", "file").collect()
    return [Row(**row.asDict(), state=_state(row.file, row.sha256)) for row in found]


def _state(file: str, sha256: str) -> str:
    try:
        with Path(file).open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        return f"list absent: {file}: {error.strerror}"
    return "list unchanged" if found == sha256 else f"list changed since: {file}"


def oddities(lake: Lake, policy: Policy) -> list[str]:
    """What is odd about the lists of a policy: ids that no current utterance has, or several have."""
    from pyspark.sql import functions as F

    ids = listed_ids(policy)
    if not ids:
        return []
    frame = lake.spark.createDataFrame([*ids.items()], "id string, side string")
    current = lake.read("utterances").where("retired_in IS NULL")
    names = current.select(F.explode(F.array_distinct(F.array("utterance_id", "source_id"))).alias("id"))
    found = names.join(F.broadcast(frame), "id", how="inner").groupBy("id").agg(F.count("*").alias("n"))
    each = frame.join(found, "id", how="left").groupBy("side")
    unknown = F.count_if(F.col("n").isNull()).alias("unknown")
    counted = each.agg(F.count("*").alias("ids"), unknown, F.count_if(F.col("n") > 1).alias("several"))
    return [told for row in counted.orderBy("side").collect() for told in _told(row)]


def _told(row: object) -> list[str]:
    side, ids, unknown, several = (getattr(row, name) for name in ("side", "ids", "unknown", "several"))
    odd = [
        (unknown, "are ids of no utterance"),
        (several, "are ids of more than one utterance, and name all of them"),
    ]
    return [f"the list of {side}: {n} of {ids} lines {what}" for n, what in odd if n]
