"""What committing a chunk counts: above all what a later run may still measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import pytest

from speechlake.schemas import ATTEMPTS
from speechlake.signals.commit import Measured, commit_measured
from speechlake.signals.extractor import Measurement
from speechlake.signals.failures import is_broken
from speechlake.signals.plan import wanted_of
from speechlake.signals.speech import Speech
from speechlake.signals.staged import filed, fresh_row, staged_ddl

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.hold import Hold
    from speechlake.lake import Lake

(WANTED,) = wanted_of([Speech()])


TRIED = {
    "corpus": "c",
    "fingerprint": WANTED.fingerprint,
    "listing_key": "k",
    "inputs_hash": "",
    "run_id": "past",
}
MEASURED = Measurement({"speech_ratio": 1.0, "speech_duration_s": 1.0, "segments": []})


def failing(code: str) -> Measurement:
    """A clip that could not be measured this time."""
    return Measurement(error=code, detail="the driver is gone", transient=True)


def committed(
    hold: Hold, chunk: int, results: Mapping[str, Measurement], recording_id: str | None = None
) -> Measured:
    """Commit a chunk of utterances with these results, each of its own recording or all of one."""
    rows = []
    for utterance_id, result in results.items():
        utterance = {"utterance_id": utterance_id, "inputs_hashes": {"speech": ""}}
        recording = {"recording_id": recording_id or f"r of {utterance_id}", "listing_key": "k"}
        row = fresh_row(recording, utterance, "listing:k", 1)
        rows.append((*row.values(), filed(WANTED, utterance, result), None))
    note = {
        "run_id": "now",
        "chunk": chunk,
        "extractors": {WANTED.column: "speech"},
        "fingerprints": [WANTED.fingerprint],
    }
    frame = hold.lake.spark.createDataFrame(rows, staged_ddl([WANTED]))
    return commit_measured(hold, hold.staging.write(f"chunk{chunk}", "now", frame, note))


@pytest.mark.slow
def test_a_clip_that_failed_for_the_last_time_is_counted_in_its_own_chunk_only(
    lake: Lake, rows: Callable[..., DataFrame]
) -> None:
    total = Measured()
    with lake.hold("extract-signals", "c", "now") as hold:
        hold.append_missing("attempts", rows(ATTEMPTS, ("third", {**TRIED, "n": 2})))
        for chunk, utterance_id in enumerate(("third", "first")):
            total.add(committed(hold, chunk, {utterance_id: failing("MODEL_FAILED")}))
    assert (total.attempts, total.spent) == (2, 1)


@pytest.mark.slow
@pytest.mark.parametrize("code", ["TIME_OUT", "STORAGE"])
def test_where_nearly_all_of_a_chunk_fails_model_or_store_is_broken_and_no_clip_gets_an_attempt(
    lake: Lake, rows: Callable[..., DataFrame], code: str
) -> None:
    eight = [f"u{n}" for n in range(8)]
    with lake.hold("extract-signals", "c", "now") as hold:
        hold.append_missing("attempts", rows(ATTEMPTS, *((key, {**TRIED, "n": 1}) for key in eight)))
        # Of clips that failed while others were measured, all may fail.
        again = committed(hold, 0, dict.fromkeys(eight, failing("MODEL_FAILED")))
        tried = sorted((row.utterance_id, row.n) for row in lake.read("attempts").collect())
        fresh = {f"v{n}": failing(code) for n in range(8)}
        new = committed(hold, 1, fresh | {"missing": failing("MISSING")})
        # One recording that takes all memory says nothing of the model.
        lines = {f"w{n}": failing("OUT_OF_MEMORY") for n in range(9)}
        one = committed(hold, 2, lines, recording_id="long")
    assert (again.broken, tried) == ((), sorted((key, n) for key in eight for n in (1, 2)))
    assert new.broken == (f"speech: {code}, the driver is gone",)
    assert (new.attempts, new.gone, new.spent) == (8, 1, 0)
    assert (one.broken, one.attempts) == ((), 9)
    assert lake.read("attempts").count() == len(tried) + 9


BROKEN = [
    # failures that are not of the clip, clips that were measured, whether that is to blame
    (7, 0, False),
    (8, 0, True),
    (8, 1, False),
    (95, 5, True),
    (94, 6, False),
]


@pytest.mark.parametrize(("failures", "measured", "found"), BROKEN)
def test_a_model_is_to_blame_where_it_failed_on_nearly_all_of_many(
    failures: int, measured: int, found: bool
) -> None:
    assert is_broken(failures, measured) is found
