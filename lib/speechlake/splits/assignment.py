"""Which side each row is on: remembered sides first, then whole groups by hours per stratum.

Durations are whole milliseconds here, so that sums do not depend on the order of rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.joins import lying_together, sent_if_few
from speechlake.splits.fill import filled
from speechlake.splits.keepers import counted_as
from speechlake.splits.keys import id_of
from speechlake.splits.memory import (
    RANKS,
    fits,
    rank_of,
    side_of,
    speaker_missing,
    why_not_there,
)
from speechlake.splits.policy import EVALUATION, Policy, Side
from speechlake.sql_text import literal
from speechlake.text.subtags import primary_of
from speechlake.units import MS_PER_HOUR

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.checkpoints import Staged


# What a group's row is made of.
_GROUPED = (
    *("corpus", "language", "ms", "remembered", "reason", "speaker_id", "single_speaker", "train_only"),
    *("boilerplate", "fits_train", "fits_dev", "fits_test"),
)


def with_side(known: DataFrame, groups: DataFrame, policy: Policy, staged: Staged) -> DataFrame:
    """Add `side`: what is remembered, else what the group was filled into, else train; `reason` where that is no place.

    `known` are rows with remembered, reason, link_group (`with_remembered_side`), `groups` their `group_table`.
    Keeps every row and every other column.
    """
    new = staged("filled", filled(_with_room(groups.filter("pickable"), strata(groups, policy), policy)))
    joined = known.join(sent_if_few(new), "link_group", how="left")
    rank = F.coalesce(F.col("remembered"), rank_of(F.col("side")), F.lit(RANKS["train"]))
    reason = F.coalesce("reason", F.when(F.col("remembered").isNull(), why_not_there(rank)))
    return joined.withColumn("reason", reason).withColumn("side", side_of(rank)).drop("remembered")


def stratum(policy: Policy) -> Column:
    """The stratum of a row: its primary language subtag, its corpus, or both, as `splits.per` says."""
    parts = {"language": F.coalesce(primary_of(F.col("language")), F.lit("und")), "corpus": F.col("corpus")}
    named = [parts[part] for part in policy.splits.per]
    return F.concat_ws("/", *named) if named else F.lit("all")


def group_table(rows: DataFrame, policy: Policy) -> DataFrame:
    """One row per group: link_group, stratum, ms, rows, pickable, and ms fit for and held on each evaluation side.

    Copies of which one will stay count once. The stratum is that of most hours. A group that is remembered, has a
    missing speaker or belongs to a train-only corpus is not pickable.
    """
    bound = F.col("remembered").isNotNull() | speaker_missing() | F.col("train_only")
    unit = counted_as(policy).alias("unit")
    placed = lying_together(rows.select(*_GROUPED, "link_group", unit), "link_group", "unit")
    once = placed.groupBy("link_group", "unit").agg(
        F.min(stratum(policy)).alias("stratum"),
        F.max("ms").alias("ms"),
        F.max(bound).alias("bound"),
        F.count("*").alias("rows"),
        *(F.max(ms).alias(name) for side in EVALUATION for name, ms in _hours(side).items()),
    )
    names = ["rows", *(name for side in EVALUATION for name in _hours(side))]
    sums = [F.sum(name).alias(name) for name in names]
    parts = once.groupBy("link_group", "stratum").agg(
        F.sum("ms").alias("ms"), F.max("bound").alias("bound"), *sums
    )
    most = F.min(F.struct((-F.col("ms")).alias("less"), "stratum"))
    all_ms = F.sum("ms").alias("ms")
    whole = parts.groupBy("link_group").agg(most.alias("most"), F.max("bound").alias("bound"), all_ms, *sums)
    pickable = (~F.col("bound")).alias("pickable")
    return whole.select("link_group", F.col("most.stratum").alias("stratum"), "ms", pickable, *names)


def _hours(side: Side) -> dict[str, Column]:
    """Milliseconds of a row that are fit for an evaluation side, and those that are already on it."""
    here = (F.col("remembered") == RANKS[side]) & F.col("reason").isNull() & fits(F.col("remembered"))
    zero = F.lit(0).cast("bigint")
    fit = F.col(f"fits_{side}") & ~F.col("boilerplate")
    return {
        f"{side}_ms": F.when(fit, F.col("ms")).otherwise(zero),
        f"held_{side}_ms": F.when(F.coalesce(here, F.lit(False)), F.col("ms")).otherwise(zero),
    }


def strata(groups: DataFrame, policy: Policy) -> DataFrame:
    """One row per stratum with `room_<side>_ms`: target minus what is held; as many rows as strata."""
    sums = [
        F.sum(f"{kind}{side}_ms").alias(f"{kind}{side}_ms") for side in EVALUATION for kind in ("", "held_")
    ]
    rooms = [_room(policy, side).alias(f"room_{side}_ms") for side in EVALUATION]
    return groups.groupBy("stratum").agg(*sums).select("stratum", *rooms)


def _room(policy: Policy, side: Side) -> Column:
    size = policy.splits.size(side)
    if size is None:
        return F.lit(0).cast("bigint")
    share = F.floor(F.lit(size.max_share) * F.col(f"{side}_ms"))
    target = F.least(F.lit(round(size.hours * MS_PER_HOUR)).cast("bigint"), share)
    return F.greatest(target - F.col(f"held_{side}_ms"), F.lit(0).cast("bigint"))


def _with_room(groups: DataFrame, rooms: DataFrame, policy: Policy) -> DataFrame:
    draw = id_of(literal("order"), literal(str(policy.splits.salt)), "link_group")
    return groups.join(F.broadcast(rooms), "stratum", how="inner").withColumn("draw", draw)
