"""The part of the gate that reads texts: what train shares with what evaluates, as the policy asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.splits.forms import NORMALISED, normalised
from speechlake.splits.shingles import text_keys

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.splits.gate import Asked


def leaks(rows: DataFrame, benchmarks: DataFrame, asked: Asked) -> Iterator[DataFrame]:
    """Frames of (kind, value, sides, utterances): train rows by utterance_id.

    Texts are compared as they were written, for that is what a trainer reads: in a form that is not verbatim, two
    may be the same that nobody said alike ("twenty one" and "21"). Those of evaluation corpora, which nobody
    writes, are taken verbatim and in the form.
    """
    if "text" not in rows.columns:
        return
    links, decontaminate = asked.links, asked.decontaminate
    written = rows.filter(_no_prompts())
    train = written.filter(F.col("split") == "train")
    if links.text.mode != "off":
        evaluates = written.filter(F.col("split") != "train")
        yield _shared(train, _keys(evaluates, F.col("text"), links.text.min_words), "text")
    if decontaminate.text:
        told = _told(benchmarks.filter(_no_prompts()), asked.form)
        yield _shared(train, _keys(told, F.col("text"), decontaminate.min_words), "evaluation_corpus_text")


def _told(benchmarks: DataFrame, form: str) -> DataFrame:
    """(text) of evaluation corpora. Lower case is not asked for: it is the same to whoever compares."""
    texts = benchmarks.select("utterance_id", "language", F.explode("evaluation_texts").alias("text"))
    verbatim = texts.select("text")
    if form != NORMALISED:
        return verbatim
    return verbatim.unionByName(normalised(texts).select(F.col("form_text").alias("text")))


def _shared(train: DataFrame, keys: DataFrame, kind: str) -> DataFrame:
    each = train.select("utterance_id", F.explode(text_keys(F.col("text"), 1)).alias("key"))
    hit = each.join(keys, "key", how="left_semi").groupBy(F.col("utterance_id").alias("value"))
    counted = hit.agg(F.lit(1).cast("bigint").alias("utterances"))
    sides = F.array(F.lit("train")) if kind != "text" else F.array(F.lit("evaluation"), F.lit("train"))
    return counted.select(F.lit(kind).alias("kind"), "value", sides.alias("sides"), "utterances")


def _keys(rows: DataFrame, text: Column, min_words: int) -> DataFrame:
    return rows.select(F.explode(text_keys(text, min_words)).alias("key")).distinct()


def _no_prompts() -> Column:
    return ~F.coalesce(F.array_contains("text_tags", "prompts"), F.lit(False))
