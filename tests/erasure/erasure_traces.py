"""A search of a whole lake folder for what must not be there: raw bytes, decoded values of Parquet, and names of files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any


def traces(root: str | Path, needles: Iterable[str]) -> dict[str, list[str]]:
    """Needle -> the files below `root` that hold it, relative to it; needles that are nowhere are absent.

    Logs, checkpoints, checksums, locks and hidden files included. Pages of Parquet are compressed, so that
    values are read as well.
    """
    wanted = [(needle, needle.encode()) for needle in needles]
    found: dict[str, list[str]] = {}
    for file in sorted(path for path in Path(root).rglob("*") if path.is_file()):
        name = str(file.relative_to(root))
        hay = b"\0".join([name.encode(), file.read_bytes(), *_decoded(file)])
        for needle, data in wanted:
            if data in hay:
                found.setdefault(needle, []).append(name)
    return found


def _decoded(file: Path) -> Iterator[bytes]:
    import pyarrow.parquet as pq

    if file.suffix == ".parquet":
        for column in pq.ParquetFile(file).read().columns:
            for value in column.to_pylist():
                yield from _plain(value)


def _plain(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, Mapping):
        for each in value.items():
            yield from _plain(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _plain(each)
    elif value is not None:
        yield str(value).encode()
