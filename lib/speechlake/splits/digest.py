"""What a build is called: a digest of its policy, scheme, fingerprints and of the rows it yields, in any order."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import MapType

from speechlake.ids import canonical_json, make_id
from speechlake.splits.keys import framed
from speechlake.sql_text import literal, name

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame
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
        _sums(frame.drop("build_id"), what) for what, frame in (("splits", splits), ("decisions", decisions))
    ]
    rows = sums[0].unionByName(sums[1]).collect()
    said = sorted([str(value) for value in row] for row in rows)
    digest = hashlib.sha256(canonical_json(said).encode()).hexdigest()
    return digest, {row.name: int(row.rows) for row in rows}


def _sums(frame: DataFrame, what: str) -> DataFrame:
    """(name, rows, sum_0 … sum_3): one row."""
    fields = sorted(frame.schema.fields, key=lambda field: field.name)
    maps = [field.name for field in fields if isinstance(field.dataType, MapType)]
    one = frame.select(*maps).first() if maps else None
    keys = {} if one is None else {column: tuple(one[column] or ()) for column in maps}
    row = ", ".join(_bytes(field, keys.get(field.name, ())) for field in fields)
    # Spark has no number of 64 bits without a sign; as decimals they took longer than the hashing.
    sums = frame.select(F.expr(f"unhex(sha2(concat({row}), 256))").alias("hash")).mapInArrow(
        added, ", ".join(f"{number} decimal(38,0)" for number in _NUMBERS)
    )
    whole = [F.coalesce(F.sum(number), F.lit(0)).cast("decimal(38,0)").alias(number) for number in _NUMBERS]
    return sums.agg(F.lit(what).alias("name"), *whole)


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


def _bytes(field: StructField, keys: Collection[str] = ()) -> str:
    """SQL: a value as bytes behind their length; null differs from every value. `keys` are those that most maps have."""
    kind, value = field.dataType.simpleString(), name(field.name)
    if kind == "double":
        # Java spells doubles differently in different versions; nine places are below what is measured.
        text = f"cast(try_cast({value} AS decimal(38,9)) AS string)"
    elif kind.startswith("map"):
        text = _entries(value, keys)
    elif kind.startswith("array"):
        text = f"array_join(transform({value}, item -> hex({framed('item')})), ',')"
    else:
        text = f"cast({value} AS string)"
    return f"coalesce({framed(text)}, X'{_NO_LENGTH}')"


def _entries(value: str, keys: Collection[str]) -> str:
    """SQL: the entries of a map as text, in the order of their bytes, whatever `keys` are.

    Of a map that has these and no others Spark compiles it. It would interpret a function of all entries, which took a
    third of the time of a digest.
    """

    def entry(key: str, of_key: str) -> str:
        return f"hex(concat({framed(key)}, {framed(of_key)}))"

    pairs = f"transform(map_entries({value}), each -> {entry('each.key', 'each.value')})"
    any_other = f"array_join(sort_array({pairs}), ',')"
    if not keys:
        return any_other
    # As `framed` has their length first.
    ordered = sorted(keys, key=lambda key: (len(key.encode()), key.encode()))
    known = {literal(key): f"try_element_at({value}, {literal(key)})" for key in ordered}
    these = " AND ".join(
        [f"size({value}) = {len(keys)}", *(f"{said} IS NOT NULL" for said in known.values())]
    )
    told = ", ".join(entry(key, said) for key, said in known.items())
    return f"CASE WHEN {these} THEN concat_ws(',', {told}) ELSE {any_other} END"
