"""What an import is asked to be: its name, which columns become values, which one becomes a text.

Every value column has a fingerprint of its own, so that `signals_imported` is keyed like every other table
of signals: (utterance, content, fingerprint, inputs).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from speechlake.errors import SpeechlakeError, UsageError
from speechlake.uris import unseen

# Words that are joined by single underscores: two names joined by two of them stay two names.
STRICT = r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*"
PREFIX = "imported."
TYPES: tuple[str, ...] = ("number", "boolean", "string")
# Where a value of each type is stored, in `signals_imported`.
STORED: Mapping[str, str] = {"number": "number", "boolean": "flag", "string": "word"}
SPARK_TYPES: Mapping[str, str] = {"number": "double", "boolean": "boolean", "string": "string"}
VERSION = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
NAME_CHARACTERS = 64


@dataclass(frozen=True)
class ValueColumn:
    """A column of the source, what its values are called, and their type (null: as the source has it)."""

    name: str
    field: str
    type: str | None = None


@dataclass(frozen=True)
class Import:
    """One import. `key` is the column that names the utterance: its id, or its source_id in `corpus`.

    `corpus` null: the rows' own column `corpus`, where they are keyed by source_id. `text` is the column that
    becomes a transcript of `kind`, in `language` (null: that of the utterance).
    """

    name: str
    version: str = "1"
    columns: tuple[ValueColumn, ...] = ()
    text: str | None = None
    kind: Literal["machine", "human"] | None = None
    language: str | None = None
    corpus: str | None = None
    key: str = "utterance_id"
    by_source_id: bool = False

    def __post_init__(self) -> None:
        _strict("--name", self.name)
        if not re.fullmatch(VERSION, self.version):
            raise UsageError(f"--version {self.version!r}: expected 1-64 letters, digits, '.', '_', '-'")
        names = [column.name for column in self.columns]
        for name in names:
            _strict("--column", name)
            if names.count(name) > 1:
                raise UsageError(f"--column: {name!r} is named twice")
        if not self.columns and self.text is None:
            raise UsageError("nothing is imported", hint="Name a --column with values, or --text.")
        if (self.text is None) != (self.kind is None):
            raise UsageError("--text and --kind go together: --text COLUMN --kind machine|human")

    @property
    def source(self) -> str:
        """The source of its texts in `transcripts`, and in a policy's `text.prefer`."""
        return f"import:{self.name}"

    @property
    def fields(self) -> list[str]:
        """Columns of the source that hold what is imported, each once."""
        said = [column.field for column in self.columns]
        return list(dict.fromkeys([*said, *([self.text] if self.text else [])]))

    def as_json(self) -> dict[str, Any]:
        """Plain values, for the ledger and for the note of a stage."""
        return asdict(self)


@dataclass(frozen=True)
class Source:
    """A source that was looked at: its files, and a digest of its content.

    `version` is that of a Delta table. `types` are those of the imported columns that the source itself tells, `schema` is
    what Spark is told of Parquet files, as DDL.
    """

    uri: str
    format: Literal["parquet", "jsonl", "delta"]
    sha256: str
    files: tuple[tuple[str, int], ...] = ()
    version: int | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    schema: str = ""

    @property
    def base_name(self) -> str:
        """The last part of where it lies: provenance, and no part of any fingerprint."""
        return self.uri.rstrip("/").rsplit("/", 1)[-1]


def unseen_source(place: str, error: OSError) -> SpeechlakeError:
    """What to raise where SOURCE cannot be looked at."""
    return unseen(f"SOURCE {place}: cannot be looked at: {error}", place, error)


def import_of(said: Mapping[str, Any]) -> Import:
    """The import that `as_json` told."""
    columns = tuple(ValueColumn(**column) for column in said["columns"])
    return Import(**{**said, "columns": columns})


def value_column(text: str) -> ValueColumn:
    """`[NAME=]COLUMN[:TYPE]` of the command line."""
    name, equals, rest = text.partition("=")
    said = rest if equals else text
    column, colon, kind = said.rpartition(":")
    if not colon:
        column, kind = said, ""
    if kind and kind not in TYPES:
        raise UsageError(f"--column {text!r}: type {kind!r}", hint=f"Types: {', '.join(TYPES)}.")
    return ValueColumn(name if equals else column, column, kind or None)


def split_name(name: str) -> tuple[str, str] | None:
    """(import, column) of `imported.<import>.<column>`; null for what is not such a name."""
    found = re.fullmatch(rf"imported\.({STRICT})\.({STRICT})", name)
    return (found[1], found[2]) if found else None


def prefix_of(name: str, column: str) -> str:
    """What the columns of an imported value begin with in a frame of candidates; no two values share one."""
    return f"imported_{name}__{column}"


def sentence(hint: str) -> str:
    """A hint as a sentence: names in it keep their capitals."""
    return hint[:1].upper() + hint[1:]


def _strict(flag: str, name: str) -> None:
    if not re.fullmatch(STRICT, name) or len(name) > NAME_CHARACTERS:
        raise UsageError(
            f"{flag} {name!r}: expected at most {NAME_CHARACTERS} small letters and digits, joined by single '_'",
            hint="A column of the source may be called otherwise: --column NAME=COLUMN."
            if flag == "--column"
            else None,
        )
