"""Two ways of Whisper over the same utterances: what each heard, and how it scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechlake.signals.catalogue import Entries, current_fingerprint
from speechlake.signals.plan import inputs_hash
from speechlake.text import flags
from speechlake.text.alignment import Counts
from speechlake.text.score import normaliser_of
from speechlake.text.subtags import primary_of
from speechlake.views import extractor_inputs, located_utterances, main_transcript

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake

# What is taken from each measurement, as a_<column> of the old and b_<column> of the new.
HEARD = ("text", "text_sha256", "language", "decoded_language", "compression_ratio", "truncated", "error")
# Where neither manifest nor model says a language.
UNDETERMINED = "und"
# What stands before the fingerprint in the source of a text that Whisper heard.
OF_WHISPER = "whisper:"


def pairs(lake: Lake, old: Entries, new: Entries) -> DataFrame:
    """One row per current utterance that both measured, each by its fingerprint for the language, of its current content
    and inputs.

    Columns: utterance_id, corpus, path, start_ms, end_ms, language, `name` (the declared language's primary
    subtag, else that of the old decoding), reference; per side (a: old, b: new) `fingerprint`, `HEARD`, `runaway`, the
    score's unit, normaliser and edit counts in that unit, null where there is no score; `comparable`: both
    are scored by one normaliser and in one unit, so that their references have the same units.
    """
    from pyspark.sql import functions as F

    place = ["utterance_id", "corpus", "path", "start_ms", "end_ms", "language", "content_key"]
    frame = located_utterances(lake).where("retired_in IS NULL")
    frame = frame.withColumn("inputs_hash", inputs_hash(extractor_inputs("whisper")))
    frame = frame.select(*place, "inputs_hash")
    for side, entries in (("a", old), ("b", new)):
        key = ["utterance_id", "content_key", "inputs_hash", f"{side}_fingerprint"]
        frame = frame.withColumn(key[-1], current_fingerprint(entries, F.col("language")))
        frame = frame.join(_heard(lake, entries, side), on=key, how="inner")
    frame = frame.drop("content_key", "inputs_hash").join(
        main_transcript(lake), on="utterance_id", how="left"
    )
    for side in "ab":
        frame = _with_score(frame, lake, side)
    spoken = primary_of(F.coalesce("language", "a_decoded_language"))
    return (
        frame.withColumn("name", F.coalesce(spoken, F.lit(UNDETERMINED)))
        .withColumn("comparable", _is_comparable())
        .withColumnRenamed("text", "reference")
        .drop("text_source", "text_sha256")
    )


def _is_comparable() -> Column:
    """Of a null language, one side may have heard Japanese and the other Korean: one normaliser, two units."""
    from pyspark.sql import functions as F

    same = [F.col(f"a_{name}") == F.col(f"b_{name}") for name in ("normaliser", "unit")]
    return F.coalesce(same[0] & same[1], F.lit(False))


def _heard(lake: Lake, entries: Entries, side: str) -> DataFrame:
    from pyspark.sql import functions as F

    mine = F.col("fingerprint").isin(*{fingerprint for _, fingerprint in entries})
    rows = lake.read("signals_whisper").where(mine)
    lost = flags.runaway(F.col("text"), F.col("compression_ratio"), F.col("truncated"))
    return rows.select(
        "utterance_id",
        F.col("content_sha256").alias("content_key"),
        "inputs_hash",
        F.col("fingerprint").alias(f"{side}_fingerprint"),
        *(F.col(name).alias(f"{side}_{name}") for name in HEARD),
        F.coalesce(lost, F.lit(False)).alias(f"{side}_runaway"),
    )


def _with_score(frame: DataFrame, lake: Lake, side: str) -> DataFrame:
    """Add the score of one side's text against the manifest's, under today's normaliser. Keeps every row."""
    from pyspark.sql import functions as F

    scores = lake.read("scores").where(F.col("hypothesis_source").startswith(OF_WHISPER))
    found = scores.select(
        "utterance_id",
        F.substr("hypothesis_source", F.lit(len(OF_WHISPER) + 1)).alias(f"{side}_fingerprint"),
        F.col("hypothesis_sha256").alias(f"{side}_text_sha256"),
        F.col("reference_source").alias("text_source"),
        F.col("reference_sha256").alias("text_sha256"),
        F.col("normaliser").alias("wanted"),
        F.col("normaliser").alias(f"{side}_normaliser"),
        F.col("unit").alias(f"{side}_unit"),
        *(_in_unit(field).alias(f"{side}_{field}") for field in Counts._fields),
    )
    key = [
        "utterance_id",
        f"{side}_fingerprint",
        f"{side}_text_sha256",
        "text_source",
        "text_sha256",
        "wanted",
    ]
    language = F.coalesce("language", f"{side}_decoded_language")
    return frame.withColumn("wanted", normaliser_of(language)).join(found, on=key, how="left").drop("wanted")


def _in_unit(field: str) -> Column:
    from pyspark.sql import functions as F

    return F.when(F.col("unit") == "char", F.col(f"char_{field}")).otherwise(F.col(f"word_{field}"))
