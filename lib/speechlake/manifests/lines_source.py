"""The Spark data source `speechlake.lines`: manifests as (file, offset, raw line), in Arrow batches.

Own code, because Spark's text readers skip names, glob on `[]{}*#`, hold a whole line however long,
and know no byte offsets. This module imports pyspark; everything pure is in `lines`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

from speechlake.manifests.contract import Source
from speechlake.manifests.lines import RANGE_BYTES, Lines, Range, packed, read_range

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

LINES_DDL: Final = (
    "uri string, format string, range_start bigint, line_in_range bigint, byte_offset bigint, "
    "raw binary, too_long boolean"
)


@dataclass
class Ranges(InputPartition):
    """The ranges that one task reads."""

    ranges: list[Range]


class LinesReader(DataSourceReader):
    """Plans ranges on the driver, reads them on executors."""

    def __init__(self, sources: Sequence[Source], range_bytes: int) -> None:
        self.sources = sources
        self.range_bytes = range_bytes

    def partitions(self) -> Sequence[InputPartition]:
        """About 32 MB each; small files together."""
        return [Ranges(ranges) for ranges in packed(self.sources, self.range_bytes)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """All lines of the partition's ranges, headers and blank lines included."""
        assert isinstance(partition, Ranges)
        for part in partition.ranges:
            seen = 0
            for lines in read_range(part):
                yield _batch(part, seen, lines)
                seen += len(lines.offsets)


class LinesSource(DataSource):
    """`spark.read.format("speechlake.lines")`; options `sources`, a JSON list of `Source` values, and `range_bytes`."""

    @classmethod
    def name(cls) -> str:
        return "speechlake.lines"

    def schema(self) -> str:
        return LINES_DDL

    def reader(self, schema: object) -> DataSourceReader:
        sources = [Source(**found) for found in json.loads(self.options["sources"])]
        return LinesReader(sources, int(self.options.get("range_bytes", RANGE_BYTES)))


def read_lines(
    spark: SparkSession, sources: Sequence[Source], *, range_bytes: int = RANGE_BYTES
) -> DataFrame:
    """Every line of `sources`, columns `LINES_DDL`; raw is null for the unreadable rest of a damaged .gz."""
    if not sources:
        return spark.createDataFrame([], LINES_DDL)
    spark.dataSource.register(LinesSource)
    plans = json.dumps([source.as_json() for source in sources])
    reader = spark.read.format("speechlake.lines").option("range_bytes", range_bytes)
    return reader.option("sources", plans).load()


def _batch(part: Range, seen: int, lines: Lines) -> pa.RecordBatch:
    import pyarrow as pa

    n = len(lines.offsets)
    return pa.RecordBatch.from_arrays(
        [
            pa.repeat(pa.scalar(part.uri, pa.string()), n),
            pa.repeat(pa.scalar(part.format, pa.string()), n),
            pa.repeat(pa.scalar(part.start, pa.int64()), n),
            pa.array(range(seen, seen + n), pa.int64()),
            pa.array(lines.offsets, pa.int64()),
            pa.array(lines.raw, pa.binary()),
            pa.array(lines.too_long, pa.bool_()),
        ],
        names=["uri", "format", "range_start", "line_in_range", "byte_offset", "raw", "too_long"],
    )
