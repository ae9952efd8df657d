"""Samples of keys in tables: a row per utterance as stored, a row of many samples on their way to where buckets meet.

All work here is a few numpy calls per Arrow batch of utterances.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from speechlake.duplicates.keys import unpack
from speechlake.duplicates.pairing import KEY_BITS
from speechlake.duplicates.sampling import LAGS, sampled

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
SAMPLED = ("utterance_id", "buckets", "frames", "contexts")
# One sample where buckets meet: 32 bytes.
SAMPLE = np.dtype([("bucket", "<u4"), ("frame", "<i4"), ("clip", "<i8"), ("context", "<u2", len(LAGS))])
PACKED_DDL = "lot int, fresh boolean, samples binary"
# So many are packed at once, 8 MB: a row of one lot holds no more. What a worker holds is up to the batch of stored rows
# that it was given, of 64 MB at most, and with what is made of it 180.
SAMPLES_PACKED = 250_000


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
    """One binary per clip, or lot, out of the values of all, one after another."""
    import pyarrow as pa

    width = values.itemsize * (values.shape[1] if values.ndim > 1 else 1)
    ends = np.concatenate([[0], np.cumsum(counts, dtype=np.int64) * width]).astype(np.int32)
    buffers = [None, pa.py_buffer(ends.tobytes()), pa.py_buffer(values.tobytes())]
    return pa.Array.from_buffers(pa.binary(), len(counts), buffers)


def packed(rows: DataFrame, lots: int, *, fresh: bool, wanted: Any = None) -> DataFrame:
    """Samples of rows of `key_buckets` in PACKED_DDL; `wanted` is a broadcast filter of `bucket_filter`, or null.

    A bucket is in one of `lots` lots. What moves is a row for many samples of a lot: a row for each would cost more
    than all else that is done with it.
    """
    return rows.select(*SAMPLED).mapInArrow(_Packing(lots, fresh, wanted), PACKED_DDL)


class _Packing:
    """Batches of stored rows -> batches of packed samples."""

    def __init__(self, lots: int, fresh: bool, wanted: Any) -> None:
        self.lots, self.fresh, self.wanted = lots, fresh, wanted

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held = np.empty(0, SAMPLE)
        for batch in batches:
            held = np.concatenate([held, self._samples(batch)])
            while len(held) >= SAMPLES_PACKED:
                yield self._packed(held[:SAMPLES_PACKED])
                held = held[SAMPLES_PACKED:]
        yield self._packed(held)

    def _samples(self, batch: pa.RecordBatch) -> Any:
        """The wanted samples of a batch of stored rows, of dtype SAMPLE."""
        buckets = _joined(batch.column("buckets"), "<u4")
        there = slice(None) if self.wanted is None else in_filter(self.wanted.value, buckets)
        sizes = np.diff(_ends(batch.column("buckets"))) // buckets.itemsize
        samples = np.empty(len(buckets[there]), SAMPLE)
        samples["bucket"] = buckets[there]
        samples["frame"] = _joined(batch.column("frames"), "<i4")[there]
        samples["clip"] = np.repeat(_clip_numbers(batch.column("utterance_id").to_pylist()), sizes)[there]
        samples["context"] = _joined(batch.column("contexts"), "<u2").reshape(-1, len(LAGS))[there]
        return samples

    def _packed(self, samples: Any) -> pa.RecordBatch:
        import pyarrow as pa

        lot = _mixed(samples["bucket"]).astype(np.uint64) * np.uint64(self.lots) >> np.uint64(32)
        counts = np.bincount(lot.astype(np.int64), minlength=self.lots)
        some = np.flatnonzero(counts)
        # Of numbers of 16 bits and less numpy counts how many there are of each, and needs not compare them.
        values = taken(samples, np.argsort(lot.astype(np.min_scalar_type(self.lots)), kind="stable"))
        columns = [pa.array(some.astype(np.int32)), pa.array(np.full(len(some), self.fresh))]
        names = [part.split()[0] for part in PACKED_DDL.split(", ")]
        return pa.RecordBatch.from_arrays([*columns, _binaries(values, counts[some])], names=names)


def taken(samples: Any, order: Any) -> Any:
    """Samples in another order. As bytes without fields: numpy else copies field by field, which takes ten times as long."""
    return samples.view(f"V{SAMPLE.itemsize}").take(order).view(SAMPLE)


def unpacked(batches: Sequence[pa.RecordBatch]) -> tuple[Any, Any]:
    """All samples of packed rows, of dtype SAMPLE, and which of them are fresh."""
    samples, fresh = [np.empty(0, SAMPLE)], [np.empty(0, bool)]
    for batch in batches:
        column, said = batch.column("samples"), batch.column("fresh").to_numpy(zero_copy_only=False)
        samples.append(_joined(column, SAMPLE))
        fresh.append(np.repeat(said, np.diff(_ends(column)) // SAMPLE.itemsize))
    return np.concatenate(samples), np.concatenate(fresh)


def _ends(column: pa.Array) -> Any:
    """Where each value of a column of binaries without nulls begins in its bytes, and where the last one ends."""
    if not len(column):
        return np.zeros(1, np.int32)
    return np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]


def _joined(column: pa.Array, kind: Any) -> Any:
    """All values of a column of binaries, one after another, without a copy."""
    ends, values = _ends(column), column.buffers()[2]
    # Arrow may leave out the buffer of a column in which all values are empty.
    return np.frombuffer(values or b"", np.uint8)[ends[0] : ends[-1]].view(kind)


def _clip_numbers(ids: list[str]) -> Any:
    heads = np.frombuffer(bytes.fromhex("".join(each[:16] for each in ids)), ">i8")
    return heads.astype(np.int64)


def bucket_filter(rows: DataFrame) -> Any:
    """A broadcast bit set of the buckets of `rows` (of `key_buckets`); the driver holds it, and 4 bytes per sample."""
    bits = np.zeros(FILTER_BITS // 8, np.uint8)
    for chunk in rows.select("buckets").toArrow().column("buckets").chunks:
        place = _place(_joined(chunk, "<u4"))
        np.bitwise_or.at(bits, place >> np.uint32(3), np.uint8(1) << (place & np.uint32(7)).astype(np.uint8))
    return rows.sparkSession.sparkContext.broadcast(bits)


def in_filter(bits: Any, buckets: Any) -> Any:
    """Which buckets the filter knows; it errs on the side of knowing."""
    place = _place(buckets)
    return (bits[place >> np.uint32(3)] >> (place & np.uint32(7)).astype(np.uint8)) & np.uint8(1) == 1


def _place(buckets: Any) -> Any:
    return _mixed(buckets) >> np.uint32(32 - FILTER_BITS.bit_length() + 1)


def _mixed(buckets: Any) -> Any:
    """32 bits whose upper ones are up to all of a bucket's: Knuth's multiplicative hashing, an odd factor near 2**32 over
    the golden ratio. No two buckets have one result."""
    return buckets * np.uint32(0x9E3779B1)
