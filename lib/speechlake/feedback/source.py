"""What lies at an import's SOURCE: JSON lines, Parquet or a Delta table; its content's digest, its types.

A file, or a folder of such files. The digest covers names and bytes, in the order of the names; a Delta
table's covers the names of its files, which are never written twice.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from speechlake.config import near
from speechlake.damage import GONE, told
from speechlake.errors import UsageError
from speechlake.feedback.json_values import JsonNames, names_seen, types_seen
from speechlake.feedback.parquet_source import columns_of, parquet_rows, require_alike, spark_schema
from speechlake.feedback.spec import Import, Source, sentence, unseen_source
from speechlake.feedback.verdicts import MAY_LACK
from speechlake.files import Files
from speechlake.ids import canonical_json
from speechlake.manifests.contract import Source as Lines
from speechlake.manifests.hashing import hashes
from speechlake.manifests.lines import read_range
from speechlake.manifests.places import entry_of, joined, local_uri, walk
from speechlake.uris import is_local, local_path, require_place

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

FORMATS: tuple[str, ...] = ("auto", "parquet", "jsonl", "delta")
SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "parquet": (".parquet", ".pq"),
    "jsonl": (".jsonl", ".json", ".ndjson", ".jsonl.gz", ".json.gz", ".ndjson.gz"),
}
# Name of the format of `manifests` whose files are JSON lines: its reader is used, its parser is not.
JSON_LINES = "nemo"
# Lines from which the type of a column is told that nobody names.
LINES_LOOKED_AT = 1000
_NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double")


def found_source(spark: SparkSession, spec: Import, uri: str, said: str = "auto") -> Source:
    """Look at `uri`: what it is, its digest, and the types of the columns of `spec`.

    UsageError where there is nothing, it cannot be told what it is, or a column is not there or of a type that
    cannot be imported.
    """
    require_place(uri, "SOURCE")
    place = local_uri(local_path(uri)) if is_local(uri) else uri
    entry = _entry(place)
    if said == "delta" or (said == "auto" and entry.is_folder and _entry_or_none(f"{place}/_delta_log")):
        return _delta(spark, spec, Files(spark).spelt(place))
    files = _files(place, entry)
    kind = said if said != "auto" else _kind(place, [name for name, _ in files])
    chosen = [(name, size) for name, size in files if not entry.is_folder or name.endswith(SUFFIXES[kind])]
    if not chosen:
        raise UsageError(f"SOURCE {uri}: no file ends in {' or '.join(SUFFIXES[kind])}")
    uris = [(joined(place, name.encode()) if entry.is_folder else place, size) for name, size in chosen]
    sha256 = _digest(spark, [name for name, _ in chosen] if entry.is_folder else [""], uris)
    if kind == "jsonl":
        head = _head(place, uris)
        _require_names(spark, spec, place, uris, head)
        types = {name: told for name, told in types_seen(head, spec.fields).items() if told}
        return Source(place, "jsonl", sha256, tuple(uris), types=types)
    return _parquet(spark, spec, place, Source(place, "parquet", sha256, tuple(uris)))


def with_types(spec: Import, source: Source) -> Import:
    """`spec` with a type for every column: the one that is asked for, which the source must agree with."""
    from dataclasses import replace

    columns = []
    for column in spec.columns:
        there = source.types.get(column.field)
        if column.type is None and there is None:
            looked_at = (
                f"its first {LINES_LOOKED_AT} lines do" if source.format == "jsonl" else "nulls alone do"
            )
            raise UsageError(
                f"SOURCE {source.uri}: {looked_at} not tell the type of {column.field!r}",
                hint=f"Say it: --column {column.name}={column.field}:number, :boolean or :string.",
            )
        if source.format != "jsonl" and there and column.type not in (None, there):
            raise UsageError(
                f"SOURCE {source.uri}: column {column.field!r} is {there}, --column asks for {column.type}"
            )
        if column.field == spec.text and (column.type or there) != "string":
            raise UsageError(
                f"column {column.field!r} is a text by --text and {column.type or there} by --column"
            )
        columns.append(replace(column, type=column.type or there))
    if spec.text and source.format != "jsonl" and source.types.get(spec.text) != "string":
        raise UsageError(
            f"SOURCE {source.uri}: column {spec.text!r} is {source.types.get(spec.text, 'null')}, a text is a string"
        )
    return replace(spec, columns=tuple(columns))


def unreadable(source: Source, error: Exception) -> UsageError | None:
    """What to raise where an error of Spark comes down to a file of the source that is gone or damaged; else None."""
    said = told(error)
    # Spark spells a file's address with one, two or three slashes, and escaped or not.
    where = re.sub(r"^\w+:/+", "/", source.uri)
    spelled = [line for line in said.splitlines() if where in line or where in unquote(line)]
    if not (GONE.search(said) or "PATH_NOT_FOUND" in said) or not spelled:
        return None
    return UsageError(f"SOURCE {source.uri}: a file of it is gone or damaged: {spelled[0].strip()[:300]}")


def _entry(place: str) -> Any:
    found = _entry_or_none(place)
    if found is None:
        raise UsageError(f"SOURCE {place}: there is no such file or folder")
    return found


def _entry_or_none(place: str) -> Any:
    try:
        return entry_of(place)
    except OSError as error:
        raise unseen_source(place, error) from error


def _files(place: str, entry: Any) -> list[tuple[str, int]]:
    """(name below `place`, size) of the files, hidden ones left out as Spark leaves them out."""
    if not entry.is_folder:
        return [(entry.name.decode("utf-8", "replace"), entry.size_bytes or 0)]
    try:
        names = [(path, each.size_bytes or 0) for path, each in walk(place, measured=True)]
    except OSError as error:
        raise unseen_source(place, error) from error
    shown = [(path.decode("utf-8", "replace"), size) for path, size in names]
    return [(name, size) for name, size in shown if not any(p[0] in "._" for p in name.split("/"))]


def _kind(place: str, names: Sequence[str]) -> str:
    fitting = [kind for kind, suffixes in SUFFIXES.items() if any(name.endswith(suffixes) for name in names)]
    if len(fitting) == 1:
        return fitting[0]
    what = (
        "holds Parquet and JSON files" if fitting else "is neither JSON lines, nor Parquet, nor a Delta table"
    )
    raise UsageError(f"SOURCE {place} {what}", hint="Say which: --format parquet, jsonl or delta.")


def _require_names(
    spark: SparkSession,
    spec: Import,
    place: str,
    uris: Sequence[tuple[str, int]],
    head: Sequence[bytes],
) -> None:
    """UsageError for a column that no line names: nothing would be current of it, and what was no more.

    All lines are read only where the first do not name it.
    """
    from speechlake.manifests.lines_source import read_lines

    known, may_lack = names_seen(head), {column.field for column in MAY_LACK.intersection(spec.columns)}
    if head and not known and not all(column.type for column in spec.columns):
        raise UsageError(
            f"SOURCE {place}: none of the first {len(head)} lines is a JSON object",
            hint="JSON lines hold one object on each line, in UTF-8.",
        )
    lacking = frozenset(_needed(spec)) - known - may_lack
    if lacking and known:
        lines = read_lines(spark, [Lines(uri, JSON_LINES, size) for uri, size in uris])
        rows = lines.mapInArrow(JsonNames(lacking).batches, "name string").distinct().collect()
        for name in sorted(lacking - {row.name for row in rows}):
            raise _no_column(spec, place, name, known)


def _parquet(spark: SparkSession, spec: Import, place: str, source: Source) -> Source:
    """`source` with what Spark is told of its files, and the types of what is imported."""
    from dataclasses import replace

    names = [spec.key, "corpus", *spec.fields]
    for uri, _ in source.files:
        _require_read(uri)
    columns = [(uri, columns_of(uri, names)) for uri, _ in source.files]
    require_alike(columns, names)
    uri, there = columns[0]
    schema = spark_schema(uri, there, names)
    read = parquet_rows(spark, place, [each for each, _ in source.files], schema).schema
    types = _types(read, spec, place, others=there)
    # Of nothing but nulls nobody knows what they are.
    types = {name: kind for name, kind in types.items() if str(there.get(name)) != "null"}
    return replace(source, types=types, schema=schema)


def _require_read(uri: str) -> None:
    """UsageError where Spark would leave a file out, or cannot open it, for its name alone."""
    name = uri.rsplit("/", 1)[-1]
    if name.startswith((".", "_")) or (is_local(uri) and ":" in name):
        raise UsageError(
            f"SOURCE {uri}: Spark does not read a file of this name",
            hint="Rename it: no '.' or '_' in front, no ':' in it.",
        )


def _digest(spark: SparkSession, names: Sequence[str], uris: Sequence[tuple[str, int]]) -> str:
    """sha256 of a single file's bytes, or of the names and hashes of several."""
    rows = (
        hashes(spark, [Lines(uri, JSON_LINES, size) for uri, size in uris]).select("uri", "sha256").collect()
    )
    found = {row.uri: row.sha256 for row in rows}
    said = [[name, found[uri]] for name, (uri, _) in zip(names, uris, strict=True)]
    return said[0][1] if names == [""] else _sha256(said)


