"""sha256 of manifests, and how many lines stand before each of their byte ranges.

Decides whether a manifest is parsed again, and gives a refused line its number: one streamed read
serves both. A folder's text is its sorted relative paths joined by newlines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from speechlake.manifests.contract import Source
from speechlake.manifests.formats import FORMATS
from speechlake.manifests.lines import BLOCK_BYTES, RANGE_BYTES, folder_lines, ranges_of
from speechlake.manifests.places import open_binary

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame, SparkSession

HASHES_DDL: Final = (
    "uri string, format string, sha256 string, size_bytes bigint, "
    "ranges array<struct<range_start:bigint,lines_before:bigint>>"
)
_PER_TASK: Final = 64


@dataclass(frozen=True)
class Hashed:
    """What was read of one manifest. `lines_before` pairs a range's start with the lines that start before it."""

    sha256: str
    size_bytes: int
    lines_before: tuple[tuple[int, int], ...]


def sha256_of(source: Source, *, range_bytes: int = RANGE_BYTES) -> Hashed:
    """Hash of a manifest's bytes (of a .gz: of the compressed ones), streamed.

    No further than its ranges go: what was appended since they were made is not parsed, and must not be taken for
    parsed. The next run finds another hash.
    """
    digest = hashlib.sha256()
    if FORMATS[source.format].is_folder:
        return _of_folder(source, digest)
    parts = ranges_of(source, range_bytes)
    starts, end = [part.start for part in parts], parts[-1].end
    before = [(0, 0)]
    size = lines = 0
    with open_binary(source.uri) as stream:
        while True:
            # A line starts at n when byte n - 1 is a line end: blocks end one byte before a range starts.
            while len(before) < len(starts) and size == starts[len(before)] - 1:
                before.append((starts[len(before)], lines + 1))
            stop = starts[len(before)] - 1 if len(before) < len(starts) else end
            block = stream.read(BLOCK_BYTES if stop is None else min(BLOCK_BYTES, stop - size))
            if not block:
                break
            digest.update(block)
            size += len(block)
            lines += block.count(b"\n")
    return Hashed(digest.hexdigest(), size, tuple(before))


def hashes(spark: SparkSession, sources: Sequence[Source], *, range_bytes: int = RANGE_BYTES) -> DataFrame:
    """One row per source, columns `HASHES_DDL`, read in parallel on executors."""
    if not sources:
        return spark.createDataFrame([], HASHES_DDL)
    tasks = min(len(sources), max(spark.sparkContext.defaultParallelism, len(sources) // _PER_TASK))
    rows = [(s.uri, s.format, s.size_bytes) for s in sources]

    def hash_rows(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            found = [_row(Source(**row), range_bytes) for row in batch.to_pylist()]
            yield pa.RecordBatch.from_pylist(found, schema=_arrow_schema())

    given = spark.sparkContext.parallelize(rows, tasks).toDF("uri string, format string, size_bytes bigint")
    return given.mapInArrow(hash_rows, HASHES_DDL)


def line_number(ranges: Column, range_start: Column, line_in_range: Column) -> Column:
    """Line counted from 1, headers and blank lines included; `ranges` is the column of `hashes`."""
    from pyspark.sql import functions as F

    here = F.filter(ranges, lambda part: part["range_start"] == range_start)
    return F.element_at(here, 1)["lines_before"] + line_in_range + F.lit(1)


def _of_folder(source: Source, digest: Any) -> Hashed:
    size = 0
    for lines in folder_lines(source.uri):
        text = b"\n".join(raw for raw in lines.raw if raw is not None)
        text = b"\n" + text if size else text
        digest.update(text)
        size += len(text)
    return Hashed(digest.hexdigest(), size, ((0, 0),))


def _row(source: Source, range_bytes: int) -> dict[str, object]:
    found = sha256_of(source, range_bytes=range_bytes)
    ranges = [{"range_start": start, "lines_before": lines} for start, lines in found.lines_before]
    return {
        "uri": source.uri,
        "format": source.format,
        "sha256": found.sha256,
        "size_bytes": found.size_bytes,
        "ranges": ranges,
    }


def _arrow_schema() -> pa.Schema:
    import pyarrow as pa

    part = pa.struct([("range_start", pa.int64()), ("lines_before", pa.int64())])
    return pa.schema(
        [
            ("uri", pa.string()),
            ("format", pa.string()),
            ("sha256", pa.string()),
            ("size_bytes", pa.int64()),
            ("ranges", pa.list_(part)),
        ]
    )
