"""Every utterance that a release decided, with what is measured of it now: what its page is computed from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from speechlake.config import loads
from speechlake.errors import UsageError
from speechlake.questions.hours import whole_ms
from speechlake.questions.releases import splits_of
from speechlake.splits.candidates import candidates, english_only, require_named
from speechlake.splits.pins import with_numbers
from speechlake.splits.policy import Policy
from speechlake.splits.rules import with_verdicts

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake

# Reasons of rows that no manifest lists any more: they are no part of what came in.
NOT_LISTED = ("not_in_manifest", "segmented")
UNITS = ("hits", "substitutions", "deletions", "insertions")

# Judges nothing and takes the manifest's text: for releases whose policy this version does not understand.
_ASKS_NOTHING: Mapping[str, Any] = {
    "name": "unread",
    "text": {"prefer": ["manifest"]},
    "splits": {"scheme": "unread", "salt": 0},
}


def policy_of(lake: Lake, release: Mapping[str, Any]) -> Policy | None:
    """The policy of a row of `releases`, with its pinned numbers.

    Null where this version does not understand it, or where a model, import or corpus that it names is another since.
    """
    try:
        written = loads(str(release["policy"]), f"release {release['release']}", Policy)
        require_named(lake, written)
        return with_numbers(written, release["pinned"])
    except UsageError:
        return None


def asked_of(policy: Policy | None) -> Policy:
    """The policy, or one without rules in place of one that is not understood."""
    return policy or Policy.model_validate(_ASKS_NOTHING)


def decided(lake: Lake, build: str, policy: Policy | None) -> DataFrame:
    """One row per utterance of a build: what was decided then, and what is measured now.

    Of the build: corpus, split and reason (the first; one of both is null), `failed` (all reasons), `kept`,
    `listed` (false for what no manifest lists), `ms` (0 where nothing was measured), `measured`.
    Of the lake as it is: language, speaker, recording, `declared_ms` (as measured, else as the manifest
    says), rate, bandwidth, `judge` (fingerprint of Whisper) with the counts `UNITS` in the language's `unit`
    (null where nothing was scored), duplicates, and `verdicts` of the policy's rules. Null policy: no verdicts.
    """
    now = candidates(lake, asked_of(policy)).transform(
        lambda frame: with_verdicts(frame, asked_of(policy), english_only(lake))
    )
    return (
        _outcomes(lake, build)
        .join(now.select("utterance_id", *_measured()), on="utterance_id", how="left")
        .withColumns(
            {
                "kept": F.col("split").isNotNull(),
                "listed": F.col("reason").isNull() | ~F.col("reason").isin(list(NOT_LISTED)),
                "measured": F.col("duration_s").isNotNull(),
                "ms": whole_ms("duration_s"),
                "declared_ms": whole_ms("duration_s", "declared_duration_s"),
            }
        )
        .drop("declared_duration_s")
    )


def _outcomes(lake: Lake, build: str) -> DataFrame:
    """corpus, utterance_id, split, reason, failed and duration_s of every row of a build."""
    same = ("corpus", "utterance_id", "duration_s")
    nothing = F.lit(None).cast("string")
    kept = splits_of(lake, build).select(
        *same, "split", nothing.alias("reason"), F.array().cast("array<string>").alias("failed")
    )
    out = lake.read("decisions").where(F.col("build_id") == build)
    return kept.unionByName(
        out.select(*same, nothing.alias("split"), F.col("rule").alias("reason"), "failed")
    )


def _measured() -> list[Column]:
    same = (
        *("language", "speaker_id", "recording_id", "declared_duration_s"),
        *("cluster_id", "overlap_id", "duplicate_kind"),
    )
    return [
        *map(F.col, same),
        F.col("audio_sample_rate_hz").alias("sample_rate_hz"),
        F.col("audio_bandwidth_hz").alias("bandwidth_hz"),
        F.when(F.col("score_unit").isNotNull(), F.col("whisper_fingerprint")).alias("judge"),
        F.col("score_unit").alias("unit"),
        *(_units(kind).alias(kind) for kind in UNITS),
        F.transform("verdicts", _told).alias("verdicts"),
    ]


def _units(kind: str) -> Column:
    """Counts of a score in the unit that its language is judged by."""
    by_char = F.col("score_unit") == "char"
    return F.when(by_char, F.col(f"score_char_{kind}")).otherwise(F.col(f"score_word_{kind}"))


def _told(verdict: Column) -> Column:
    return F.struct(
        *(verdict[name].alias(name) for name in ("rule", "verdict", "reason", "value", "threshold"))
    )
