"""New audio meets all that was there before: pairs of utterances whose samples meet, verified by their keys."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from speechlake.duplicates.buckets import clip_number, in_lots, out_of_lots, taken
from speechlake.duplicates.keys import FRAME_S, shared, unpack
from speechlake.duplicates.pairing import HOT, hot_above, in_hot, pairs_in_buckets
from speechlake.duplicates.sampling import alike, spread

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

# A partition of samples is held by one Python worker: 16 MB as it comes, 50 to 75 more while it is sorted and compared.
SAMPLES_PER_PARTITION = 500_000
BLOCK_SAMPLES = 50_000
MET_DDL = "one bigint, other bigint, offset int, votes bigint, hot bigint"
VERIFIED_DDL = "kind string, bit_error_rate double, offset_s double, start_s double, shared_s double"


def meetings(keyed: DataFrame, new: int, old: int, wanted: Any = None) -> DataFrame:
    """(one, other, offset, votes): pairs of clips that met in a bucket, at least one of them fresh.

    `keyed` are rows of KEYED, each clip once, that give about `new` fresh samples and `old` others; `wanted`, where it
    is given, is a `bucket_filter` of those that are fresh. `one` and `other` are clip numbers; of several offsets the
    one with most samples stays. A further row, whose `one` is null, tells in `hot` how many samples lay in
    buckets that were too full to compare all. Cost: O(samples) plus the pairs of strangers, n^2 / 2^26 of n
    samples, which are dropped where they meet.
    """
    from pyspark.sql import functions as F

    expected = new + (old if wanted is None else min(old, new))
    parts = max(keyed.sparkSession.sparkContext.defaultParallelism, -(-expected // SAMPLES_PER_PARTITION))
    meet = partial(_meet, most=hot_above(new + old))
    met = in_lots(keyed, parts, wanted).repartitionById(parts, F.col("lot")).mapInArrow(meet, MET_DDL)
    at = met.groupBy("one", "other", "offset").agg(F.sum("votes").alias("votes"), F.sum("hot").alias("hot"))
    best = F.max(F.struct("votes", (-F.abs("offset")).alias("near"), "offset")).alias("best")
    pairs = at.groupBy("one", "other").agg(best, F.sum("hot").alias("hot"))
    return pairs.select("one", "other", "best.offset", "best.votes", "hot")


def _meet(batches: Iterator[pa.RecordBatch], most: int) -> Iterator[pa.RecordBatch]:
    """Samples of one partition, which holds all of each of its buckets -> the pairs that met there."""
    samples, fresh = _by_bucket(*out_of_lots(list(batches)), most)
    bucket, frame, clip, lanes = (
        np.ascontiguousarray(samples[name]) for name in ("bucket", "frame", "clip", "context")
    )
    # Fuller buckets make more pairs of a sample.
    for begin, end in _blocks(bucket, BLOCK_SAMPLES * HOT // most):
        for one, other in pairs_in_buckets(bucket[begin:end].astype(np.int64), most):
            one, other = one + begin, other + begin
            wanted = (clip[one] != clip[other]) & (fresh[one] | fresh[other])
            one, other = one[wanted], other[wanted]
            met = alike(lanes[one], lanes[other])
            yield _counted(clip, frame, one[met], other[met])
    if hot := len(in_hot(bucket, most)):
        yield _met([None], [None], [0], [0], [hot])


def _by_bucket(samples: np.ndarray, fresh: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples and whether they are fresh, sorted by bucket; those of a hot one, the first of which are its hubs, in an
    order that has nothing to do with when a clip came."""
    order = np.argsort(samples["bucket"])
    samples, fresh = taken(samples, order), fresh[order]
    hot = in_hot(samples["bucket"], most)
    inside = samples[hot]
    order = np.lexsort((inside["frame"], spread(inside["clip"].view(np.uint64)), inside["bucket"]))
    samples[hot], fresh[hot] = inside[order], fresh[hot][order]
    return samples, fresh


def _blocks(bucket: np.ndarray, samples: int) -> Iterator[tuple[int, int]]:
    """Ranges of whole buckets, of about so many samples."""
    begin = 0
    while begin < len(bucket):
        last = min(begin + samples, len(bucket)) - 1
        end = int(np.searchsorted(bucket, bucket[last], side="right"))
        yield begin, end
        begin = end


