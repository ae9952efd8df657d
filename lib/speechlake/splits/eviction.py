"""Train rows that share a text, session or column with an evaluation row, where the policy says: out with them.

The evaluation side is small: its keys go to the train rows, never the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.checkpoints import Staged
from speechlake.joins import sent_if_few
from speechlake.splits.forms import normalised
from speechlake.splits.groups import is_boilerplate
from speechlake.splits.policy_links import Links
from speechlake.splits.policy_values import EVALUATION
from speechlake.splits.shingles import text_keys

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.splits.policy import Policy

# Up to so many keys, or ids, of evaluation rows are sent to every task, 100 to 200 MB there; more are shuffled.
BROADCAST_KEYS = 1_000_000

_COLUMNS = ("utterance_id", "reason", "detail", "source", "value")


@dataclass(frozen=True)
class Texts:
    """What texts are besides what people wrote of rows: `forms` (utterance_id, form_text) as trainers get them, where that
    is something else, and `published` (utterance_id, text, prompts), by which releases of the scheme evaluate, whatever
    their rows say now (`recall.evaluated_texts`)."""

    forms: DataFrame | None = None
    published: DataFrame | None = None


def evicting_columns(links: Links) -> dict[str, str]:
    """Session and columns whose train rows give way to evaluation rows, with the column that holds the value."""
    return {name: f"evicting_{n}" for n, name in enumerate(links.of_mode("exclude_from_train"))}


def limits(policy: Policy) -> Mapping[str, float]:
    """Reason -> the largest share of train's hours that it may take, in the order in which reasons are given."""
    links = policy.links
    said = {
        "shares_with_fixed_set": policy.lists.max_evicted_share,
        "in_evaluation_corpus": policy.decontaminate.max_evicted_share,
        "text_in_evaluation": links.text.max_evicted_share,
    }
    others = links.of_mode("exclude_from_train").items()
    return said | {f"{name}_in_evaluation": link.max_evicted_share for name, link in others}


def evicted(
    placed: DataFrame,
    evaluated: DataFrame,
    rows: DataFrame,
    policy: Policy,
    staged: Staged,
    *,
    benchmarks: bool,
    texts: Texts,
) -> DataFrame | None:
    """(utterance_id, reason, detail, source, value) of the train rows that give way; None where no link asks for it.

    `placed` are the rows that stay where they are so far (utterance_id, side, `evicting_columns`), `evaluated` those
    that were published to evaluate, whether they stay or not; `rows` holds the text of every row, and of evaluation
    corpora, if there are `benchmarks`. `detail` names the evaluation row or corpus, `source` is an evaluation row,
    `value` what is shared, where it is no text. Texts are shared as they were written, or in the form of `texts`: either
    counts.
    """
    columns = evicting_columns(policy.links)
    evaluating = placed.filter(F.col("side").isin(list(EVALUATION))).select("utterance_id", *columns.values())
    evaluating = evaluating.unionByName(evaluated.select("utterance_id", *columns.values()))
    found = [_by_value(placed, evaluating, name, column) for name, column in columns.items()]
    said = _said(rows, texts.forms)
    keys = [_keys_of_sides(evaluating, said, texts.published, policy)] if policy.links.compares_texts else []
    keys += (
        [_keys_of_benchmarks(rows, policy, texts.forms is not None)]
        if benchmarks and policy.decontaminate.text
        else []
    )
    if keys:
        found.append(_by_text(placed, said, staged("text keys", _united(keys))))
    if not found:
        return None
    order = F.coalesce(*(F.when(F.col("reason") == reason, n) for n, reason in enumerate(limits(policy))))
    first = F.min(F.struct(order.alias("n"), *_COLUMNS[1:])).alias("first")
    once = _united(found).groupBy("utterance_id").agg(first)
    return once.select("utterance_id", *(f"first.{name}" for name in _COLUMNS[1:]))


def _by_value(placed: DataFrame, evaluating: DataFrame, name: str, column: str) -> DataFrame:
    known = F.col(column).isNotNull()
    shared = evaluating.filter(known).groupBy(F.col(column).alias("value"))
    train = placed.filter(known & (F.col("side") == "train")).select(
        "utterance_id", F.col(column).alias("value")
    )
    hits = train.join(shared.agg(F.min("utterance_id").alias("source")), "value", how="inner")
    told = {"reason": F.lit(f"{name}_in_evaluation"), "detail": F.col("source")}
    return hits.withColumns(told).select(*_COLUMNS)


