"""The part of the gate that reads texts: what train shares with what evaluates, as the policy asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.splits.policy_links import Decontaminate, Links
from speechlake.splits.shingles import text_keys

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def leaks(
    rows: DataFrame, benchmarks: DataFrame, links: Links, decontaminate: Decontaminate
) -> Iterator[DataFrame]:
    """Frames of (kind, value, sides, utterances): train rows by utterance_id.

    Only texts that are written verbatim are compared: another form may make two texts equal that nobody said
    alike, and the build compared what was said.
    """
    if "text" not in rows.columns:
        return
    written = rows.filter(_no_prompts())
    if "text_form" in rows.columns:
        written = written.filter(F.coalesce("text_form", F.lit("verbatim")) == "verbatim")
    train = written.filter(F.col("split") == "train")
    if links.text.mode != "off":
        evaluates = written.filter(F.col("split") != "train")
        yield _shared(train, _keys(evaluates, F.col("text"), links.text.min_words), "text")
    if decontaminate.text:
        told = benchmarks.filter(_no_prompts()).select(F.explode("evaluation_texts").alias("said"))
        yield _shared(train, _keys(told, F.col("said"), decontaminate.min_words), "evaluation_corpus_text")


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
