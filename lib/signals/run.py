"""The way of extraction: hash what changed, plan once, measure chunk by chunk, commit in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

from speechlake import faults
from speechlake.errors import UsageError
from speechlake.hold import Hold
from speechlake.ids import make_id
from speechlake.progress import HoursDone, Progress
from speechlake.schemas import CONTENT_HASHES
from speechlake.signals.commit import Measured, commit_measured
from speechlake.signals.engine import measure
from speechlake.signals.plan import Chunk, Wanted, by_recording, chunks, names_of, totals, unmeasured
from speechlake.signals.spread import TASKS_PER_CORE, Spread, spread_of
from speechlake.signals.staged import staged_ddl
from speechlake.staging import Stage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake

# Two at once, so that the machine does not idle at the tail of a chunk.
CHUNKS_AT_ONCE = 2
CHUNK_SECONDS = 450.0


def roots_of(lake: Lake, corpus: str) -> dict[str, str]:
    """Name -> present URI of the roots of `corpus`."""
    from pyspark.sql import functions as F

    row = lake.read("corpora").where(F.col("corpus") == corpus).collect()
    return {root.name: root.uri for root in row[0].roots} if row else {}


def require_roots(lake: Lake, corpus: str) -> None:
    """UsageError where a root of `corpus` is not there, an absent mount say: no clip of it is to blame."""
    from speechlake.manifests.places import entry_of

    for name, uri in roots_of(lake, corpus).items():
        if entry_of(uri) is None:
            raise UsageError(
                f"root {name} of corpus {corpus} is not there: {uri}",
                hint=f"Mount it, or say where it is now: speechlake ingest-manifests … --audio-root {name}=URI",
            )


def hash_relisted(hold: Hold) -> int:
    """Read and hash the recordings that were measured before but whose listing key is new; how many."""
    from pyspark.sql import functions as F

    lake, here = hold.lake, F.col("corpus") == hold.scope
    if not lake.exists("content_hashes"):
        return 0
    known = lake.read("content_hashes").where(here)
    present = lake.read("recordings").where(
        here & (F.col("state") == "present") & F.col("retired_in").isNull()
    )
    # Column name clash: both sides carry recording_id only.
    seen = known.select("recording_id").distinct()
    unknown = present.join(seen, on="recording_id", how="left_semi").join(
        known, on=["recording_id", "listing_key"], how="left_anti"
    )
    unknown = unknown.select(
        "recording_id", "root", "path", "container", "byte_offset", "byte_length", "listing_key"
    )
    if unknown.isEmpty():
        return 0
    roots = roots_of(lake, hold.scope)
    tasks = lake.spark.sparkContext.defaultParallelism * TASKS_PER_CORE
    ddl = "recording_id string, listing_key string, content_sha256 string, size_bytes bigint"
    read = unknown.repartition(tasks, "recording_id").mapInPandas(_hasher(roots), ddl)
    stage = hold.staging.write("hashes", hold.run_id, read, {"kind": "hashes", "run_id": hold.run_id})
    written = commit_hashes(hold, stage)
    hold.staging.delete(stage)
    return written


def commit_hashes(hold: Hold, stage: Stage) -> int:
    """Commit staged content hashes."""
    from pyspark.sql import functions as F

    rows = (
        hold.staging.read(stage).withColumn("corpus", F.lit(hold.scope)).select(*CONTENT_HASHES.column_names)
    )
    return hold.append_missing(
        "content_hashes", rows, within=F.col("corpus") == hold.scope, digest=stage.digest
    )


def commit_any(hold: Hold, stage: Stage) -> Measured:
    """Commit a stage of this job, whatever it holds."""
    if stage.note.get("kind") == "hashes":
        return Measured(rows=commit_hashes(hold, stage))
    return commit_measured(hold, stage)


def staged_plan(hold: Hold, wanted: Sequence[Wanted], *, only: DataFrame | None = None) -> DataFrame | None:
    """What is to be measured, of all utterances or those in `only`, staged once; None when there is nothing."""
    rows = unmeasured(hold.lake, hold.scope, wanted)
    if only is not None:
        rows = rows.join(only, on="utterance_id", how="left_semi")
    return stage_plan(hold, by_recording(rows, wanted).sortWithinPartitions("slot"))


def stage_plan(hold: Hold, rows: DataFrame) -> DataFrame | None:
    """`rows`, computed once, as the plan of this run; None when there are none."""
    path = hold.staging.scratch("plan", hold.run_id)
    rows.write.mode("overwrite").parquet(path)
    faults.point("after:plan")
    plan = hold.lake.spark.read.parquet(path)
    return None if plan.isEmpty() else plan


def drop_plans(hold: Hold) -> None:
    """Delete the plans of this scope: they are never adopted."""
    hold.staging.drop_scratch("plan", hold.run_id)


def measured_chunks(
    hold: Hold, plan: DataFrame, wanted: Sequence[Wanted], *, rate: float | None, progress: Progress
) -> Iterator[Measured]:
    """Measure a staged plan chunk by chunk and commit each, in order. `rate`: × real time of earlier runs.

    Interrupted, it drops the chunks in flight and stops Spark's work on them at once.
    """
    sums = totals(plan)
    spread = spread_of(hold.lake.spark, wanted)
    cut = chunks(sums["seconds"], CHUNK_SECONDS * (rate or spread.guess))
    names = ", ".join(names_of(wanted))
    progress.say(
        f"{hold.scope}: {sums['utterances']} utterances of {sums['recordings']} recordings, about "
        f"{sums['seconds'] / 60:.1f} minutes, for {names}, in {len(cut)} chunk(s)"
    )
    work = _Measuring(hold, plan, wanted, roots_of(hold.lake, hold.scope), spread)
    pool = ThreadPoolExecutor(CHUNKS_AT_ONCE)
    try:
        with progress.hours(hold.scope, sums["seconds"]) as done:
            waiting: deque[Future[Stage]] = deque()
            for chunk in cut:
                waiting.append(pool.submit(work.stage, chunk))
                if len(waiting) >= CHUNKS_AT_ONCE:
                    yield _committed(hold, waiting.popleft().result(), done)
            while waiting:
                yield _committed(hold, waiting.popleft().result(), done)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        hold.lake.spark.sparkContext.cancelAllJobs()
        raise
    finally:
        pool.shutdown()


def _committed(hold: Hold, stage: Stage, done: HoursDone) -> Measured:
    measured = commit_measured(hold, stage)
    hold.staging.delete(stage)
    done.advance(measured.audio_s, measured.errors + measured.attempts)
    return measured


class _Measuring:
    """Stages chunks; used from several threads."""

    def __init__(
        self, hold: Hold, plan: DataFrame, wanted: Sequence[Wanted], roots: Mapping[str, str], spread: Spread
    ) -> None:
        self._hold, self._plan, self._wanted, self._roots, self._spread = hold, plan, wanted, roots, spread
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
        work = measure(self._wanted, self._roots, schema, readers=self._spread.readers)
        measured = shared.mapInArrow(work, ddl)
        digest = make_id(
            *(w.fingerprint for w in self._wanted), f"{chunk.number}/{chunk.of}", self._hold.run_id
        )[:16]
        note = {
            "run_id": self._hold.run_id,
            "chunk": chunk.number,
            "extractors": {w.column: w.name for w in self._wanted},
            "fingerprints": [w.fingerprint for w in self._wanted],
        }
        return self._hold.staging.write(digest, self._hold.run_id, measured, note)


def _hasher(roots: Mapping[str, str]) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """A function for mapInPandas: recordings in, hashes of those that can be read out."""

    def run(batches: Iterator[Any]) -> Iterator[Any]:
        import pandas as pd

        from speechlake.audio.errors import AudioError
        from speechlake.audio.storage import open_audio

        for batch in batches:
            rows = []
            for row in batch.itertuples():
                try:
                    with open_audio(
                        roots[row.root],
                        row.container or row.path,
                        byte_offset=_whole(row.byte_offset),
                        byte_length=_whole(row.byte_length),
                    ) as audio:
                        if audio.listing_key == row.listing_key:
                            rows.append(
                                (row.recording_id, row.listing_key, audio.content_sha256(), audio.size_bytes)
                            )
                except AudioError:
                    continue  # stays unknown: the plan will want it, and the engine tells why it fails
            yield pd.DataFrame(rows, columns=["recording_id", "listing_key", "content_sha256", "size_bytes"])

    return run


def _whole(value: Any) -> int | None:
    """A number out of a pandas row, where a missing one is NA or NaN."""
    import pandas as pd

    return None if pd.isna(value) else int(value)
