"""Files that a user names for what a job says: there whole, or not at all."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from speechlake.damage import causes_in_java
from speechlake.errors import UsageError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

CSV_FILE = "--csv-file"


@contextmanager
def whole_file(path: Path, flag: str, *, errors: str = "strict") -> Iterator[TextIO]:
    """A UTF-8 file to write, that takes the place of `path` at the end; UsageError with the `flag` that named it where
    that cannot be. Line ends stay as they are written; `errors` is what becomes of lone surrogates."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", errors=errors, newline="") as out:
            yield out
        part.replace(path)
    except OSError as error:
        raise UsageError(f"{flag} {path}: cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def require_folder(file: Path | None, flag: str) -> None:
    """UsageError where a file that is named by `flag` cannot be one, before a job takes its time."""
    if file is not None and (file.is_dir() or not file.parent.is_dir()):
        raise UsageError(f"{flag} {file}: is a folder, or its folder does not exist")


def write_csv(frame: DataFrame, file: Path | None, most: int | None = None) -> int:
    """Write up to `most` rows to a file, or to standard output, as they come, holding a partition of them at a time; how
    many there are."""
    there = 0
    with whole_file(file, CSV_FILE) if file else nullcontext(sys.stdout) as out:
        writer = csv.writer(out)
        writer.writerow(frame.columns)
        for row in _rows(frame):
            there += 1
            if most is None or there <= most:
                writer.writerow(row)
    return there


def _rows(frame: DataFrame) -> Iterator[Row]:
    """The rows of a frame one by one; what goes wrong is raised as `collect` raises it, not as the thread in Java
    that serves them."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors.exceptions.captured import UnknownException, convert_exception

    try:
        yield from frame.toLocalIterator()
    except Py4JJavaError as error:
        for cause in causes_in_java(error):
            told = convert_exception(cause)
            if not isinstance(told, UnknownException):
                raise told from None
        raise
