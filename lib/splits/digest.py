"""What a build is called: a digest of its policy, scheme, fingerprints and of the rows it yields, in any order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.ids import canonical_json, make_id
from speechlake.splits.keys import framed

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import StructField

# No text is so long: what stands for a null.
_NO_LENGTH = "F" * 16
# A hash of 256 bits is added up as four numbers of 64.
_PIECES = 4
_NUMBERS = ("rows", *(f"sum_{n}" for n in range(_PIECES)))


def build_id(policy_digest: str, scheme: str, fingerprints: Iterable[str], rows_digest: str) -> str:
    """Id of a build: the same whenever the same policy and models yield the same rows."""
    return make_id("build", policy_digest, scheme, canonical_json(sorted(set(fingerprints))), rows_digest)


def rows_digest(splits: DataFrame, decisions: DataFrame) -> str:
    """64 hex digits of all rows of both frames but their `build_id`; runs Spark once over each.

    Rows are hashed one by one and the hashes added, so that neither order nor partitions matter and a row
    that is there twice does not cancel itself.
    """
    return digested(splits, decisions)[0]


def digested(splits: DataFrame, decisions: DataFrame) -> tuple[str, dict[str, int]]:
    """`rows_digest`, and how many rows each of the two has, by name."""
    sums = [
        _sums(frame.drop("build_id"), name) for name, frame in (("splits", splits), ("decisions", decisions))
    ]
    rows = sums[0].unionByName(sums[1]).collect()
    said = sorted([str(value) for value in row] for row in rows)
    digest = hashlib.sha256(canonical_json(said).encode()).hexdigest()
    return digest, {row.name: int(row.rows) for row in rows}


def _sums(frame: DataFrame, name: str) -> DataFrame:
    """(name, rows, sum_0 … sum_3): one row."""
    fields = sorted(frame.schema.fields, key=lambda field: field.name)
    row = F.sha2(F.concat(*(_bytes(field) for field in fields)), 256)
    # Spark has no number of 64 bits without a sign; as decimals they took longer than the hashing.
    sums = frame.select(F.unhex(row).alias("hash")).mapInArrow(
        added, ", ".join(f"{number} decimal(38,0)" for number in _NUMBERS)
    )
    whole = [F.coalesce(F.sum(number), F.lit(0)).cast("decimal(38,0)").alias(number) for number in _NUMBERS]
    return sums.agg(F.lit(name).alias("name"), *whole)


def added(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """How many hashes a partition has, and the sums of their pieces, which are numbers of 64 bits, big-endian."""
    import numpy as np
    import pyarrow as pa

    rows, sums = 0, [0] * _PIECES
    for batch in batches:
        hashes = batch.column(0).cast(pa.binary(8 * _PIECES))
        words = np.frombuffer(hashes.buffers()[1], ">u4", offset=hashes.offset * 8 * _PIECES)
        # By halves: 2^32 numbers of 32 bits are added without a carry out of 64.
        halves = words[: 2 * _PIECES * len(hashes)].reshape(-1, 2 * _PIECES).sum(axis=0, dtype=np.uint64)
        rows += len(hashes)
        sums = [
            total + (int(high) << 32) + int(low)
            for total, high, low in zip(sums, halves[::2], halves[1::2], strict=True)
        ]
    columns = [pa.array([Decimal(number)], pa.decimal128(38, 0)) for number in (rows, *sums)]
    yield pa.RecordBatch.from_arrays(columns, [*_NUMBERS])


def _bytes(field: StructField) -> Column:
    """A value as bytes behind their length; null differs from every value."""
    kind, value = field.dataType.simpleString(), F.col(field.name)
    if kind == "double":
        # Java spells doubles differently in different versions; nine places are below what is measured.
        text = value.try_cast("decimal(38,9)").cast("string")
    elif kind.startswith("map"):
        entries = F.map_entries(value)
        pairs = F.transform(entries, lambda e: F.hex(F.concat(framed(e["key"]), framed(e["value"]))))
        text = F.array_join(F.sort_array(pairs), ",")
    elif kind.startswith("array"):
        text = F.array_join(F.transform(value, lambda item: F.hex(framed(item))), ",")
    else:
        text = value.cast("string")
    return F.coalesce(framed(text), F.unhex(F.lit(_NO_LENGTH)))
