"""Rows for tests of splits: every column that a test does not name has a valid value."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from pyspark.sql import DataFrame, SparkSession

from speechlake.schemas import SCORES, TABLES
from speechlake.splits.policy import Policy
from speechlake.splits.signals import DERIVED, SIGNALS

_CORE = {
    "corpus": "string", "utterance_id": "string", "recording_id": "string", "root": "string", "path": "string",
    "container": "string", "member": "string", "byte_offset": "bigint", "byte_length": "bigint",
    "channel": "string", "start_ms": "bigint", "end_ms": "bigint", "speaker_id": "string",
    "session_id": "string", "language": "string", "declared_duration_s": "double", "retired_in": "string",
    "licence": "string", "text_tags": "array<string>", "extras": "map<string,string>", "origin": "string",
    "declared_sample_rate_hz": "bigint", "declared_channels": "bigint",
    "recording_state": "string", "content_sha256": "string", "single_speaker": "boolean", "role": "string",
    "text": "string", "text_source": "string", "text_kind": "string", "text_sha256": "string",
    "cluster_id": "string", "overlap_id": "string", "duplicate_kind": "string",
    "source_id": "string", "manifest_uri": "string",
    "speaker_namespace": "string", "evaluation_texts": "array<string>",
    "listed": "string", "not_compared": "boolean",
}  # fmt: skip
_SCORE = {
    f"score_{column.name}": column.type
    for column in SCORES.columns
    if column.name.startswith(("word_", "char_")) or column.name in ("unit", "wer", "cer", "digits_differ")
}
_EXTRACTORS = [name.removeprefix("signals_") for name in TABLES if name.startswith("signals_")]
_SIGNALS = {f"{s.extractor}_{s.column}": s.type for s in SIGNALS.values() if s.name not in DERIVED}
_IDENTITY = {f"{name}_{part}": "string" for name in _EXTRACTORS for part in ("fingerprint", "attempt_code")}
COLUMNS = {**_CORE, **_SCORE, **_SIGNALS, **_IDENTITY}

_DEFAULTS: dict[str, Any] = {
    "corpus": "c", "root": "audio", "channel": "mix", "start_ms": 0, "recording_state": "present",
    "single_speaker": False, "role": "training", "text": "one two three", "text_source": "manifest",
    "text_kind": "human", "text_tags": [], "extras": {}, "not_compared": False, "origin": "manifest", "language": "en", "audio_duration_s": 3.6, "speech_speech_ratio": 0.9,
    **{f"{name}_fingerprint": f"{name}-1" for name in _EXTRACTORS},
}  # fmt: skip


def candidate(utterance_id: str, **said: Any) -> dict[str, Any]:
    """One measured utterance of a recording and speaker of its own, unless told otherwise."""
    assert set(said) <= set(COLUMNS), set(said) - set(COLUMNS)
    own = {
        "utterance_id": utterance_id,
        "recording_id": f"recording of {utterance_id}",
        "speaker_id": f"speaker of {utterance_id}",
        "path": f"{utterance_id}.wav",
        "content_sha256": hashlib.sha256(utterance_id.encode()).hexdigest(),
    }
    own["overlap_id"] = said.get("cluster_id")
    if said.get("duplicate_kind") == "exact":
        own["audio_samples_sha256"] = f"samples of {said.get('cluster_id')}"
    own["speaker_namespace"] = said.get("corpus", "c")
    return {**dict.fromkeys(COLUMNS), **_DEFAULTS, **own, **said}


def candidates(spark: SparkSession, *rows: dict[str, Any], partitions: int = 1) -> DataFrame:
    """A frame of candidates."""
    ddl = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    data = [tuple(row[name] for name in COLUMNS) for row in rows]
    return spark.createDataFrame(spark.sparkContext.parallelize(data, partitions), ddl, verifySchema=False)


def assigned(spark: SparkSession, sides: Mapping[str, str]) -> DataFrame:
    """Published assignments: sides by link key."""
    return spark.createDataFrame([*sides.items()], "link_key string, side string")


def unassigned(spark: SparkSession) -> DataFrame:
    """No published assignments."""
    return assigned(spark, {})


def drawn_examples(count: int) -> settings:
    """So many examples of a property, new ones in each run; each takes a minute, so that none is made smaller."""
    return settings(
        max_examples=count,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


def policy(**said: Any) -> Policy:
    """A policy that keeps everything and evaluates nothing, unless told otherwise."""
    splits = {"scheme": "main", "salt": 1, **said.pop("splits", {})}
    return Policy.model_validate({"name": "test", **said, "splits": splits})
