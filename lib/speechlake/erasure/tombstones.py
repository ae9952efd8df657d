"""What is remembered of what was erased: salted hashes, which tell nobody's name and stop its return."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake

# Kinds that stay in `tombstones`. `source_id` are those that requests named, `given` those of all that went, which
# imports may still name. `lines` marks corpora that keep no refused lines any more: nobody can tell whose a line is
# that could not be read.
KEPT = ("speaker", "recording", "utterance", "source_id", "given", "manifest", "corpus", "lines")


def salt_of(lake: Lake) -> str:
    """The salt of the lake's tombstones; a new one where there are none."""
    from pyspark.sql import functions as F

    known = lake.read("tombstones").agg(F.min("salt").alias("salt")).collect()[0].salt
    return str(known) if known else secrets.token_hex(16)


def hash_of(salt: str, kind: str, *values: str) -> str:
    """sha256 of salt, kind and values, each behind its length, 64 hex digits."""
    digest = hashlib.sha256()
    for field in (salt, kind, *values):
        data = field.encode("utf-8")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def hashed(salt: str, kind: str, *values: str) -> Column:
    """The same of columns, or other SQL; null where a value is null."""
    from pyspark.sql import functions as F

    from speechlake.splits.keys import hash_of_all
    from speechlake.sql_text import literal

    return F.expr(hash_of_all(literal(salt), literal(kind), *values))


def of_kind(hashes: DataFrame, kind: str) -> DataFrame:
    """(hash) of one kind, each once."""
    return hashes.where(f"kind = '{kind}'").select("hash").distinct()


def known_hashes(lake: Lake, kind: str, values: list[str]) -> set[str]:
    """Those of a few `values` that were erased as `kind`."""
    from pyspark.sql import functions as F

    if not lake.exists("tombstones") or not values:
        return set()
    salt = salt_of(lake)
    by_hash = {hash_of(salt, kind, value): value for value in values}
    rows = lake.read("tombstones").where(F.col("hash").isin(list(by_hash))).select("hash").collect()
    return {by_hash[row.hash] for row in rows}
