"""Why a build must not be published although nothing in it leaks: links that take too much, groups too large."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.splits.eviction import limits
from speechlake.splits.memory import RANKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import Column, DataFrame

    from speechlake.checkpoints import Staged
    from speechlake.splits.policy import Policy

# Of values, groups and what glues them: enough to see the cause.
TOLD = 3
TEXT_TOLD = 60


def too_much_evicted(train: DataFrame, evicted: DataFrame, rows: DataFrame, policy: Policy) -> DataFrame:
    """(message) per reason whose rows are more of train's hours than the policy allows.

    `train` are the rows (utterance_id, ms) that would train otherwise, `evicted` those that give way
    (`speechlake.splits.eviction`) and those that lists keep out (`kept_out_by_lists`); `rows` holds texts. A row
    whose audio an evaluation corpus holds is out before, and does not count.
    """
    sized = evicted.join(train, "utterance_id", how="inner")
    total = train.agg(F.sum("ms").alias("total"))
    taken = sized.groupBy("reason").agg(F.sum("ms").alias("ms"), F.count("*").alias("n"))
    limit = F.coalesce(
        *(F.when(F.col("reason") == reason, F.lit(most)) for reason, most in limits(policy).items())
    )
    share = F.try_divide("ms", "total")
    over = taken.crossJoin(F.broadcast(total)).withColumns({"share": share, "limit": limit})
    over = over.filter(F.col("share") > F.col("limit"))
    return over.join(_worst(sized, rows), "reason", how="left").select(_message().alias("message"))


def kept_out_by_lists(settled: DataFrame) -> DataFrame:
    """(utterance_id, ms, reason, source, value) of rows that would train if they shared no link with a listed one.

    `settled` are rows as `with_settled` leaves them; `source` is the listed row.
    """
    trains = (
        F.col("listed").isNull()
        & F.col("fits_train")
        & F.coalesce(F.col("own") == RANKS["train"], F.lit(True))
    )
    out = settled.filter((F.col("reason") == "shares_with_fixed_set") & trains)
    return out.select(
        "utterance_id",
        "ms",
        "reason",
        F.col("detail").alias("source"),
        F.lit(None).cast("string").alias("value"),
    )


def _worst(sized: DataFrame, rows: DataFrame) -> DataFrame:
    """(reason, worst): the shared values that take most, with the rows they take."""
    from pyspark.sql import Window

    each = sized.groupBy("reason", "source", "value").agg(F.sum("ms").alias("ms"), F.count("*").alias("n"))
    place = F.row_number().over(Window.partitionBy("reason").orderBy(F.desc("ms"), "source"))
    most = each.withColumn("place", place).filter(F.col("place") <= TOLD)
    texts = rows.select(
        F.col("utterance_id").alias("source"), F.coalesce("text", F.col("evaluation_texts")[0]).alias("said")
    )
    # A few sources per reason, sent to where the texts are: else all texts would be moved to meet them.
    texts = texts.join(F.broadcast(most.select("source").distinct()), "source", how="left_semi")
    shown = F.coalesce("value", F.substring("said", 1, TEXT_TOLD), "source")
    line = F.concat(
        F.lit("'"), shown, F.lit("' of "), "source", F.lit(" ("), F.col("n").cast("string"), F.lit(" rows)")
    )
    named = most.join(texts, "source", how="left").select(
        "reason", F.struct("place", line.alias("line")).alias("told")
    )
    worst = F.array_join(F.transform(F.array_sort(F.collect_list("told")), lambda t: t["line"]), "; ")
    return named.groupBy("reason").agg(worst.alias("worst"))


def _message() -> Column:
    return F.concat(
        F.col("reason"), F.lit(" takes "), F.col("n").cast("string"), F.lit(" rows, "),
        percent(F.col("share")), F.lit(" of train's hours; max_evicted_share is "), percent(F.col("limit")),
        F.lit(". Most is shared with "), F.col("worst"),
    )  # fmt: skip


def percent(share: Column) -> Column:
    """A share as per cent with one decimal."""
    return F.concat(F.round(share * 100, 1).cast("decimal(6,1)").cast("string"), F.lit(" %"))


# What holds a group together in which no two rows have a value in common.
HEARD = "speakers who are named in recordings and copies of rows that name nobody"


def large_groups(
    known: DataFrame,
    linked: DataFrame,
    groups: DataFrame,
    links: Mapping[str, str],
    policy: Policy,
    staged: Staged,
) -> DataFrame:
    """(message, refuse) per group with more of a stratum's hours than `max_group_share`, and what glued it together.

    `known` says the link_group of each utterance, `linked` has a column per link; `groups` one row per group (link_group,
    stratum, ms, rows). A group of one link alone, such as a speaker who is most of a language, is told too: it will not
    evaluate. A row that is linked to nobody is no group. Of a stratum the largest few are told, and how many others there
    are.
    """
    from pyspark.sql import Window

    strata = groups.groupBy("stratum").agg(F.sum("ms").alias("total"))
    share = F.try_divide("ms", "total")
    large = (
        groups.filter("rows > 1")
        .join(F.broadcast(strata), "stratum", how="inner")
        .withColumn("share", share)
        .filter(F.col("share") > policy.splits.max_group_share)
        .select("link_group", "stratum", "share")
    )
    largest = Window.partitionBy("stratum").orderBy(F.desc("share"), "link_group")
    others = F.count("*").over(Window.partitionBy("stratum")) - TOLD
    most = large.withColumns({"place": F.row_number().over(largest), "others": others})
    # A few of each stratum.
    most = F.broadcast(staged("large groups", most.filter(F.col("place") <= TOLD)))
    if most.isEmpty():
        return most.select(F.lit("").alias("message"), F.lit(False).alias("refuse"))
    members = known.select("utterance_id", "link_group").join(
        most.select("link_group"), "link_group", how="inner"
    )
    glue = _glue(linked.join(members, "utterance_id", how="inner"), links)
    refused = policy.splits.refuse_group_share
    refuse = F.lit(False) if refused is None else F.col("share") > refused
    told = most.join(F.broadcast(glue), "link_group", how="left")
    more = F.concat(
        F.lit(" (smaller groups above max_group_share: "), F.col("others").cast("string"), F.lit(")")
    )
    message = F.concat(
        F.lit("stratum '"), "stratum", F.lit("': one group of linked rows holds "), percent(F.col("share")),
        F.lit(" of the hours, held together by "), F.coalesce("glue", F.lit(HEARD)),
        F.when((F.col("place") == TOLD) & (F.col("others") > 0), more).otherwise(""),
    )  # fmt: skip
    return staged("what glues", told.select(message.alias("message"), refuse.alias("refuse")))


def _glue(members: DataFrame, links: Mapping[str, str]) -> DataFrame:
    """(link_group, glue): the values that most rows of a group share."""
    from pyspark.sql import Window

    pairs = F.array(
        *(F.struct(F.lit(kind).alias("kind"), F.col(column).alias("value")) for kind, column in links.items())
    )
    each = members.select("link_group", F.explode(pairs).alias("link")).filter("link.value IS NOT NULL")
    counted = (
        each.groupBy("link_group", "link.kind", "link.value").agg(F.count("*").alias("n")).filter("n > 1")
    )
    order = Window.partitionBy("link_group").orderBy(F.desc("n"), "kind", "value")
    most = counted.withColumn("place", F.row_number().over(order)).filter(F.col("place") <= TOLD)
    line = F.concat("kind", F.lit(" '"), "value", F.lit("': "), F.col("n").cast("string"), F.lit(" rows"))
    told = F.array_sort(F.collect_list(F.struct("place", line.alias("line"))))
    return most.groupBy("link_group").agg(
        F.array_join(F.transform(told, lambda t: t["line"]), ", ").alias("glue")
    )
