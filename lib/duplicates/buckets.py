"""Samples of keys in tables: a row per utterance as stored, a row per sample where buckets meet.

All work here is a few numpy calls per Arrow batch of utterances.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from speechlake.duplicates.keys import unpack
from speechlake.duplicates.pairing import KEY_BITS
from speechlake.duplicates.sampling import LAGS, sampled, spread

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

# Of buckets that new audio has, 2**28 bits (32 MB in each worker) remember which: whoever is not there need not be looked
# at. With a quarter of that, every second sample that came through was there by chance.
FILTER_BITS = 1 << 28
# With more new samples than a tenth of all keys, too much of what was there meets them for the filter to be worth its pass.
FILTERED_BELOW = (1 << KEY_BITS) // 10

STORED = ("corpus", "utterance_id", "content_sha256", "fingerprint")
STORED_DDL = ", ".join(
    [
        *(f"{name} string" for name in STORED),
        "samples int",
        *(f"{name} binary" for name in ("buckets", "frames", "contexts")),
    ]
)
EXPLODED_DDL = "bucket int, clip bigint, frame int, before bigint, after bigint, fresh boolean"


def clip_number(utterance_id: Column) -> Column:
    """The first 64 bits of an id as a signed number: what samples carry in place of 32 letters."""
    from pyspark.sql import functions as F

    return F.conv(F.substring(utterance_id, 1, 16), 16, -10).cast("bigint")


def bucket_rows(keyed: DataFrame) -> DataFrame:
    """Rows of `key_buckets` from rows with the columns STORED, `keys` and `active`."""
    return keyed.select(*STORED, "keys", "active").mapInArrow(_sample_batches, STORED_DDL)


def _sample_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for batch in batches:
        clips = [
            unpack(keys, active)
            for keys, active in zip(
                batch.column("keys").to_pylist(), batch.column("active").to_pylist(), strict=True
            )
        ]
        found = sampled(clips)
        counts = np.bincount(found.clip, minlength=len(clips)).astype(np.int32)
        parts = (found.bucket.astype("<u4"), found.frame.astype("<i4"), found.context.astype("<u2"))
        columns: list[Any] = [batch.column(name) for name in STORED]
        columns += [pa.array(counts, pa.int32()), *(_binaries(part, counts) for part in parts)]
        names = [*STORED, "samples", "buckets", "frames", "contexts"]
        yield pa.RecordBatch.from_arrays(columns, names=names)


def _binaries(values: Any, counts: Any) -> pa.Array:
    """One binary per clip out of the values of all clips."""
    import pyarrow as pa

    width = values.itemsize * (values.shape[1] if values.ndim > 1 else 1)
    ends = np.concatenate([[0], np.cumsum(counts, dtype=np.int64) * width]).astype(np.int32)
    buffers = [None, pa.py_buffer(ends.tobytes()), pa.py_buffer(values.tobytes())]
    return pa.Array.from_buffers(pa.binary(), len(counts), buffers)


def exploded(rows: DataFrame, *, fresh: bool, wanted: Any = None) -> DataFrame:
    """A row per sample of rows of `key_buckets`; `wanted` is a broadcast filter of `bucket_filter`, or null."""
    batches = _Exploding(fresh, wanted)
    return rows.select("utterance_id", "buckets", "frames", "contexts").mapInArrow(batches, EXPLODED_DDL)


class _Exploding:
    """Batches of stored rows -> batches of samples."""

    def __init__(self, fresh: bool, wanted: Any) -> None:
        self.fresh, self.wanted = fresh, wanted

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            buckets, frames, lanes = (
                _joined(batch.column(name), kind)
                for name, kind in (("buckets", "<u4"), ("frames", "<i4"), ("contexts", "<i8"))
            )
            sizes = np.diff(_ends(batch.column("buckets"))) // 4
            clips = np.repeat(_clip_numbers(batch.column("utterance_id").to_pylist()), sizes)
            lanes = lanes.reshape(-1, len(LAGS) // 4)
            if self.wanted is not None:
                there = in_filter(self.wanted.value, buckets)
                buckets, frames, clips, lanes = buckets[there], frames[there], clips[there], lanes[there]
            columns = (buckets.view("<i4"), clips, frames, lanes[:, 0].copy(), lanes[:, 1].copy())
            yield pa.RecordBatch.from_arrays(
                [*(pa.array(each) for each in columns), pa.array(np.full(len(buckets), self.fresh))],
                names=[part.split()[0] for part in EXPLODED_DDL.split(", ")],
            )


def _ends(column: pa.Array) -> Any:
    """Where each value of a column of binaries without nulls begins in its bytes, and where the last one ends."""
    if not len(column):
        return np.zeros(1, np.int32)
    return np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]


def _joined(column: pa.Array, kind: str) -> Any:
    """All values of a column of binaries, one after another, without a copy."""
    ends, values = _ends(column), column.buffers()[2]
    # Arrow may leave out the buffer of a column in which all values are empty.
    return np.frombuffer(values or b"", np.uint8)[ends[0] : ends[-1]].view(kind)


def _clip_numbers(ids: list[str]) -> Any:
    heads = np.frombuffer(bytes.fromhex("".join(each[:16] for each in ids)), ">i8")
    return heads.astype(np.int64)


def bucket_filter(rows: DataFrame) -> Any:
    """A broadcast bit set of the buckets of `rows` (of `key_buckets`); the driver holds its 32 MB, and as much while it makes it."""
    from pyspark.sql import functions as F

    words = rows.select("buckets").mapInArrow(_words_of_batches, "word int, bits bigint")
    whole = words.groupBy("word").agg(F.bit_or("bits").alias("bits")).toArrow()
    bits = np.zeros(FILTER_BITS // 64, np.uint64)
    bits[whole.column("word").to_numpy()] = whole.column("bits").to_numpy().view(np.uint64)
    return rows.sparkSession.sparkContext.broadcast(bits)


def _words_of_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    bits = np.zeros(FILTER_BITS // 64, np.uint64)
    for batch in batches:
        place = _place(_joined(batch.column("buckets"), "<u4"))
        np.bitwise_or.at(bits, place >> np.uint64(6), np.uint64(1) << (place & np.uint64(63)))
    words = np.flatnonzero(bits)
    yield pa.RecordBatch.from_arrays(
        [pa.array(words.astype(np.int32)), pa.array(bits[words].view(np.int64))], names=["word", "bits"]
    )


def in_filter(bits: Any, buckets: Any) -> Any:
    """Which buckets the filter knows; it errs on the side of knowing."""
    place = _place(buckets)
    return (bits[place >> np.uint64(6)] >> (place & np.uint64(63))) & np.uint64(1) == 1


def _place(buckets: Any) -> Any:
    return spread(buckets) % np.uint64(FILTER_BITS)
