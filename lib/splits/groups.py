"""Which utterances belong together: transitively, over every link that a policy keeps on one side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.splits.components import EDGES_IN_ONE_TASK, Staged, checkpointed, components
from speechlake.splits.keys import LINKS, shared_keys, utterance_key

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def with_linked_speaker(rows: DataFrame, kinds: Sequence[str]) -> DataFrame:
    """Add `linked_speaker`, `linked_cluster` and `train_only`.

    Speakers do not link inside a corpus declared `single_speaker`, unless another corpus has that speaker:
    then its rows are linked to it and the corpus is train only. Clusters link for the duplicate `kinds` named.
    """
    elsewhere = F.broadcast(_speaker_elsewhere(rows))
    flagged = rows.join(elsewhere, "corpus", how="left")
    train_only = F.coalesce(F.col("has_speaker_elsewhere"), F.lit(False))
    linked = ~F.col("single_speaker") | train_only
    cluster = F.when(F.col("duplicate_kind").isin(list(kinds)), F.col("cluster_id"))
    return (
        flagged.withColumn("train_only", train_only)
        .withColumn("linked_speaker", F.when(linked, F.col("speaker_id")))
        .withColumn("linked_cluster", cluster)
        .drop("has_speaker_elsewhere")
    )


def _speaker_elsewhere(rows: DataFrame) -> DataFrame:
    """Corpora declared `single_speaker` with a speaker that another corpus has too; as many rows as corpora."""
    known = rows.filter(F.col("speaker_id").isNotNull())
    spoken = known.groupBy("speaker_id", "corpus").agg(F.max("single_speaker").alias("single_speaker"))
    shared = spoken.groupBy("speaker_id").agg(
        F.count("*").alias("n"),
        F.collect_set(F.when(F.col("single_speaker"), F.col("corpus"))).alias("corpora"),
    )
    corpora = shared.filter((F.col("n") > 1) & (F.size("corpora") > 0)).select(
        F.explode("corpora").alias("corpus")
    )
    return corpora.distinct().withColumn("has_speaker_elsewhere", F.lit(True))


def with_link_group(
    rows: DataFrame,
    links: Mapping[str, str] = LINKS,
    *,
    staged: Staged = checkpointed,
    limit: int = EDGES_IN_ONE_TASK,
) -> DataFrame:
    """Add `link_group`: the same value for utterances that share any link, transitively.

    `links` maps the kind of a link to its column; a null links nobody. Keeps every row and every other
    column. The value is the smallest link key of those that connect the group, or the utterance's own key
    when nothing does, so it depends on the rows alone.
    """
    keyed = staged("shared keys", _keys_seen_twice(rows, links))
    edges = keyed.filter(F.size("keys") > 1).select(F.explode(_neighbours()).alias("edge")).select("edge.*")
    labels = components(edges.distinct(), staged=staged, limit=limit)
    joined = keyed.select("utterance_id", F.col("keys")[0].alias("key")).join(labels, "key", how="left")
    grouped = joined.select("utterance_id", F.coalesce("label", "key").alias("link_group"))
    group = F.coalesce(F.col("link_group"), utterance_key())
    return rows.join(grouped, "utterance_id", how="left").withColumn("link_group", group)


def _keys_seen_twice(rows: DataFrame, links: Mapping[str, str]) -> DataFrame:
    """(utterance_id, keys): the sorted link keys that another row has too; other keys connect nothing."""
    single = rows.select("utterance_id", F.explode(shared_keys(links)).alias("key"))
    seen_twice = single.groupBy("key").agg(F.count("*").alias("n")).filter("n > 1").select("key")
    shared = single.join(seen_twice, "key", how="left_semi")
    return shared.groupBy("utterance_id").agg(F.array_sort(F.collect_set("key")).alias("keys"))


def _neighbours() -> Column:
    """Pairs of the first key with each other one: enough to connect all keys of a row."""
    first = F.col("keys")[0]
    others = F.slice("keys", 2, F.size("keys") - 1)
    return F.transform(others, lambda key: F.struct(first.alias("low"), key.alias("high")))
