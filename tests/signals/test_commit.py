"""What committing a chunk counts: above all what a later run may still measure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from speechlake.schemas import ATTEMPTS
from speechlake.signals.commit import Measured, commit_measured
from speechlake.signals.extractor import Measurement
from speechlake.signals.plan import wanted_of
from speechlake.signals.speech import Speech
from speechlake.signals.staged import filed, fresh_row, staged_ddl

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake

(WANTED,) = wanted_of([Speech()])


def staged(utterance_id: str) -> tuple[Any, ...]:
    """The only row of a chunk: a clip that could not be measured this time."""
    utterance = {"utterance_id": utterance_id, "inputs_hashes": {"speech": ""}}
    recording = {"recording_id": "r", "listing_key": "k"}
    failed = Measurement(error="MODEL_FAILED", transient=True)
    row = fresh_row(recording, utterance, "listing:k", 1) | {
        WANTED.column: filed(WANTED, utterance, failed),
        "cost": None,
    }
    return tuple(row.values())


@pytest.mark.slow
def test_a_clip_that_failed_for_the_last_time_is_counted_in_its_own_chunk_only(
    lake: Lake, rows: Callable[..., DataFrame]
) -> None:
    tried = {
        "corpus": "c",
        "fingerprint": WANTED.fingerprint,
        "listing_key": "k",
        "inputs_hash": "",
        "run_id": "past",
    }
    total = Measured()
    with lake.hold("extract-signals", "c", "now") as hold:
        hold.append_missing("attempts", rows(ATTEMPTS, ("third", {**tried, "n": 2})))
        for chunk, utterance_id in enumerate(("third", "first")):
            frame = lake.spark.createDataFrame([staged(utterance_id)], staged_ddl([WANTED]))
            note = {
                "run_id": "now",
                "chunk": chunk,
                "extractors": {WANTED.column: "speech"},
                "fingerprints": [WANTED.fingerprint],
            }
            total.add(commit_measured(hold, hold.staging.write(f"chunk{chunk}", "now", frame, note)))
    assert (total.attempts, total.spent) == (2, 1)
