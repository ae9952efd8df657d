"""How a run of measuring ends when it cannot go on."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from speechlake.errors import ChunkFailed
from speechlake.signals import run
from speechlake.signals.commit import Measured
from speechlake.staging import Stage


def test_a_broken_model_ends_the_run_once_its_chunk_is_committed_and_no_stage_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deleted: list[Any] = []
    hold: Any = SimpleNamespace(scope="c", staging=SimpleNamespace(delete=deleted.append))
    done: Any = SimpleNamespace(advance=lambda *_: None)
    said = "whisper: MODEL_FAILED, RuntimeError: CUDA error"
    monkeypatch.setattr(run, "commit_measured", lambda *_: Measured(attempts=9, broken=(said,)))
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
