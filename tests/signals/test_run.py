"""How a run of measuring ends when it cannot go on."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from batch_fakes import Hears
from lake_tools import QUIET

from speechlake.commands import extract_signals
from speechlake.errors import ChunkFailed
from speechlake.ledger import Run
from speechlake.signals import Audio, run
from speechlake.signals.commit import Measured
from speechlake.signals.plan import wanted_of
from speechlake.staging import Stage


def test_a_broken_model_ends_the_run_once_its_chunk_is_committed_and_no_stage_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deleted: list[Any] = []
    hold: Any = SimpleNamespace(scope="c", staging=SimpleNamespace(delete=deleted.append))
    done: Any = SimpleNamespace(advance=lambda *_: None)
    said = "whisper: MODEL_FAILED, RuntimeError: CUDA error"
    monkeypatch.setattr(run, "commit_measured", lambda *_, **__: Measured(attempts=9, broken=(said,)))
    stage = Stage("path", "digest", "run", {})
    with pytest.raises(ChunkFailed, match="CUDA error") as caught:
        run._committed(hold, stage, done)
    assert deleted == [stage]
    assert caught.value.exit_code == 5


def test_a_chunk_that_begins_another_spark_job_after_it_was_cancelled_is_cancelled_again() -> None:
    cancelled = threading.Semaphore(0)
    spark: Any = SimpleNamespace(sparkContext=SimpleNamespace(cancelAllJobs=cancelled.release))

    def two_jobs() -> Any:
        for _ in range(2):
            cancelled.acquire()

    with ThreadPoolExecutor(1) as pool:
        futures = [pool.submit(two_jobs)]
        run._stop(spark, futures)
    assert futures[0].done()


def test_extractors_without_a_device_are_measured_first_and_chunks_are_numbered_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[list[str], int]] = []

    def measured(hold: Any, plan: Any, wanted: Any, *, number: int, progress: Any) -> Any:
        asked.append(([each.name for each in wanted], number))
        yield from [Measured(utterances=2, rows=2, audio_s=5.0, cpu_s=1.0, attempts=1)] * 3

    for name in ("require_roots", "hash_relisted", "staged_plan", "drop_plans"):
        monkeypatch.setattr(extract_signals, name, lambda *_, **__: 0)
    monkeypatch.setattr(extract_signals, "measured_chunks", measured)
    hold: Any = SimpleNamespace(lake=None, scope="c")
    this, found = Run("extract-signals", "c", {}), Measured()
    wanted = wanted_of([Audio(), Hears(device="cuda")])
    extract_signals._measure(hold, wanted, this, found, QUIET)
    assert asked == [(["audio"], 0), (["whisper"], 3)]
    # The clips of both are the same; what they cost, and which of their measurements failed, adds up.
    assert (found.utterances, found.audio_s, this.audio_s_out) == (6, 15.0, 15.0)
    assert (found.rows, found.cpu_s, this.left_to_retry) == (12, 6.0, 6)
