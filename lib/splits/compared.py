"""Which audio of a build `find-duplicates` has compared with all other: of the rest, nobody knows the copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.duplicates.step import keyed_now, not_looked_up
from speechlake.splits.candidates import evaluation_corpora
from speechlake.views import located_utterances

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake
    from speechlake.splits.policy_links import Decontaminate


def keyed_audio(lake: Lake, rows: DataFrame, decontaminate: Decontaminate) -> DataFrame:
    """(utterance_id, content_sha256, fingerprint) of what has audio keys of `rows` of `splits` and of the
    evaluation corpora that the policy heeds."""
    named = ("utterance_id", "content_sha256", "language")
    asked = rows.select(*named)
    benchmarks = evaluation_corpora(lake, decontaminate)
    if benchmarks:
        held = located_utterances(lake).where(F.col("corpus").isin(benchmarks) & F.col("retired_in").isNull())
        asked = asked.unionByName(held.select(*named)).distinct()
    return keyed_now(lake, asked)


def never_compared(lake: Lake, audio: DataFrame) -> str | None:
    """Why a build with this `audio` (of `keyed_audio`) must not be published; None where all was compared."""
    unknown = not_looked_up(lake, audio).count()
    if not unknown:
        return None
    return (
        f"{unknown} of its utterances and of those it must not hold have audio keys that were never compared: "
        "copies of them may be on two sides"
    )
