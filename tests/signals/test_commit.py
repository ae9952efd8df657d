"""What committing a chunk counts: above all what a later run may still measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    hold: Hold,
    chunk: int,
    results: Mapping[str, Measurement],
    recording_id: str | None = None,
    *,
    met: Sequence[str] | None = None,
) -> Measured:
    """Commit a chunk of utterances with these results, each of its own recording or all of one.

    `met` lists the utterances that failed in an earlier worker; by default there was none.
    """
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
    stage = hold.staging.write(f"chunk{chunk}", "now", frame, note)
    if met is None:
        return commit_measured(hold, stage)
    pairs = [(key, WANTED.fingerprint) for key in met]
    earlier = hold.lake.spark.createDataFrame(pairs, "utterance_id string, fingerprint string")
    return commit_measured(hold, stage, earlier=earlier)


@pytest.mark.slow
def test_a_clip_that_failed_for_the_last_time_is_counted_in_its_own_chunk_only(
    lake: Lake, rows: Callable[..., DataFrame]
) -> None:
    total = Measured()
    with lake.hold("extract-signals", "c", "now") as hold:
        hold.append_missing("attempts", rows(ATTEMPTS, ("third", {**TRIED, "n": 2})))
        for chunk, utterance_id in enumerate(("third", "first")):
            failed = {utterance_id: failing("MODEL_FAILED")}
            total.add(committed(hold, chunk, failed, met=[utterance_id]))
    assert (total.attempts, total.spent) == (2, 1)


@pytest.mark.slow
def test_commit_measured_writes_attempts_only_of_confirmed_failures(lake: Lake) -> None:
    """A clip that failed in one worker only, and one that no worker tried, are left to be planned again."""
    results = {"twice": failing("TIME_OUT"), "once": failing("TIME_OUT"), "waits": failing("NOT_TRIED")}
    with lake.hold("extract-signals", "c", "now") as hold:
        first = committed(hold, 0, {"twice": failing("MODEL_FAILED")})
        second = committed(hold, 1, results, met=["twice", "waits"])
    assert (first.attempts, first.unconfirmed) == (0, 1)
    assert (second.attempts, second.unconfirmed) == (1, 2)
    assert [row.utterance_id for row in lake.read("attempts").collect()] == ["twice"]


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
        committed(hold, 3, dict.fromkeys(eight, failing("MODEL_FAILED")), met=eight)
        tried = sorted((row.utterance_id, row.n) for row in lake.read("attempts").collect())
        fresh = {f"v{n}": failing(code) for n in range(8)}
        new = committed(hold, 1, fresh | {"missing": failing("MISSING")})
        # One recording that takes all memory says nothing of the model.
        lines = {f"w{n}": failing("OUT_OF_MEMORY") for n in range(9)}
        one = committed(hold, 2, lines, recording_id="long")
    assert (again.broken, tried) == ((), sorted((key, n) for key in eight for n in (1, 2)))
    assert new.broken == (f"speech: {code}, the driver is gone",)
    assert (new.attempts, new.unconfirmed, new.gone) == (0, 8, 1)
    assert (one.broken, one.unconfirmed) == ((), 9)
    assert lake.read("attempts").count() == len(tried)


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