def _delta(spark: SparkSession, spec: Import, place: str) -> Source:
    from delta.tables import DeltaTable

    if not DeltaTable.isDeltaTable(spark, place):
        raise UsageError(f"SOURCE {place} is not a Delta table")
    table = DeltaTable.forPath(spark, place)
    version = int(table.history(1).select("version").collect()[0].version)
    frame = spark.read.format("delta").option("versionAsOf", version).load(place)
    names = sorted(name.rsplit("/", 1)[-1] for name in frame.inputFiles())
    properties = table.detail().select("properties").collect()[0].properties
    is_mapped = properties.get("delta.columnMapping.mode", "none") != "none"
    if is_mapped or properties.get("delta.enableDeletionVectors") == "true":
        # Rows may go, and columns change their names, while the files stay.
        names.append(f"version {version}")
    types = _types(frame.schema, spec, place)
    return Source(place, "delta", _sha256(names), version=version, types=types)


def _types(schema: StructType, spec: Import, place: str, others: Iterable[str] = ()) -> dict[str, str]:
    """Our types of the columns that `spec` imports; UsageError for a column that is not there or of another type.

    `others` are columns that are not looked at.
    """
    there = {field.name: field.dataType.simpleString() for field in schema.fields}
    for name in [spec.key, *_needed(spec)]:
        if name not in there:
            raise _no_column(spec, place, name, {*there, *others})
    if there[spec.key] != "string":
        raise UsageError(f"SOURCE {place}: column {spec.key!r} is {there[spec.key]}, an id is a string")
    types = {name: _type(there[name]) for name in spec.fields}
    for name, kind in types.items():
        if kind is None:
            raise UsageError(
                f"SOURCE {place}: column {name!r} is {there[name]}; values are numbers, truth values or strings"
            )
    return {name: kind for name, kind in types.items() if kind}


