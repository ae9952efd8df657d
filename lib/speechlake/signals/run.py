"""The way of extraction: plan once, measure chunk by chunk, commit in order."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from speechlake import faults
from speechlake.files import as_is
from speechlake.hold import Hold
from speechlake.ids import make_id
from speechlake.manifests.roots import roots_of
from speechlake.progress import HoursDone, Progress
from speechlake.signals.commit import Measured, commit_measured
from speechlake.signals.engine import measure
from speechlake.signals.failures import NOT_TRIED, chunk_failed
from speechlake.signals.plan import Chunk, Wanted, by_recording, chunks, names_of, totals, unmeasured
from speechlake.signals.rates import past_rate
from speechlake.signals.rehash import KIND, RELISTED, commit_hashes
from speechlake.signals.spread import Spread, spread_of
from speechlake.signals.staged import staged_ddl
from speechlake.staging import Stage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


# Two at once, so that the machine does not idle at the tail of a chunk.
CHUNKS_AT_ONCE = 2
CHUNK_SECONDS = 450.0
# The scratch that holds clips which failed in one worker, by round.
FAILED = "failed"
# After so many further rounds, what is still unconfirmed is left to the next run. Each hang of a device may cost one.
MOST_ROUNDS = 3
# Spark's workers are told apart by their environment: another value means processes that measured nothing before.
WORKERS = "PYTHON_WORKER_GROUP"
# How long a cancelled chunk may take to end before Spark is asked again.
CANCEL_EVERY_S = 0.5


def commit_any(hold: Hold, stage: Stage) -> Measured:
    """Commit a stage of this job, whatever it holds."""
    if stage.note.get("kind") == KIND:
        return Measured(rows=commit_hashes(hold, stage))
    return commit_measured(hold, stage)


def staged_plan(
    hold: Hold, wanted: Sequence[Wanted], *, only: DataFrame | None = None, given_up: bool = False
) -> DataFrame | None:
    """What is to be measured, of all utterances or those in `only`, staged once; None when there is nothing."""
    rows = unmeasured(hold.lake, hold.scope, wanted, given_up=given_up)
    if only is not None:
        rows = rows.join(only, on="utterance_id", how="left_semi")
    return stage_plan(hold, by_recording(rows, wanted).sortWithinPartitions("slot"))


def stage_plan(hold: Hold, rows: DataFrame) -> DataFrame | None:
    """`rows`, computed once, as the plan of this run; None when there are none."""
    path = hold.staging.scratch("plan", hold.run_id)
    rows.write.mode("overwrite").parquet(path)
    faults.point("after:plan")
    plan = hold.lake.spark.read.parquet(as_is(path))
    return None if plan.isEmpty() else plan


def drop_plans(hold: Hold) -> None:
    """Delete the plans of this scope: they are never adopted."""
    for kind in ("plan", FAILED, RELISTED):
        hold.staging.drop_scratch(kind, hold.run_id)


def confirmed_chunks(
    hold: Hold, wanted: Sequence[Wanted], *, number: int, given_up: bool, progress: Progress
) -> Iterator[Measured]:
    """Measure what failed in this run again, in fresh workers, and write attempts of what fails there, too.

    Suspects are decoded each by itself, then what was not tried as usual; so for MOST_ROUNDS, or until nothing is
    unconfirmed. `number`: chunks of this run before these.
    """
    from pyspark.sql import functions as F

    for turn in range(MOST_ROUNDS):
        path = _failed_path(hold, turn)
        if not hold.staging.has(path):
            return
        failed = hold.lake.spark.read.parquet(as_is(path))
        suspects = failed.where(F.col("code") != NOT_TRIED)
        for earlier, which in ((suspects, suspects), (None, failed.where(F.col("code") == NOT_TRIED))):
            only = which.select("utterance_id").distinct()
            plan = staged_plan(hold, wanted, only=only, given_up=given_up)
            if plan is None:
                continue
            progress.say(f"{hold.scope}: measuring again, in fresh workers, what failed in one")
            with _fresh_workers(hold.lake.spark, f"{hold.run_id}/{number}"):
                for chunk in measured_chunks(
                    hold, plan, wanted, number=number, progress=progress, earlier=earlier, turn=turn + 1
                ):
                    number += 1
                    # The same clips, once more.
                    yield replace(chunk, utterances=0, audio_s=0.0)


@contextmanager
def _fresh_workers(spark: SparkSession, name: str) -> Iterator[None]:
    """Have Spark start new Python workers; those that idle end after a minute."""
    environment = spark.sparkContext.environment
    environment[WORKERS] = name
    try:
        yield
    finally:
        del environment[WORKERS]


def _failed_path(hold: Hold, turn: int) -> str:
    return f"{hold.staging.scratch(FAILED, hold.run_id)}/{turn}"


def measured_chunks(
    hold: Hold,
    plan: DataFrame,
    wanted: Sequence[Wanted],
    *,
    number: int,
    progress: Progress,
    earlier: DataFrame | None = None,
    turn: int = 0,
) -> Iterator[Measured]:
    """Measure a staged plan chunk by chunk and commit each, in order. `number`: chunks of this run before these.

    `earlier`: failures that this plan is to confirm, each clip decoded by itself; `turn` names the round that gets
    what stays unconfirmed.

    Interrupted, it drops the chunks in flight and stops Spark's work on them at once; so where a model fails on
    nearly all of a chunk, with ChunkFailed.
    """
    sums = totals(plan)
    spread = spread_of(hold.lake.spark, wanted)
    past = past_rate(hold.lake, wanted, on_device=spread.devices > 0)
    cut = chunks(sums["seconds"], CHUNK_SECONDS * spread.times_real_time(past))
    names = ", ".join(names_of(wanted))
    progress.say(
        f"{hold.scope}: {sums['utterances']} utterances of {sums['recordings']} recordings, about "
        f"{sums['seconds'] / 60:.1f} minutes of audio, for {names}, in {len(cut)} chunk(s)"
    )
    work = _Measuring(
        hold,
        plan,
        wanted,
        roots_of(hold.lake, hold.scope),
        spread.over(math.ceil(sums["recordings"] / len(cut))),
        number,
        alone=earlier is not None,
    )
    keep = _failed_path(hold, turn)
    pool = ThreadPoolExecutor(CHUNKS_AT_ONCE)
    try:
        with progress.hours(hold.scope, sums["seconds"]) as done:
            waiting: deque[Future[Stage]] = deque()
            for chunk in cut:
                waiting.append(pool.submit(work.stage, chunk))
                if len(waiting) >= CHUNKS_AT_ONCE:
                    yield _committed(hold, waiting[0].result(), done, keep=keep, earlier=earlier)
                    waiting.popleft()
            while waiting:
                yield _committed(hold, waiting[0].result(), done, keep=keep, earlier=earlier)
                waiting.popleft()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        _stop(hold.lake.spark, waiting)
        raise
    finally:
        pool.shutdown()


def _stop(spark: SparkSession, staging: Collection[Future[Stage]]) -> None:
    """Cancel Spark's jobs until nobody stages: one who is between two of them would begin the next."""
    while left := [future for future in staging if not future.done()]:
        spark.sparkContext.cancelAllJobs()
        wait(left, timeout=CANCEL_EVERY_S)


