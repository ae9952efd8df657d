"""Listing what lies under the roots of a corpus, on executors, for new, changed and missing audio.

The top two levels of folders are opened by tasks and dealt out again, so that neither one task nor the
driver sees everything; a flat folder of a million files is one task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from speechlake.manifests.places import Entry, entries, joined, walk

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

LISTING_DDL: Final = (
    "root string, path string, listing_key string, size_bytes bigint, problem string, detail string"
)
"""One row per file, and one per problem, which has only `root`, `problem` and `detail`.

NAME_NOT_UTF8: a file whose name no table can hold (detail: the name, escaped). UNREADABLE: a folder that
cannot be listed, or a file that cannot be looked at (detail: its path, empty for the root itself): it, and
files in it, are unknown, not missing."""

SEED_DEPTH: Final = 2
TASKS_PER_CORE: Final = 2
Row = tuple[str, str | None, str | None, int | None, str | None, str | None]
_SEED_DDL: Final = "root string, uri string, folder binary, deep boolean"
_BATCH: Final = 10_000


@dataclass(frozen=True)
class Seed:
    """A folder to list: all of it, or (`deep` false) only the files right in it."""

    folder: bytes
    deep: bool


def list_roots(spark: SparkSession, roots: Mapping[str, str]) -> DataFrame:
    """Every file under the roots (name -> URI), columns `LISTING_DDL`; never fails for one folder.

    Links to folders are not followed; links to regular files count as files.
    """
    if not roots:
        return spark.createDataFrame([], LISTING_DDL)
    everything = [(name, uri, b"", True) for name, uri in sorted(roots.items())]
    work = spark.sparkContext.parallelize(everything, len(everything)).toDF(_SEED_DDL)
    for _ in range(SEED_DEPTH):
        # Rows go round the tasks: neighbours, which tend to be alike in size, go to different ones.
        work = work.mapInArrow(_open, _SEED_DDL).repartition(
            TASKS_PER_CORE * spark.sparkContext.defaultParallelism
        )
    return work.mapInArrow(_list, LISTING_DDL)


def opened(uri: str, seed: Seed) -> list[Seed]:
    """The same work in parts: the files right in a deep folder, and each folder in it.

    A folder that cannot be listed stays as it is: whoever lists it reports it, or finds all of it by then.
    """
    if not seed.deep:
        return [seed]
    try:
        folders = _folders_in(uri, seed.folder)
    except OSError:
        return [seed]
    return [Seed(seed.folder, False), *(Seed(folder, True) for folder in folders)]


def listed(root: str, uri: str, seed: Seed) -> Iterator[Row]:
    """Rows of `LISTING_DDL` for one seed."""
    from speechlake.audio.storage import listing_key

    unreadable: list[bytes] = []
    for path, entry in _files(uri, seed, unreadable):
        try:
            name = path.decode("utf-8")
        except UnicodeDecodeError:
            yield root, None, None, None, "NAME_NOT_UTF8", _shown(path)
            continue
        size = entry.size_bytes or 0
        yield root, name, listing_key(size, entry.mtime_ns), size, None, None
    for place in unreadable:
        yield root, None, None, None, "UNREADABLE", _shown(place).rstrip("/")


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")


def _files(uri: str, seed: Seed, unreadable: list[bytes]) -> Iterator[tuple[bytes, Entry]]:
    if seed.deep:
        yield from walk(
            uri, measured=True, on_error=lambda place, _: unreadable.append(place), below=seed.folder
        )
        return
    try:
        here = entries(joined(uri, seed.folder) if seed.folder else uri, measured=True)
    except OSError:
        unreadable.append(seed.folder)
        return
    for entry in here:
        if entry.problem is not None:
            unreadable.append(seed.folder + entry.name)
        elif not entry.is_folder:
            yield seed.folder + entry.name, entry


def _folders_in(uri: str, folder: bytes) -> list[bytes]:
    """Folders right in `folder`, as relative paths with a slash."""
    here = entries(joined(uri, folder) if folder else uri)
    return [folder + entry.name + b"/" for entry in here if entry.is_folder]


def _open(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for batch in batches:
        rows = [
            {"root": given["root"], "uri": given["uri"], "folder": part.folder, "deep": part.deep}
            for given in batch.to_pylist()
            for part in opened(given["uri"], Seed(given["folder"], given["deep"]))
        ]
        yield pa.RecordBatch.from_pylist(rows, schema=batch.schema)


def _list(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    rows: list[Any] = []
    for batch in batches:
        for given in batch.to_pylist():
            for row in listed(given["root"], given["uri"], Seed(given["folder"], given["deep"])):
                rows.append(row)
                if len(rows) >= _BATCH:
                    yield _arrow(rows)
                    rows = []
    if rows:
        yield _arrow(rows)


def _arrow(rows: list[Any]) -> pa.RecordBatch:
    import pyarrow as pa

    types = (pa.string(), pa.string(), pa.string(), pa.int64(), pa.string(), pa.string())
    columns = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), types, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names=[part.split()[0] for part in LISTING_DDL.split(", ")])
