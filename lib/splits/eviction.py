"""Train rows that share a text, session or column with an evaluation row, where the policy says: out with them.

The evaluation side is small: its keys go to the train rows, never the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.splits.benchmarks import is_boilerplate
from speechlake.splits.components import Staged
from speechlake.splits.policy_links import Links
from speechlake.splits.policy_values import EVALUATION
from speechlake.splits.shingles import text_keys

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.splits.policy import Policy

# Up to so many keys of evaluation rows are sent to every task, 100 to 200 MB there; more are shuffled.
BROADCAST_KEYS = 1_000_000

_COLUMNS = ("utterance_id", "reason", "detail", "source", "value")


def evicting_columns(links: Links) -> dict[str, str]:
    """Session and columns whose train rows give way to evaluation rows, with the column that holds the value."""
    return {name: f"evicting_{n}" for n, name in enumerate(links.of_mode("exclude_from_train"))}


def limits(policy: Policy) -> Mapping[str, float]:
    """Reason -> the largest share of train's hours that it may take, in the order in which reasons are given."""
    links = policy.links
    said = {
        "in_evaluation_corpus": policy.decontaminate.max_evicted_share,
        "text_in_evaluation": links.text.max_evicted_share,
    }
    others = links.of_mode("exclude_from_train").items()
    return said | {f"{name}_in_evaluation": link.max_evicted_share for name, link in others}


def evicted(
    placed: DataFrame, rows: DataFrame, policy: Policy, staged: Staged, *, benchmarks: bool
) -> DataFrame | None:
    """(utterance_id, reason, detail, source, value) of the train rows that give way; None where no link asks for it.

    `placed` are the rows that stay where they are so far (utterance_id, side, `evicting_columns`); `rows` holds
    the text of every row, and of evaluation corpora, if there are `benchmarks`. `detail` names the evaluation
    row or corpus, `source` is an evaluation row, `value` what is shared, where it is no text.
    """
    found = [_by_value(placed, name, column) for name, column in evicting_columns(policy.links).items()]
    keys = [_keys_of_sides(placed, rows, policy)] if policy.links.text.mode != "off" else []
    keys += [_keys_of_benchmarks(rows, policy)] if benchmarks and policy.decontaminate.text else []
    if keys:
        found.append(_by_text(placed, rows, staged("text keys", _united(keys)), policy))
    if not found:
        return None
    order = F.coalesce(*(F.when(F.col("reason") == reason, n) for n, reason in enumerate(limits(policy))))
    first = F.min(F.struct(order.alias("n"), *_COLUMNS[1:])).alias("first")
    once = _united(found).groupBy("utterance_id").agg(first)
    return once.select("utterance_id", *(f"first.{name}" for name in _COLUMNS[1:]))


def _by_value(placed: DataFrame, name: str, column: str) -> DataFrame:
    known = placed.filter(F.col(column).isNotNull())
    value = known.select("utterance_id", "side", F.col(column).alias("value"))
    evaluation = value.filter(F.col("side").isin(list(EVALUATION)))
    shared = evaluation.groupBy("value").agg(F.min("utterance_id").alias("source"))
    hits = value.filter(F.col("side") == "train").join(shared, "value", how="inner")
    told = {"reason": F.lit(f"{name}_in_evaluation"), "detail": F.col("source")}
    return hits.withColumns(told).select(*_COLUMNS)


def _by_text(placed: DataFrame, rows: DataFrame, keys: DataFrame, policy: Policy) -> DataFrame:
    """Train rows whose text has one of `keys`, once per key.

    How short a text may be was settled when keys were made: texts of different lengths share no key.
    """
    asked = F.broadcast(keys) if keys.count() <= BROADCAST_KEYS else keys
    texts = rows.filter(~F.col("prompts") & F.col("set_aside").isNull()).select(
        "utterance_id", F.explode(text_keys(F.col("text"), 1)).alias("key")
    )
    train = placed.filter(F.col("side") == "train").select("utterance_id")
    hits = texts.join(asked, "key", how="inner").join(train, "utterance_id", how="left_semi")
    return hits.withColumn("value", F.lit(None).cast("string")).select(*_COLUMNS)


def _keys_of_sides(placed: DataFrame, rows: DataFrame, policy: Policy) -> DataFrame:
    """(key, reason, detail, source) of the texts of rows that evaluate, one row per key."""
    there = placed.filter(F.col("side").isin(list(EVALUATION))).select("utterance_id")
    texts = rows.filter(~F.col("prompts")).join(there, "utterance_id", how="left_semi")
    keys = texts.select("utterance_id", _exploded(F.col("text"), policy.links.text.min_words))
    first = keys.groupBy("key").agg(F.min("utterance_id").alias("source"))
    return first.select(
        "key", F.lit("text_in_evaluation").alias("reason"), F.col("source").alias("detail"), "source"
    )


def _keys_of_benchmarks(rows: DataFrame, policy: Policy) -> DataFrame:
    """The same of the texts of evaluation corpora; `detail` is the corpus."""
    texts = (
        rows.filter(F.col("decontaminates") & ~F.col("prompts") & ~is_boilerplate())
        .select("corpus", "utterance_id", F.explode("evaluation_texts").alias("text"))
        .select("corpus", "utterance_id", _exploded(F.col("text"), policy.decontaminate.min_words))
    )
    first = texts.groupBy("key").agg(F.min(F.struct("corpus", "utterance_id")).alias("first"))
    reason = F.lit("in_evaluation_corpus").alias("reason")
    return first.select(
        "key", reason, F.col("first.corpus").alias("detail"), F.col("first.utterance_id").alias("source")
    )


def _exploded(text: Column, min_words: int) -> Column:
    return F.explode(text_keys(text, min_words)).alias("key")


def _united(frames: Sequence[DataFrame]) -> DataFrame:
    return reduce(lambda a, b: a.unionByName(b), frames)
