"""Decided rows of a release: every column that a test does not name has a valid value."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame, SparkSession

from speechlake.questions.decided import UNITS

VERDICT = "struct<rule:string,verdict:string,reason:string,value:string,threshold:string>"
COLUMNS = {
    **dict.fromkeys(("utterance_id", "corpus", "language", "speaker_id", "recording_id"), "string"),
    "split": "string",
    "reason": "string",
    "failed": "array<string>",
    **dict.fromkeys(("kept", "listed", "measured"), "boolean"),
    "duration_s": "double",
    "ms": "bigint",
    "declared_ms": "bigint",
    "sample_rate_hz": "int",
    "bandwidth_hz": "double",
    "judge": "string",
    "unit": "string",
    **dict.fromkeys(UNITS, "int"),
    **dict.fromkeys(("cluster_id", "overlap_id", "duplicate_kind"), "string"),
    "verdicts": f"array<{VERDICT}>",
}
_DEFAULTS = {"corpus": "c", "language": "en", "failed": [], "listed": True, "duration_s": 3.6, "verdicts": []}


def row(utterance_id: str, split: str | None = "train", **said: Any) -> dict[str, Any]:
    """A clip of 3.6 s of its own recording, on `split`; without one it is excluded by the rule `length`."""
    assert set(said) <= set(COLUMNS), set(said) - set(COLUMNS)
    made = {**_DEFAULTS, "split": split, "recording_id": f"recording of {utterance_id}", **said}
    if split is None:
        made = {"reason": "length", **made}
        made["failed"] = said.get("failed", [made["reason"]])
    ms = round(1000 * (made["duration_s"] or 0))
    own = {"kept": split is not None, "measured": made["duration_s"] is not None, "ms": ms, "declared_ms": ms}
    return {**dict.fromkeys(COLUMNS), "utterance_id": utterance_id, **own, **made}


def verdict(
    rule: str, said: str, value: str | None = None, asked: str | None = None, why: str | None = None
) -> tuple[Any, ...]:
    """What a rule says of a row."""
    return rule, said, why, value, asked


def frame(spark: SparkSession, *rows: dict[str, Any]) -> DataFrame:
    """Rows as `decided` gives them."""
    ddl = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    return spark.createDataFrame([tuple(each[name] for name in COLUMNS) for each in rows], ddl)


def told(found: DataFrame, *names: str) -> list[tuple[Any, ...]]:
    """Rows as tuples of these columns."""
    return [tuple(each[name] for name in names) for each in found.collect()]
