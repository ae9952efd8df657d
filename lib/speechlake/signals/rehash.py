"""Content hashes: audio that was listed anew is read once more, and what has the same bytes is never measured again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from speechlake.files import as_is
from speechlake.hold import Hold
from speechlake.manifests.roots import roots_of
from speechlake.progress import Progress
from speechlake.schemas import CONTENT_HASHES
from speechlake.signals.plan import PLACE, SLOTS, Chunk
from speechlake.signals.spread import TASKS_PER_CORE
from speechlake.staging import Stage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake

# What a kill may lose of the reading of a moved corpus: some minutes' worth of an object store.
CHUNK_BYTES_PER_CORE = 16 << 30
RELISTED = "relisted"
KIND = "hashes"


def relisted(lake: Lake, corpus: str) -> DataFrame | None:
    """The recordings of `corpus` that were read before, but whose listing key is new; None before any was read."""
    from pyspark.sql import functions as F

    if not lake.exists("content_hashes"):
        return None
    here = F.col("corpus") == corpus
    known = lake.read("content_hashes").where(here)
    present = lake.read("recordings").where(
        here & (F.col("state") == "present") & F.col("retired_in").isNull()
    )
    seen = known.select("recording_id").distinct()
    return present.join(seen, on="recording_id", how="left_semi").join(
        known, on=["recording_id", "listing_key"], how="left_anti"
    )


def hash_relisted(hold: Hold, progress: Progress) -> int:
    """Read and hash, chunk by chunk, what `relisted` gives; how many recordings got a hash."""
    from pyspark.sql import functions as F

    found = relisted(hold.lake, hold.scope)
    if found is None or found.isEmpty():
        return 0
    path = hold.staging.scratch(RELISTED, hold.run_id)
    # Joined once, however many chunks: each reads the row groups of its slots only.
    slot = F.pmod(F.xxhash64("recording_id"), F.lit(SLOTS))
    listed = found.select(*PLACE, "size_bytes").withColumn("slot", slot).sortWithinPartitions("slot")
    listed.write.mode("overwrite").parquet(path)
    plan = hold.lake.spark.read.parquet(as_is(path))
    size = F.sum(F.coalesce("byte_length", "size_bytes", F.lit(0)))
    # One row, whatever the number of recordings.
    [sums] = plan.agg(F.count("*").alias("n"), size.alias("bytes")).collect()
    cores = hold.lake.spark.sparkContext.defaultParallelism
    cut = min(SLOTS, max(1, math.ceil(sums.bytes / (CHUNK_BYTES_PER_CORE * cores))))
    progress.say(
        f"{hold.scope}: reading {sums.n} recordings ({sums.bytes / 1e9:.2f} GB) that were listed anew, to see "
        f"whether the audio has changed, in {cut} chunk(s)"
    )
    roots = roots_of(hold.lake, hold.scope)
    tasks = max(1, min(cores * TASKS_PER_CORE, math.ceil(sums.n / cut)))
    return sum(_hash(hold, Chunk(number, cut), plan, roots, tasks) for number in range(cut))


def _hash(hold: Hold, chunk: Chunk, plan: DataFrame, roots: Mapping[str, str], tasks: int) -> int:
    """Hash one chunk of the plan in so many tasks, and commit it."""
    ddl = "recording_id string, listing_key string, content_sha256 string, size_bytes bigint"
    read = chunk.rows(plan).repartition(tasks, "recording_id").mapInPandas(_hasher(roots), ddl)
    note = {"kind": KIND, "run_id": hold.run_id}
    stage = hold.staging.write(f"{KIND}-{chunk.number}", hold.run_id, read, note)
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