def _needed(spec: Import) -> list[str]:
    """Columns that a source must have beside its key."""
    return [*spec.fields, *(["corpus"] if spec.by_source_id and spec.corpus is None else [])]


def _no_column(spec: Import, place: str, name: str, known: Iterable[str]) -> UsageError:
    hint = sentence(near(name, sorted(known)))
    if name not in (spec.key, *spec.fields):
        hint = "A --source-id is one of a corpus: name it by --corpus, or in a column corpus."
    return UsageError(f"SOURCE {place} has no column {name!r}", hint=hint)


def _type(spark_type: str) -> str | None:
    if spark_type in _NUMBERS or spark_type.startswith("decimal"):
        return "number"
    return spark_type if spark_type in ("boolean", "string") else None


def _head(place: str, uris: Iterable[tuple[str, int]]) -> list[bytes]:
    """The first lines of the first file that has any; UsageError where no file has, not even one that cannot be read."""
    from speechlake.manifests.lines import Range

    found: list[bytes] = []
    is_damaged = False
    for uri, _ in uris:
        for lines in read_range(Range(uri, JSON_LINES, 0, None)):
            found += [raw for raw in lines.raw if raw]
            is_damaged = is_damaged or None in lines.raw
            if len(found) >= LINES_LOOKED_AT:
                break
        if found:
            break
    if not found and not is_damaged:
        raise UsageError(f"SOURCE {place}: there are no rows")
    return found[:LINES_LOOKED_AT]


def _sha256(value: object) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
