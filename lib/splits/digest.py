"""What a build is called: a digest of its policy, scheme, fingerprints and of the rows it yields, in any order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.ids import canonical_json, make_id
from speechlake.splits.keys import framed

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import StructField

_HEX_PER_PIECE = 16


def build_id(policy_digest: str, scheme: str, fingerprints: Iterable[str], rows_digest: str) -> str:
    """Id of a build: the same whenever the same policy and models yield the same rows."""
    return make_id("build", policy_digest, scheme, canonical_json(sorted(set(fingerprints))), rows_digest)


def rows_digest(splits: DataFrame, decisions: DataFrame) -> str:
    """64 hex digits of all rows of both frames but their `build_id`; runs Spark once over each.

    Rows are hashed one by one and the hashes added, so that neither order nor partitions matter and a row
    that is there twice does not cancel itself.
    """
    sums = [
        _sums(frame.drop("build_id"), name) for name, frame in (("splits", splits), ("decisions", decisions))
    ]
    rows = sums[0].unionByName(sums[1]).collect()
    said = sorted([str(value) for value in row] for row in rows)
    return hashlib.sha256(canonical_json(said).encode()).hexdigest()


def _sums(frame: DataFrame, name: str) -> DataFrame:
    fields = sorted(frame.schema.fields, key=lambda field: field.name)
    row = F.sha2(F.concat(*(_bytes(field) for field in fields)), 256)
    # 20 digits a piece and 10^10 rows: the sums stay within the 38 digits of a decimal.
    pieces = [
        F.conv(F.substring(row, start, _HEX_PER_PIECE), 16, 10).cast("decimal(20,0)")
        for start in (1, 17, 33, 49)
    ]
    sums = [
        F.coalesce(F.sum(piece), F.lit(0)).cast("decimal(38,0)").alias(f"sum_{n}")
        for n, piece in enumerate(pieces)
    ]
    return frame.agg(F.lit(name).alias("name"), F.count("*").alias("rows"), *sums)


def _bytes(field: StructField) -> Column:
    """A value as bytes behind their length; null differs from every value."""
    kind, value = field.dataType.simpleString(), F.col(field.name)
    if kind == "double":
        # Java spells doubles differently in different versions; nine places are below what is measured.
        text = value.try_cast("decimal(38,9)").cast("string")
    elif kind.startswith("map"):
        pairs = F.transform(F.map_entries(value), lambda e: F.concat(framed(e["key"]), framed(e["value"])))
        text = F.array_join(F.array_sort(F.transform(pairs, F.hex)), ",")
    elif kind.startswith("array"):
        text = F.array_join(F.transform(value, lambda item: F.hex(framed(item))), ",")
    else:
        text = value.cast("string")
    return F.coalesce(framed(text), F.unhex(F.lit("F" * _HEX_PER_PIECE)))
