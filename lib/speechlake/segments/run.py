"""The way of segmentation: hash what changed, plan once, hear chunk by chunk, bring `utterances` up to date."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from speechlake.hold import Hold
from speechlake.ids import make_id
from speechlake.manifests.roots import roots_of
from speechlake.progress import Progress
from speechlake.segments.commit import Heard, commit_heard
from speechlake.segments.plan import dealt, totals
from speechlake.segments.segmenter import Segmenter
from speechlake.segments.worker import STAGED_DDL, segmented
from speechlake.signals.failures import chunk_failed
from speechlake.signals.plan import Chunk, chunks
from speechlake.signals.rehash import KIND, commit_hashes
from speechlake.signals.run import CHUNK_SECONDS
from speechlake.signals.spread import TASKS_PER_CORE
from speechlake.staging import Stage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# × real time of one core, decoding and Silero together: 200 to 400 on the machines that were measured.
RATE_PER_CORE = 200.0


def commit_any(hold: Hold, stage: Stage) -> Heard:
    """Commit a stage of this job, whatever it holds."""
    if stage.note.get("kind") == KIND:
        return Heard(rows=commit_hashes(hold, stage))
    return commit_heard(hold, stage)


def heard_chunks(hold: Hold, plan: DataFrame, how: Segmenter, progress: Progress) -> Iterator[Heard]:
    """Hear a staged plan chunk by chunk and commit each; ChunkFailed where model or store fail on nearly all of one."""
    cores = hold.lake.spark.sparkContext.defaultParallelism
    sums = totals(plan)
    cut = chunks(sums["seconds"], CHUNK_SECONDS * RATE_PER_CORE * cores)
    progress.say(
        f"{hold.scope}: {sums['sources']} long or whole files in {sums['recordings']} recordings, "
        f"about {sums['seconds'] / 3600:.2f} h, in {len(cut)} chunk(s)"
    )
    with progress.hours(hold.scope, sums["seconds"]) as done:
        for chunk in cut:
            stage = _staged(hold, chunk.rows(plan), chunk, how, cores * TASKS_PER_CORE)
            found = commit_heard(hold, stage)
            hold.staging.delete(stage)
            done.advance(found.audio_s, found.errors + found.transient)
            if found.broken:
                raise chunk_failed(hold.scope, found.broken)
            yield found


def _staged(hold: Hold, recordings: DataFrame, chunk: Chunk, how: Segmenter, tasks: int) -> Stage:
    from pyspark.sql.pandas.types import to_arrow_schema
    from pyspark.sql.types import StructType

    schema = to_arrow_schema(cast(StructType, StructType.fromDDL(STAGED_DDL)))
    hear = segmented(how, roots_of(hold.lake, hold.scope), schema)
    rows = dealt(recordings, tasks).mapInArrow(hear, STAGED_DDL)
    fingerprint = how.identity().fingerprint
    digest = make_id(fingerprint, f"{chunk.number}/{chunk.of}", hold.run_id)[:16]
    return hold.staging.write(digest, hold.run_id, rows, {"run_id": hold.run_id, "fingerprint": fingerprint})
