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


def are_read(asked: Asked, has_benchmarks: bool) -> bool:
    """Whether texts of rows are compared, which are half of a row."""
    return asked.links.compares_texts or (has_benchmarks and asked.decontaminate.text)


def of_build(rows: DataFrame, asked: Asked, before: DataFrame | None = None) -> Iterator[DataFrame]:
    """Frames of (kind, value, sides, utterances): train rows by utterance_id that say what evaluates in the same build, or
    what was published `before` (text, prompts) to evaluate.

    Texts are compared as they were written, for that is what a trainer reads: in a form that is not verbatim, two
    may be the same that nobody said alike ("twenty one" and "21").
    """
    if "text" in rows.columns and asked.links.compares_texts:
        evaluates = rows.filter(_no_prompts() & (F.col("split") != "train"))
        texts = evaluates.select("text")
        if before is not None:
            texts = texts.unionByName(before.filter("NOT prompts").select("text"))
        yield _shared(rows, _keys(texts, F.col("text"), asked.links.text.min_words), "text")


def of_benchmarks(rows: DataFrame, benchmarks: DataFrame, asked: Asked) -> Iterator[DataFrame]:
    """As `of_build`, of train rows that say what evaluation corpora say: verbatim and, as nobody writes these, in the
    form of the build."""
    if "text" in rows.columns and asked.decontaminate.text:
        told = _told(benchmarks.filter(_no_prompts()), asked.form)
        keys = _keys(told, F.col("text"), asked.decontaminate.min_words)
        yield _shared(rows, keys, "evaluation_corpus_text")


def _told(benchmarks: DataFrame, form: str) -> DataFrame:
    """(text) of evaluation corpora. Lower case is not asked for: it is the same to whoever compares."""
    texts = benchmarks.select("utterance_id", "language", F.explode("evaluation_texts").alias("text"))
    verbatim = texts.select("text")
    if form != NORMALISED:
        return verbatim
    return verbatim.unionByName(normalised(texts).select(F.col("form_text").alias("text")))


def _shared(rows: DataFrame, keys: DataFrame, kind: str) -> DataFrame:
    train = rows.filter(_no_prompts() & (F.col("split") == "train"))
    each = train.select("utterance_id", F.explode(text_keys(F.col("text"), 1)).alias("key"))
    hit = each.join(keys, "key", how="left_semi").groupBy(F.col("utterance_id").alias("value"))
    counted = hit.agg(F.lit(1).cast("bigint").alias("utterances"))
    sides = F.array(F.lit("train")) if kind != "text" else F.array(F.lit("evaluation"), F.lit("train"))
    return counted.select(F.lit(kind).alias("kind"), "value", sides.alias("sides"), "utterances")


def _keys(rows: DataFrame, text: Column, min_words: int) -> DataFrame:
    return rows.select(F.explode(text_keys(text, min_words)).alias("key")).distinct()


def _no_prompts() -> Column:
    return ~F.coalesce(F.array_contains("text_tags", "prompts"), F.lit(False))