def _committed(
    hold: Hold, stage: Stage, done: HoursDone, *, keep: str | None = None, earlier: DataFrame | None = None
) -> Measured:
    measured = commit_measured(hold, stage, keep=keep, earlier=earlier)
    hold.staging.delete(stage)
    done.advance(measured.audio_s, measured.errors + measured.attempts + measured.unconfirmed)
    if measured.broken:
        raise chunk_failed(hold.scope, measured.broken)
    return measured


class _Measuring:
    """Stages chunks; used from several threads."""

    def __init__(
        self,
        hold: Hold,
        plan: DataFrame,
        wanted: Sequence[Wanted],
        roots: Mapping[str, str],
        spread: Spread,
        number: int,
        *,
        alone: bool = False,
    ) -> None:
        self._hold, self._plan, self._wanted, self._roots, self._spread = hold, plan, wanted, roots, spread
        self._number, self._alone = number, alone
        self._spark = hold.lake.spark
        self._lock = threading.Lock()

    def stage(self, chunk: Chunk) -> Stage:
        """Measure one chunk into a stage."""
        from pyspark.sql import functions as F
        from pyspark.sql.pandas.types import to_arrow_schema
        from pyspark.sql.types import StructType

        ddl = staged_ddl(self._wanted)
        with self._lock:
            schema = to_arrow_schema(cast(StructType, StructType.fromDDL(ddl)))
            rows = chunk.rows(self._plan)
        # Longest first, then in an order of their own.
        shared = rows.repartition(self._spread.tasks, "recording_id", "stretch").sortWithinPartitions(
            F.col("seconds").desc(), F.xxhash64("recording_id", "stretch")
        )
        work = measure(self._wanted, self._roots, schema, readers=self._spread.readers, alone=self._alone)
        measured = shared.mapInArrow(work, ddl)
        digest = make_id(
            *(w.fingerprint for w in self._wanted), f"{chunk.number}/{chunk.of}", self._hold.run_id
        )[:16]
        note = {
            "run_id": self._hold.run_id,
            "chunk": self._number + chunk.number,
            "extractors": {w.column: w.name for w in self._wanted},
            "fingerprints": [w.fingerprint for w in self._wanted],
        }
        return self._hold.staging.write(digest, self._hold.run_id, measured, note)