def _said(rows: DataFrame, forms: DataFrame | None) -> DataFrame:
    """What texts are looked at: utterance_id, prompts, set_aside, text, and form_text, null where there is none."""
    columns = ("utterance_id", "prompts", "set_aside", "text")
    if forms is None:
        return rows.select(*columns, F.lit(None).cast("string").alias("form_text"))
    form = forms.select("utterance_id", "form_text")
    return rows.select(*columns).join(form, "utterance_id", how="left")


def _by_text(placed: DataFrame, said: DataFrame, keys: DataFrame) -> DataFrame:
    """Train rows whose text has one of `keys`, once per key.

    How short a text may be was settled when keys were made: texts of different lengths share no key.
    """
    asked = sent_if_few(keys, BROADCAST_KEYS)
    texts = said.filter(~F.col("prompts") & F.col("set_aside").isNull()).select(
        "utterance_id", _exploded(_either(1))
    )
    train = placed.filter(F.col("side") == "train").select("utterance_id")
    hits = texts.join(asked, "key", how="inner").join(train, "utterance_id", how="left_semi")
    return hits.withColumn("value", F.lit(None).cast("string")).select(*_COLUMNS)


def _keys_of_sides(
    evaluating: DataFrame, said: DataFrame, before: DataFrame | None, policy: Policy
) -> DataFrame:
    """(key, reason, detail, source) of the texts of rows that evaluate, and of those that were published `before`, one row
    per key."""
    min_words = policy.links.text.min_words
    # Sent to where the texts are: else all texts, train's too, would be moved to meet a few ids.
    there = sent_if_few(evaluating.select("utterance_id"), BROADCAST_KEYS)
    texts = said.filter(~F.col("prompts")).join(there, "utterance_id", how="left_semi")
    keys = texts.select("utterance_id", _exploded(_either(min_words)))
    if before is not None:
        published = before.filter(~F.col("prompts"))
        keys = keys.unionByName(published.select("utterance_id", _exploded(_keys("text", min_words))))
    first = keys.groupBy("key").agg(F.min("utterance_id").alias("source"))
    return first.select(
        "key", F.lit("text_in_evaluation").alias("reason"), F.col("source").alias("detail"), "source"
    )


def _keys_of_benchmarks(rows: DataFrame, policy: Policy, in_form: bool) -> DataFrame:
    """The same of the texts of evaluation corpora, as they were written and `in_form`; `detail` is the corpus."""
    held = rows.filter(F.col("decontaminates") & ~F.col("prompts") & ~is_boilerplate())
    told = held.select("corpus", "utterance_id", "language", F.explode("evaluation_texts").alias("text"))
    keys = told.select("corpus", "utterance_id", _exploded(_keys("text", policy.decontaminate.min_words)))
    if in_form:
        forms = normalised(told).join(held.select("corpus", "utterance_id"), "utterance_id", how="inner")
        formed = _exploded(_keys("form_text", policy.decontaminate.min_words))
        keys = keys.unionByName(forms.select("corpus", "utterance_id", formed))
    first = keys.groupBy("key").agg(F.min(F.struct("corpus", "utterance_id")).alias("first"))
    reason = F.lit("in_evaluation_corpus").alias("reason")
    return first.select(
        "key", reason, F.col("first.corpus").alias("detail"), F.col("first.utterance_id").alias("source")
    )


def _either(min_words: int) -> Column:
    """The keys of a row's text, and of its form where that says more."""
    same = F.col("form_text").isNull() | (F.col("form_text") == F.col("text"))
    written, formed = _keys("text", min_words), _keys("form_text", min_words)
    return F.when(same, written).otherwise(F.array_union(written, formed))


def _keys(column: str, min_words: int) -> Column:
    return text_keys(F.col(column), min_words)


def _exploded(keys: Column) -> Column:
    return F.explode(keys).alias("key")


def _united(frames: Sequence[DataFrame]) -> DataFrame:
    return reduce(lambda a, b: a.unionByName(b), frames)
