"""Caps: no speaker, text, corpus or language has more than its hours of train.

Rows of a value are taken in salted-hash order until the next one would be too much: a sample that depends
on nothing but the rows, and never above the cap. A row that trained in an earlier release may be left out
by a cap when others come before it; it never changes sides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.splits.keys import id_of
from speechlake.splits.operators import number_text
from speechlake.splits.policy import Policy
from speechlake.splits.policy_balance import Cap
from speechlake.splits.rules import failure
from speechlake.sql_text import literal
from speechlake.text.flags import plain
from speechlake.text.subtags import primary_of
from speechlake.units import MS_PER_HOUR

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.checkpoints import Staged

_HEX_OF_BUCKET = 3


def with_caps(decided: DataFrame, policy: Policy, staged: Staged) -> DataFrame:
    """Exclude what is above the policy's caps, one cap after another, each counting what those before it left.

    `decided` has one row per candidate with `kept`, `side` and `failures`; a row above a cap gets the
    failure `over_cap_<what>`, with its hours in line and the cap.
    """
    for n, cap in enumerate(policy.caps):
        over = _over(decided, cap, str(policy.splits.salt))
        joined = decided.join(over, "utterance_id", how="left")
        failures = F.when(F.col("over").isNull(), F.col("failures")).otherwise(F.array("over"))
        kept = F.col("kept") & F.col("over").isNull()
        decided = staged(f"capped {n}", joined.withColumns({"failures": failures, "kept": kept}).drop("over"))
    return decided


def _over(decided: DataFrame, cap: Cap, salt: str) -> DataFrame:
    """(utterance_id, over): the failure of every train row that its cap leaves out."""
    draw = id_of(literal("cap"), literal(salt), "utterance_id")
    trains = decided.filter(F.col("kept") & (F.col("side") == "train"))
    rows = trains.select("utterance_id", "ms", _capped(cap.per).alias("capped"), draw.alias("draw"))
    if cap.per == "text":
        # A text may be long, and only whether two are the same matters.
        rows = rows.withColumn("capped", F.when(F.col("capped") != "", id_of(literal("text"), "capped")))
    limit = round(cap.hours * MS_PER_HOUR)
    running = _in_line(rows.filter(F.col("capped").isNotNull()))
    hours = number_text(F.col("running_ms") / MS_PER_HOUR)
    asked = F.lit(f"<= {cap.hours:g} hours of one {cap.per}")
    over = failure(F.lit(f"over_cap_{cap.per}"), F.lit(None), hours, asked)
    return running.filter(F.col("running_ms") > limit).select("utterance_id", over.alias("over"))


def _in_line(rows: DataFrame) -> DataFrame:
    """Add `running_ms`: the milliseconds of the same value up to this row, itself included, in the order drawn.

    A window over one value would be one task, and a corpus is one value. The first three digits of the draw
    cut each value into 4,096 buckets: their sums, few numbers, say where each starts, and inside of them
    the order is small work for many tasks. Linear in rows, but for sorting them.
    """
    from pyspark.sql import Window

    bucketed = rows.withColumn("bucket", F.substring("draw", 1, _HEX_OF_BUCKET))
    sums = bucketed.groupBy("capped", "bucket").agg(F.sum("ms").alias("bucket_ms"))
    before = Window.partitionBy("capped").orderBy("bucket").rowsBetween(Window.unboundedPreceding, -1)
    starts = sums.select(
        "capped", "bucket", F.coalesce(F.sum("bucket_ms").over(before), F.lit(0)).alias("start_ms")
    )
    inside = (
        Window.partitionBy("capped", "bucket")
        .orderBy("draw", "utterance_id")
        .rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )
    running = F.col("start_ms") + F.sum("ms").over(inside)
    joined = bucketed.join(starts, ["capped", "bucket"], how="inner")
    return joined.withColumn("running_ms", running).select("utterance_id", "running_ms")


def _capped(per: str) -> Column:
    """The value whose hours count together; null for a row that no cap is for."""
    values = {
        "text": plain(F.col("text")),
        "speaker": F.col("speaker_id"),
        "corpus": F.col("corpus"),
        "language": primary_of(F.col("language")),
    }
    return values[per]
