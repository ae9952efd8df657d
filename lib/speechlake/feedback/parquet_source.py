"""Parquet at an import's SOURCE: which of its columns Spark is told of, and its rows.

Spark refuses a whole file for one column of a type that it does not know, as times to the nanosecond, which pandas
writes. So it is told of those columns alone that the import needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING

from speechlake.errors import UsageError
from speechlake.feedback.spec import unseen_source
from speechlake.files import Files, as_is
from speechlake.manifests.places import open_binary

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType

# Parquet has them, and Spark here cannot read them.
_UNREAD_CODECS = ("BROTLI", "LZO")
# Spark has no numbers without a sign: what it reads them as.
_UNSIGNED: Mapping[str, str] = {
    "uint8": "smallint", "uint16": "int", "uint32": "bigint", "uint64": "decimal(20,0)",
}  # fmt: skip


def columns_of(uri: str, names: Sequence[str]) -> dict[str, pa.DataType]:
    """Types of all columns of a file, strings as strings however Arrow holds them.

    UsageError where it is no Parquet, or Spark cannot read a column of `names`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open_binary(uri) as stream:
            about = pq.read_metadata(stream)
            schema = about.schema.to_arrow_schema()
    except pa.ArrowException as error:
        raise UsageError(f"SOURCE {uri}: this is no Parquet file: {error}") from None
    except OSError as error:
        # So Arrow raises what its reader of Parquet cannot make out.
        if "thrift" in str(error):
            raise UsageError(f"SOURCE {uri}: this is no Parquet file: {error}") from None
        raise unseen_source(uri, error) from error
    _require_readable(uri, about, {*names})
    return {field.name: _plain(field.type) for field in schema}


def _require_readable(uri: str, about: pq.FileMetaData, names: Set[str]) -> None:
    """UsageError where Spark would end in a trace: two columns of one name, a codec that it does not have."""
    places = {n: name for n in range(about.num_columns) if (name := about.schema.column(n).path) in names}
    for name, times in Counter(places.values()).items():
        if times > 1:
            raise UsageError(f"SOURCE {uri}: column {name!r} is there twice")
    for group in map(about.row_group, range(about.num_row_groups)):
        for n, name in places.items():
            codec = group.column(n).compression
            if codec in _UNREAD_CODECS:
                raise UsageError(
                    f"SOURCE {uri}: column {name!r} is compressed by {codec.lower()}, which Spark cannot read",
                    hint="Write the file with zstd, snappy or gzip.",
                )


def _plain(kind: pa.DataType) -> pa.DataType:
    """What Arrow alone tells apart is one: strings of short and long columns, and those of a dictionary."""
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.string() if str(kind) in ("large_string", "string_view") else kind


def require_alike(files: Sequence[tuple[str, Mapping[str, pa.DataType]]], names: Sequence[str]) -> None:
    """UsageError where files differ in a column of `names`: Spark takes the schema of one for all, and reads nulls of a
    column that others lack. Or where it cannot tell a column from another one. `files` are pairs (URI, columns)."""
    first: dict[str, tuple[str, pa.DataType]] = {}
    for uri, columns in files:
        for name in names:
            if name in columns:
                first.setdefault(name, (uri, columns[name]))
            twins = [other for other in columns if other != name and other.lower() == name.lower()]
            if name in columns and twins:
                raise UsageError(
                    f"SOURCE {uri}: columns {name!r} and {twins[0]!r}: Spark does not tell capitals from small letters",
                    hint="Write the file with one of them, or rename one.",
                )
    for uri, columns in files:
        for name, (other, kind) in first.items():
            if columns.get(name) != kind:
                raise UsageError(
                    f"SOURCE {uri}: column {name!r} is {columns.get(name, 'not there')}, in {other} it is {kind}",
                    hint="One import takes files with the same columns.",
                )


def spark_schema(uri: str, columns: Mapping[str, pa.DataType], names: Sequence[str]) -> str:
    """DDL of those `columns` that are called one of `names`, as Spark reads them; UsageError for a type that it cannot."""
    from pyspark.sql.types import StructField, StructType

    wanted = {name: kind for name, kind in columns.items() if name in names}
    return StructType(
        [StructField(name, _spark_type(uri, name, kind)) for name, kind in wanted.items()]
    ).toDDL()


def _spark_type(uri: str, name: str, kind: pa.DataType) -> DataType:
    import pyarrow as pa
    from pyspark.errors import PySparkException
    from pyspark.sql.pandas.types import from_arrow_type
    from pyspark.sql.types import DataType, IntegerType

    if pa.types.is_null(kind):
        # Nothing but nulls: stored as whole numbers.
        return IntegerType()
    if str(kind) in _UNSIGNED:
        return DataType.fromDDL(_UNSIGNED[str(kind)])
    try:
        return from_arrow_type(kind)
    except PySparkException:
        raise UsageError(
            f"SOURCE {uri}: column {name!r} is {kind}, which Spark cannot read",
            hint="Values are numbers (float32 or float64, whole ones), truth values or strings.",
        ) from None


def parquet_rows(spark: SparkSession, uri: str, files: Sequence[str], schema: str) -> DataFrame:
    """Rows of the files at `uri`: exactly those that the digest covers, in whatever folders they lie.

    `schema` is DDL of the columns to read. Folders called `column=value` are columns where all files lie in such folders.
    """
    below = [file.removeprefix(uri).strip("/").split("/")[:-1] for file in files]
    if all(folders and all("=" in name for name in folders) for folders in below):
        reader = spark.read.option("basePath", Files(spark).spelt(uri))
    else:
        # Looking for columns in these names, Spark would leave out files whose folders are called otherwise.
        reader = spark.read.option("recursiveFileLookup", "true")
    return reader.schema(schema).parquet(*(as_is(Files(spark).spelt(file)) for file in files))
