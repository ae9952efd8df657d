"""Evaluation corpora: never in a release, and what train and the other sides are kept clean of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.splits.groups import BOILERPLATE

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.splits.policy import Policy

# Corpora whose texts are said by many on purpose: a shared text there is no sign of a copy.
PROMPTS = "prompts"


def with_marks(judged: DataFrame, policy: Policy) -> DataFrame:
    """Add `prompts` and `decontaminates`: a current row of an evaluation corpus that the policy heeds."""
    named = policy.decontaminate.corpora
    heeded = F.lit(True) if named is None else F.col("corpus").isin(list(named))
    evaluates = F.coalesce(F.col("set_aside") == "evaluation_corpus", F.lit(False))
    prompts = F.coalesce(F.array_contains("text_tags", PROMPTS), F.lit(False))
    return judged.withColumns({"prompts": prompts, "decontaminates": evaluates & heeded})


def audio(rows: DataFrame) -> DataFrame:
    """(overlap_id, corpus) of audio that evaluation corpora share with anything; boilerplate says nothing."""
    heard = rows.filter(F.col("decontaminates") & F.col("overlap_id").isNotNull() & ~is_boilerplate())
    return heard.select("overlap_id", "corpus")


def is_boilerplate() -> Column:
    """True where the audio is heard in many recordings. Never null."""
    return F.coalesce(F.col("duplicate_kind") == BOILERPLATE, F.lit(False))


def told(rows: DataFrame) -> DataFrame:
    """(message) per evaluation corpus of which audio or text is not known: what train cannot be kept clean of."""
    heard = F.count_if(F.col("audio_samples_sha256").isNotNull())
    read = F.count_if(F.size(F.coalesce("evaluation_texts", F.array().cast("array<string>"))) > 0)
    corpora = rows.filter("decontaminates").groupBy("corpus")
    counted = corpora.agg(F.count("*").alias("n"), heard.alias("heard"), read.alias("read"))
    known = (
        F.when((F.col("heard") == 0) & (F.col("read") == 0), "nothing: neither audio nor text of it is known")
        .when(F.col("heard") == 0, "text only: no audio of it is measured")
        .when(F.col("read") == 0, "audio only: no text of it is known")
        .when(F.col("heard") < F.col("n"), _partly())
    )
    message = F.concat(F.lit("evaluation corpus '"), "corpus", F.lit("' decontaminates by "), known)
    return counted.select(message.alias("message")).filter(F.col("message").isNotNull())


def _partly() -> Column:
    count = (F.col("n") - F.col("heard")).cast("string")
    return F.concat(
        F.lit("text only in "),
        count,
        F.lit(" of "),
        F.col("n").cast("string"),
        F.lit(" utterances: their audio is not measured"),
    )
