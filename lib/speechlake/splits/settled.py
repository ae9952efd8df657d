"""What is settled before groups are made: evaluation sets by list, and audio that an evaluation corpus holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.joins import sent_if_few
from speechlake.splits.memory import RANKS, fits, rank_of, side_of

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.checkpoints import Staged
    from speechlake.splits.policy import Policy


def with_settled(
    rows: DataFrame, evaluation: DataFrame | None, published: DataFrame, policy: Policy, staged: Staged
) -> DataFrame:
    """Add `settled` (the rank of a side, null where groups decide), `reason` and `detail`.

    Takes rows with own, lowest, highest, listed, overlap_id, linked_content, boilerplate, link_keys and `fits_<side>`.
    `evaluation` holds (at, corpus) of the audio and files of evaluation corpora; None where there is none; `published` has
    own and link_keys of all that was published, whether it may stay or not. A row that is listed is on its list's side or nowhere: `published_before_listed` (on another side, where a published row stays; or
    what shares a link with it was: whoever heard that would be asked for it), `boilerplate`, or `shares_with_fixed_set`
    (a row of dev's list that shares a link with one of test's). A row that is not listed and shares a link directly
    with one that is has that reason too, unless it was published on the same side; the rest of its group is
    free. `in_evaluation_corpus` rows share audio with an evaluation corpus. `detail` is that corpus, the side
    where the row was published, or the listed row that it shares a link with.
    """
    marked = _with_contaminant(rows, evaluation)
    touched = (
        _with_touching(_with_elsewhere(marked, published, staged))
        if policy.lists.named()
        else _untouched(marked)
    )
    listed = rank_of(F.col("listed"))
    reason = _reason(listed)
    elsewhere = reason == F.lit("published_before_listed")
    there = F.when(reason.isNotNull(), F.coalesce("own", "published_elsewhere", F.lit(RANKS["train"])))
    settled = F.when(listed.isNotNull() & ~F.coalesce(elsewhere, F.lit(False)), listed).otherwise(there)
    details = {
        "in_evaluation_corpus": F.col("contaminant"),
        "published_before_listed": side_of(F.col("published_elsewhere")),
        "shares_with_fixed_set": F.col("touches"),
    }
    detail = F.coalesce(*(F.when(reason == name, said) for name, said in details.items()))
    return touched.withColumns({"settled": settled, "reason": reason, "detail": detail}).drop(
        *("contaminant", "published_elsewhere", "lowest_touched", "highest_touched", "touches")
    )


def _reason(listed: Column) -> Column:
    """Why a row is out before groups are made; null for all others."""
    touched = F.col("highest_touched")
    # Published on that side already, and touching no other: nothing leaks, and a row never moves.
    at_home = (F.col("lowest_touched") == touched) & F.coalesce(F.col("own") == touched, F.lit(False))
    shares = F.when(listed.isNotNull(), touched > listed).otherwise(touched.isNotNull() & ~at_home)
    return (
        F.when(F.col("contaminant").isNotNull(), F.lit("in_evaluation_corpus"))
        .when(listed.isNotNull() & F.col("boilerplate"), F.lit("boilerplate"))
        .when(F.col("published_elsewhere").isNotNull(), F.lit("published_before_listed"))
        .when(shares, F.lit("shares_with_fixed_set"))
    )


def _with_contaminant(rows: DataFrame, evaluation: DataFrame | None) -> DataFrame:
    """Add `contaminant`: the first evaluation corpus, by name, that holds audio of this row."""
    if evaluation is None:
        return rows.withColumn("contaminant", F.lit(None).cast("string"))
    held = evaluation.groupBy("at").agg(F.min("corpus").alias("contaminant"))
    for column in ("overlap_id", "linked_content"):
        found = held.withColumnsRenamed({"at": column, "contaminant": f"{column}_held"})
        rows = rows.join(found, column, how="left")
    held_there = ("overlap_id_held", "linked_content_held")
    return rows.withColumn("contaminant", F.coalesce(*held_there)).drop(*held_there)


def _with_elsewhere(rows: DataFrame, published: DataFrame, staged: Staged) -> DataFrame:
    """Add `published_elsewhere`: of listed rows the rank of another side than their list's, on which they were published,
    or their present audio, or, where they were not, what shares a link with them; null of others."""
    listed = rank_of(F.col("listed"))
    asked = rows.filter(listed.isNotNull() & F.col("own").isNull()).select(
        F.col("utterance_id").alias("asked"), listed.alias("rank"), F.explode("link_keys").alias("link_key")
    )
    asked = sent_if_few(staged("listed anew", asked))
    # What nobody remembers of these keys: a speaker that was corrected, a copy that was found since.
    there = published.select("own", F.explode("link_keys").alias("link_key"))
    met = there.join(asked, "link_key", how="inner").filter(F.col("own") != F.col("rank"))
    found = met.groupBy(F.col("asked").alias("utterance_id")).agg(F.max("own").alias("met"))
    others = F.coalesce(*(F.when(rank != listed, rank) for rank in map(F.col, ("highest", "lowest", "met"))))
    # Of its own keys one is known to another side, where its file was replaced.
    moved = F.when(F.col("own") != listed, F.col("own")).when(F.col("replaced"), others)
    elsewhere = F.when(F.col("own").isNull(), others).otherwise(moved)
    joined = rows.join(found, "utterance_id", how="left")
    return joined.withColumn("published_elsewhere", F.when(listed.isNotNull(), elsewhere)).drop("met")


def _with_touching(rows: DataFrame) -> DataFrame:
    """Add `lowest_touched` and `highest_touched`: sides of listed rows that share a link key with this one; `touches`:
    the first such row of the highest."""
    listed = rank_of(F.col("listed"))
    stays = F.col("contaminant").isNull() & F.col("published_elsewhere").isNull() & ~F.col("boilerplate")
    good = fits(listed) & stays
    fixed = rows.filter(listed.isNotNull() & good).select(
        "utterance_id", F.explode("link_keys").alias("link_key"), listed.alias("rank")
    )
    # A row of dev's list that touches test's is out, and so in nobody's way.
    highest = fixed.groupBy("link_key").agg(F.max("rank").alias("highest"))
    losers = fixed.join(highest, "link_key", how="inner").filter("highest > rank").select("utterance_id")
    staying = fixed.join(losers, "utterance_id", how="left_anti").groupBy("link_key")
    first = F.min(F.struct((-F.col("rank")).alias("below"), F.col("utterance_id").alias("id")))
    keys = staying.agg(F.min("rank").alias("lowest"), first.alias("first"))
    touching = (
        rows.select("utterance_id", F.explode("link_keys").alias("link_key"))
        .join(keys, "link_key", how="inner")
        .groupBy("utterance_id")
        .agg(
            F.min("lowest").alias("lowest_touched"),
            F.min(F.struct("first.below", "link_key", "first.id")).alias("first"),
        )
        .select(
            *("utterance_id", "lowest_touched"),
            (-F.col("first.below")).alias("highest_touched"),
            F.col("first.id").alias("touches"),
        )
    )
    return rows.join(touching, "utterance_id", how="left")


def _untouched(rows: DataFrame) -> DataFrame:
    nobody = F.lit(None).cast("int")
    return rows.withColumns(
        {
            **dict.fromkeys(("published_elsewhere", "lowest_touched", "highest_touched"), nobody),
            "touches": nobody.cast("string"),
        }
    )