def _counted(clip: np.ndarray, frame: np.ndarray, one: np.ndarray, other: np.ndarray) -> pa.RecordBatch:
    """Votes per (pair of clips, offset), the lower id first, as the hexadecimal ids sort."""
    swap = clip[one].view(np.uint64) > clip[other].view(np.uint64)
    one, other = np.where(swap, other, one), np.where(swap, one, other)
    keys = np.stack([clip[one], clip[other], (frame[other] - frame[one]).astype(np.int64)], axis=1)
    found, votes = np.unique(keys, axis=0, return_counts=True)
    return _met(found[:, 0], found[:, 1], found[:, 2], votes, np.zeros(len(found), np.int64))


def _met(*columns: object) -> pa.RecordBatch:
    """A batch in the columns of MET_DDL; lists may hold nulls."""
    import pyarrow as pa

    types = [pa.int64(), pa.int64(), pa.int32(), pa.int64(), pa.int64()]
    names = [part.split()[0] for part in MET_DDL.split(", ")]
    arrays = [pa.array(column).cast(kind) for column, kind in zip(columns, types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=names)


def who_met(met: DataFrame, current: DataFrame) -> DataFrame:
    """The rows of `current` whose clips are in `met`, with their `clip` number."""
    from pyspark.sql import functions as F

    numbered = current.withColumn("clip", clip_number(F.col("utterance_id")))
    clips = met.where("one IS NOT NULL").select(F.explode(F.array("one", "other")).alias("clip"))
    return numbered.join(clips.distinct(), on="clip", how="left_semi")


def verified(met: DataFrame, keyed: DataFrame) -> DataFrame:
    """Rows of `audio_pairs` for the meetings in which audio is really shared.

    `keyed` holds corpus, utterance_id, recording_id, channel, start_ms, end_ms, content_sha256, fingerprint,
    clip, keys and active of all who met. Intervals of one recording that overlap, and other channels of
    it, share audio by what they are, and are no pairs.
    """
    from pyspark.sql import functions as F

    one, other = (
        keyed.select(*(F.col(c).alias(f"{side}_{c}") for c in keyed.columns)) for side in ("a", "b")
    )
    joined = met.join(one, on=F.col("one") == F.col("a_clip"), how="inner").join(
        other, on=F.col("other") == F.col("b_clip"), how="inner"
    )
    apart = joined.where(
        (F.col("a_recording_id") != F.col("b_recording_id"))
        | ((F.col("a_channel") == F.col("b_channel")) & ~_overlapping())
    )
    told = {
        "corpus": "a_corpus",
        "utterance_id": "a_utterance_id",
        "other_id": "b_utterance_id",
        "other_corpus": "b_corpus",
        "content_sha256": "a_content_sha256",
        "other_content_sha256": "b_content_sha256",
        "fingerprint": "a_fingerprint",
    }
    columns = [F.col(source).alias(name) for name, source in told.items()]
    asked = apart.select(*columns, "offset", "a_keys", "a_active", "b_keys", "b_active")
    ddl = ", ".join([*(f"{name} string" for name in told), VERIFIED_DDL])
    return asked.mapInArrow(_verify, ddl)


def _overlapping() -> Column:
    from pyspark.sql import functions as F

    def before(one: str, other: str) -> Column:
        return F.coalesce(F.col(f"{one}_end_ms") <= F.col(f"{other}_start_ms"), F.lit(False))

    return ~(before("a", "b") | before("b", "a"))


def _verify(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for batch in batches:
        columns = [batch.column(name).to_pylist() for name in ("a_keys", "a_active", "b_keys", "b_active")]
        found = [
            shared(unpack(a, a_active), unpack(b, b_active), offset)
            for a, a_active, b, b_active, offset in zip(
                *columns, batch.column("offset").to_pylist(), strict=True
            )
        ]
        same = batch.drop_columns(["offset", "a_keys", "a_active", "b_keys", "b_active"])
        measured = {
            "kind": pa.array([each.kind for each in found], pa.string()),
            "bit_error_rate": pa.array([each.rate for each in found], pa.float64()),
            "offset_s": pa.array([each.offset * FRAME_S for each in found], pa.float64()),
            "start_s": pa.array([each.start * FRAME_S for each in found], pa.float64()),
            "shared_s": pa.array([(each.end - each.start) * FRAME_S for each in found], pa.float64()),
        }
        whole = pa.RecordBatch.from_arrays(
            [*same.columns, *measured.values()], names=[*same.schema.names, *measured]
        )
        yield whole.filter(pa.array([each.kind is not None for each in found]))
