"""Files that a user names for what a job says: there whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from speechlake.errors import UsageError


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
