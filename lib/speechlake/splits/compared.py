"""Which audio of a build `find-duplicates` has compared with all other: of the rest, nobody knows the copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.checkpoints import checkpointed
from speechlake.duplicates.known import keyed_now, keyless, not_looked_up
from speechlake.signals.catalogue import profile
from speechlake.splits.candidates import evaluation_corpora
from speechlake.splits.policy import NOT_COMPARED
from speechlake.views import located_utterances

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake
    from speechlake.splits.policy_links import Decontaminate


# Of all rows: what may come in while a build is made.
MOST_NOT_COMPARED = 0.05
_UNKNOWN = "were never compared with all other audio: copies of them may be on two sides"
MENDED_BY = (
    "Run `speechlake extract-signals` (`--retry-given-up` where it failed for the last time) and "
    "`speechlake find-duplicates` first."
)


def without_keys(lake: Lake) -> list[str]:
    """What a release must say where no audio has keys: none of it can be compared but by equal samples."""
    if profile(lake).get("audio_keys"):
        return []
    return [
        "no audio has keys: near copies and shared parts are not known, and may be on two sides. `speechlake "
        "extract-signals --extractor audio_keys` and `speechlake find-duplicates` find them"
    ]


def asked_audio(lake: Lake, rows: DataFrame, decontaminate: Decontaminate) -> DataFrame:
    """(utterance_id, content_sha256, language, at_hand) of `rows` of `splits` and of the evaluation corpora that the
    policy heeds. What is not `at_hand` nobody can measure any more."""
    named = ("utterance_id", "content_sha256", "language")
    asked = rows.select(*named, F.lit(True).alias("at_hand"))
    benchmarks = evaluation_corpora(lake, decontaminate)
    if benchmarks:
        held = located_utterances(lake).where(F.col("corpus").isin(benchmarks) & F.col("retired_in").isNull())
        there = (F.col("recording_state") == "present").alias("at_hand")
        asked = asked.unionByName(held.select(*named, there)).distinct()
    return asked


def keyed_audio(lake: Lake, asked: DataFrame) -> DataFrame | None:
    """(utterance_id, content_sha256, fingerprint) of what has audio keys of `asked_audio`; None where the lake's profile
    names no keys: then nothing was compared, and nobody waits for it."""
    if not profile(lake).get("audio_keys"):
        return None
    # Asked twice and more: what was compared, and both ends of each pair.
    return checkpointed("keyed audio", keyed_now(lake, asked))


def not_compared(tally: DataFrame) -> tuple[DataFrame, DataFrame]:
    """(warnings, refusals), each (message): of all rows, counted, those that are left out until they are compared.

    Audio is measured while builds are made, so that a few always wait. More than `MOST_NOT_COMPARED` of all that is
    not set aside otherwise means that somebody forgot.
    """
    waits = F.col("set_aside").eqNullSafe(NOT_COMPARED)
    asked = waits | F.col("set_aside").isNull()
    counted = tally.agg(
        F.sum(F.when(waits, F.col("n"))).alias("n"), F.sum(F.when(asked, F.col("n"))).alias("of")
    ).filter("n > 0")
    message = F.format_string(f"%d of %d utterances {_UNKNOWN}. {MENDED_BY}", "n", "of")
    told = counted.select(
        (F.col("n") > MOST_NOT_COMPARED * F.col("of")).alias("most"), message.alias("message")
    )
    return told.filter("NOT most").select("message"), told.filter("most").select("message")


def never_compared(lake: Lake, asked: DataFrame, keyed: DataFrame | None) -> str | None:
    """Why a build with this audio (of `asked_audio`, `keyed_audio`) must not be published; None where all was compared."""
    if keyed is None:
        return None
    unknown = not_looked_up(lake, keyed).unionByName(keyless(lake, asked)).count()
    return f"{unknown} of its utterances and of those it must not hold {_UNKNOWN}" if unknown else None
