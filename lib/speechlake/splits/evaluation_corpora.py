"""Evaluation corpora: never in a release, and what train and the other sides are kept clean of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.splits.groups import is_boilerplate
from speechlake.units import MS_PER_HOUR

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.splits.policy import Policy

# Corpora whose texts are said by many on purpose: a shared text there is no sign of a copy.
PROMPTS = "prompts"
# What `with_marks` reads of candidates.
READ = ("corpus", "text_tags")
# Of speakers that an evaluation corpus shares with train: enough to look them up.
EXAMPLES = 3


def with_marks(judged: DataFrame, policy: Policy) -> DataFrame:
    """Add `prompts` and `decontaminates`: a current row of an evaluation corpus that the policy heeds."""
    named = policy.decontaminate.corpora
    heeded = F.lit(True) if named is None else F.col("corpus").isin(list(named))
    evaluates = F.coalesce(F.col("set_aside") == "evaluation_corpus", F.lit(False))
    return judged.withColumns({"prompts": is_prompts(), "decontaminates": evaluates & heeded})


def is_prompts() -> Column:
    """True of a corpus with `text_tags` whose texts are prompts. Never null."""
    return F.coalesce(F.array_contains("text_tags", PROMPTS), F.lit(False))


def audio(rows: DataFrame) -> DataFrame:
    """(at, corpus) of audio that evaluation corpora share with anything, and of the files that they are cut out of.

    Boilerplate shares its id with its copies only: as a benchmark's clip it is kept out like any other. The rest of a
    file with a jingle is not.
    """
    held = rows.filter("decontaminates")
    files = held.filter(~is_boilerplate()).select(F.col("content_sha256").alias("at"), "corpus")
    return held.select(F.col("overlap_id").alias("at"), "corpus").unionByName(files).filter("at IS NOT NULL")


def shared_speakers(tally: DataFrame) -> DataFrame:
    """(message) per evaluation corpus of whose speakers some train too: by name, in namespaces that are shared.

    `tally` counts decided rows (`outcome.tallied`). Copies and texts of evaluation corpora leave train, speakers
    do not: many benchmarks are made of the corpus whose rest trains.
    """
    known = tally.filter(F.col("speaker_id").isNotNull())
    held = known.filter("decontaminates").select("corpus", "speaker_id").distinct()
    names = held.select("speaker_id").distinct()
    train = known.filter("kept AND side = 'train'").select("speaker_id", "n", "ms")
    heard = train.join(names, "speaker_id", how="left_semi").groupBy("speaker_id")
    trained = heard.agg(F.sum("n").alias("utterances"), F.sum("ms").alias("ms"))
    both = held.join(trained, "speaker_id", how="left").groupBy("corpus")
    found = both.agg(
        F.count("*").alias("speakers"),
        F.count("utterances").alias("shared"),
        F.sum("utterances").alias("utterances"),
        F.sum("ms").alias("ms"),
        F.array_sort(F.collect_set(F.when(F.col("utterances").isNotNull(), F.col("speaker_id")))).alias(
            "names"
        ),
    )
    hours = F.format_number(F.col("ms") / MS_PER_HOUR, 2)
    message = F.concat(
        F.lit("evaluation corpus '"), "corpus", F.lit("': "), _number("shared"), F.lit(" of its "),
        _number("speakers"), F.lit(" speakers train too, in "), _number("utterances"), F.lit(" utterances ("),
        hours, F.lit(" h): "), F.array_join(F.slice("names", 1, EXAMPLES), ", "),
        F.when(F.size("names") > EXAMPLES, F.lit(", …")).otherwise(F.lit("")),
    )  # fmt: skip
    return found.filter("shared > 0").select(message.alias("message"))


def _number(column: str) -> Column:
    return F.col(column).cast("string")


def told(rows: DataFrame, policy: Policy) -> DataFrame:
    """(message) per evaluation corpus of which audio or text is not known: what train cannot be kept clean of.

    Its texts keep nothing clean where the policy compares none.
    """
    heard = F.count_if(F.col("audio_samples_sha256").isNotNull())
    read = F.count_if(F.size(F.coalesce("evaluation_texts", F.array().cast("array<string>"))) > 0)
    corpora = rows.filter("decontaminates").groupBy("corpus")
    counted = corpora.agg(F.count("*").alias("n"), heard.alias("heard"), read.alias("read"))
    if policy.text is not None and policy.decontaminate.text:
        known = (
            F.when(
                (F.col("heard") == 0) & (F.col("read") == 0), "nothing: neither audio nor text of it is known"
            )
            .when(F.col("heard") == 0, "text only: no audio of it is measured")
            .when(F.col("read") == 0, "audio only: no text of it is known")
            .when(F.col("heard") < F.col("n"), _partly("text only", "their audio is not measured"))
        )
    else:
        why = "no audio of it is measured, and the policy compares no texts"
        known = F.when(F.col("heard") == 0, f"nothing: {why}").when(
            F.col("heard") < F.col("n"), _partly("nothing", why)
        )
    message = F.concat(F.lit("evaluation corpus '"), "corpus", F.lit("' decontaminates by "), known)
    return counted.select(message.alias("message")).filter(F.col("message").isNotNull())


def _partly(by: str, why: str) -> Column:
    """By what the utterances without audio are compared, and why."""
    count = (F.col("n") - F.col("heard")).cast("string")
    return F.concat(
        F.lit(f"{by} in "), count, F.lit(" of "), F.col("n").cast("string"), F.lit(f" utterances: {why}")
    )
