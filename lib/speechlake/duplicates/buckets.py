"""Samples of keys on their way from tables to where buckets meet: a row of keys per utterance, then a row of many samples.

All work here is a few numpy calls per Arrow batch of utterances.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from speechlake.duplicates.pairing import KEY_BITS
from speechlake.duplicates.sampling import ALL_BELOW, LAGS, RATE, Clips, sampled

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

# Of buckets that new audio has, 2**28 bits (32 MB in each worker) remember which: whoever is not there need not be looked
# at. With a quarter of that, every second sample that came through was there by chance.
FILTER_BITS = 1 << 28
# With more new samples than a tenth of all keys, too much of what was there meets them for the filter to be worth its pass.
FILTERED_BELOW = (1 << KEY_BITS) // 10

KEYED = ("utterance_id", "keys", "active", "is_fresh")
# One sample where buckets meet: 32 bytes.
SAMPLE = np.dtype([("bucket", "<u4"), ("frame", "<i4"), ("clip", "<i8"), ("context", "<u2", len(LAGS))])
PACKED_DDL = "lot int, is_fresh boolean, samples binary"
# Once there are so many, 8 MB, they are packed: a row of one lot holds about as many at most.
SAMPLES_PACKED = 250_000
# Clips of so many frames are sampled at once, 20 MB. Of four times as many nothing stays in the processor's cache, and they
# take half as long again.
FRAMES_AT_ONCE = 250_000


def clip_number(utterance_id: Column) -> Column:
    """The first 64 bits of an id as a signed number: what samples carry in place of 32 letters."""
    from pyspark.sql import functions as F

    return F.conv(F.substring(utterance_id, 1, 16), 16, -10).cast("bigint")


def samples_expected(frames: str) -> Column:
    """How many samples a clip with so many `frames` (a column) gives at most, but for chance, if all of them are active."""
    from pyspark.sql import functions as F

    some = F.greatest(F.lit(ALL_BELOW), F.ceil(F.col(frames) * RATE))
    return F.when(F.col(frames) < ALL_BELOW, F.col(frames)).when(F.col(frames) >= ALL_BELOW, some).cast("int")


def _binaries(values: Any, counts: Any) -> pa.Array:
    """One binary per clip, or lot, out of the values of all, one after another."""
    import pyarrow as pa

    width = values.itemsize * (values.shape[1] if values.ndim > 1 else 1)
    ends = np.concatenate([[0], np.cumsum(counts, dtype=np.int64) * width]).astype(np.int32)
    buffers = [None, pa.py_buffer(ends.tobytes()), pa.py_buffer(values.tobytes())]
    return pa.Array.from_buffers(pa.binary(), len(counts), buffers)


def in_lots(keyed: DataFrame, lots: int, wanted: Any = None) -> DataFrame:
    """Samples of rows of KEYED in PACKED_DDL: all of what `is_fresh`, and of the rest what is in `wanted`, a broadcast
    filter of `bucket_filter`, or null for all.

    A bucket is in one of `lots` lots. What moves is a row for many samples of a lot: a row for each would cost more
    than all else that is done with it.
    """
    return keyed.select(*KEYED).mapInArrow(_Lots(lots, wanted), PACKED_DDL)


class _Lots:
    """Batches of keys -> batches of packed samples."""

    def __init__(self, lots: int, wanted: Any) -> None:
        self.lots, self.wanted = lots, wanted

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow.compute as pc

        held: dict[bool, list[Any]] = {True: [], False: []}
        for batch in batches:
            said = batch.column("is_fresh")
            for fresh, where in ((True, said), (False, pc.invert(said))):
                for clips in _few_at_once(batch.filter(where)):
                    held[fresh].append(self._samples(clips, fresh))
                    if sum(map(len, held[fresh])) >= SAMPLES_PACKED:
                        yield self._packed(held[fresh], fresh)
                        held[fresh] = []
        for fresh, rest in held.items():
            yield self._packed(rest, fresh)

    def _samples(self, batch: pa.RecordBatch, fresh: bool) -> Any:
        """The wanted samples of a batch of keys, of dtype SAMPLE."""
        among = None if fresh or self.wanted is None else partial(in_filter, self.wanted.value)
        found = sampled(_clips(batch), among)
        samples = np.empty(len(found.bucket), SAMPLE)
        samples["bucket"], samples["frame"], samples["context"] = found.bucket, found.frame, found.context
        samples["clip"] = _clip_numbers(batch.column("utterance_id").to_pylist())[found.clip]
        return samples

    def _packed(self, held: list[Any], fresh: bool) -> pa.RecordBatch:
        import pyarrow as pa

        samples = np.concatenate([np.empty(0, SAMPLE), *held])
        lot = _mixed(samples["bucket"]).astype(np.uint64) * np.uint64(self.lots) >> np.uint64(32)
        counts = np.bincount(lot.astype(np.int64), minlength=self.lots)
        some = np.flatnonzero(counts)
        # Of numbers of 16 bits and less numpy counts how many there are of each, and needs not compare them.
        values = taken(samples, np.argsort(lot.astype(np.min_scalar_type(self.lots)), kind="stable"))
        columns = [pa.array(some.astype(np.int32)), pa.array(np.full(len(some), fresh))]
        names = [part.split()[0] for part in PACKED_DDL.split(", ")]
        return pa.RecordBatch.from_arrays([*columns, _binaries(values, counts[some])], names=names)


def taken(samples: Any, order: Any) -> Any:
    """Samples in another order. As bytes without fields: numpy else copies field by field, which takes ten times as long."""
    return samples.view(f"V{SAMPLE.itemsize}").take(order).view(SAMPLE)


def _few_at_once(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The rows of a batch, of FRAMES_AT_ONCE frames or a single clip each time."""
    ends, begin = _ends(batch.column("keys")).astype(np.int64) // 4, 0
    while begin < batch.num_rows:
        end = int(np.searchsorted(ends, ends[begin] + FRAMES_AT_ONCE, side="right")) - 1
        yield batch.slice(begin, max(1, end - begin))
        begin = max(begin + 1, end)


def _clips(batch: pa.RecordBatch) -> Clips:
    """Keys and flags of a batch as `keys.pack` packed them: eight flags to a byte, the last byte of a clip filled up."""
    keys, flags = _joined(batch.column("keys"), "<u4"), _joined(batch.column("active"), np.uint8)
    sizes, lengths = np.diff(_ends(batch.column("keys"))) // 4, np.diff(_ends(batch.column("active")))
    ends, beyond = np.cumsum(lengths, dtype=np.int64), 8 * lengths - sizes
    filled = np.repeat(8 * ends - np.cumsum(beyond), beyond) + np.arange(beyond.sum())
    active = np.delete(np.unpackbits(flags, bitorder="little"), filled)
    ones = np.concatenate([[0], np.cumsum(np.bitwise_count(flags), dtype=np.int64)])
    return Clips(keys * active, sizes.astype(np.int64), ones[ends] - ones[ends - lengths])


def out_of_lots(batches: Sequence[pa.RecordBatch]) -> tuple[Any, Any]:
    """All samples of packed rows, of dtype SAMPLE, and which of them are fresh."""
    samples, fresh = [np.empty(0, SAMPLE)], [np.empty(0, bool)]
    for batch in batches:
        column, said = batch.column("samples"), batch.column("is_fresh").to_numpy(zero_copy_only=False)
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


def bucket_filter(keyed: DataFrame) -> Any:
    """A broadcast bit set of the buckets of rows with `keys` and `active`; the driver holds it, and 4 bytes per sample."""
    bits = np.zeros(FILTER_BITS // 8, np.uint8)
    rows = keyed.select("keys", "active").mapInArrow(_buckets, "buckets binary")
    for chunk in rows.toArrow().column("buckets").chunks:
        place = _place(_joined(chunk, "<u4"))
        np.bitwise_or.at(bits, place >> np.uint32(3), np.uint8(1) << (place & np.uint32(7)).astype(np.uint8))
    return keyed.sparkSession.sparkContext.broadcast(bits)


def _buckets(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for clips in (few for batch in batches for few in _few_at_once(batch)):
        found = sampled(_clips(clips)).bucket
        yield pa.RecordBatch.from_arrays([_binaries(found, np.array([len(found)]))], names=["buckets"])


def in_filter(bits: Any, buckets: Any) -> Any:
    """Which buckets the filter knows; it errs on the side of knowing."""
    place = _place(buckets)
    # By `take`, with an index that needs no check: twice as fast as brackets.
    found = bits.take((place >> np.uint32(3)).astype(np.intp), mode="clip")
    return (found >> (place & np.uint32(7)).astype(np.uint8)) & np.uint8(1) == 1


def _place(buckets: Any) -> Any:
    return _mixed(buckets) >> np.uint32(32 - FILTER_BITS.bit_length() + 1)


def _mixed(buckets: Any) -> Any:
    """32 bits whose upper ones are up to all of a bucket's: Knuth's multiplicative hashing, an odd factor near 2**32 over
    the golden ratio. No two buckets have one result."""
    return buckets * np.uint32(0x9E3779B1)
