"""Lines of JSON as rows of an import: strict, because Spark's own reader drops and merges what is wrong.

Own code around `strict_json`, for the same reasons as manifests. Pure; travels to the workers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from speechlake.feedback.spec import STORED, Import
from speechlake.manifests.contract import BYTE_ORDER_MARK, is_blank
from speechlake.manifests.record import Refusal
from speechlake.manifests.strict_json import check_text, json_type, parse_object

if TYPE_CHECKING:
    import pyarrow as pa

# Rows as every kind of source yields them: who, what is said, and why a row is refused already.
VALUES_DDL: Final = "array<struct<field:string,number:double,flag:boolean,word:string>>"
ROWS_DDL: Final = (
    f"given string, corpus string, said {VALUES_DDL}, place string, reason string, detail string"
)
# Whole numbers beyond it are not all doubles.
EXACT_UP_TO: Final = 1 << 53
# A word is a label; whole texts are imported as texts.
WORD_CHARACTERS: Final = 1000
_JSON_TYPES: Final = {"number": "a number", "boolean": "a boolean", "string": "a string"}


@dataclass(frozen=True)
class JsonValues:
    """Parses the lines of one import; every column of it has a type."""

    spec: Import

    def batches(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Rows of `lines_source.LINES_DDL` -> rows of `ROWS_DDL`, one per line that is not blank."""
        import pyarrow as pa

        for batch in batches:
            lines = batch.select(["uri", "byte_offset", "raw", "too_long"]).to_pylist()
            rows = [self.row(**line) for line in lines if line["raw"] is None or not is_blank(line["raw"])]
            yield pa.RecordBatch.from_pylist(rows, schema=_schema())

    def row(self, uri: str, byte_offset: int, raw: bytes | None, too_long: bool) -> dict[str, Any]:
        """One line."""
        at = {"place": f"{uri.rsplit('/', 1)[-1]}:{byte_offset}", "reason": None, "detail": None}
        empty: dict[str, Any] = {"given": None, "corpus": None, "said": []}
        if raw is None:
            return {**empty, **at, "reason": "UNREADABLE", "detail": "the compressed data is damaged"}
        if too_long:
            return {**empty, **at, "reason": "TOO_LONG", "detail": "longer than any line of an import may be"}
        try:
            found = parse_object(raw.removeprefix(BYTE_ORDER_MARK) if byte_offset == 0 else raw)
            return {**empty, **at, **self._said(found)}
        except Refusal as refusal:
            return {**empty, **at, **_told(refusal)}

    def _said(self, line: dict[str, Any]) -> dict[str, Any]:
        """Who is named and what is said of it; a refusal among the values leaves the rest to look at."""
        given, corpus = (_name(line.get(name), name) for name in (self.spec.key, "corpus"))
        row: dict[str, Any] = {"given": given, "corpus": corpus, "said": []}
        for field, kind in self._wanted():
            try:
                value = _value(line.get(field), field, kind, is_text=field == self.spec.text)
            except Refusal as refusal:
                row |= _told(refusal)
                continue
            if value is not None:
                stored = {name: value if name == STORED[kind] else None for name in STORED.values()}
                row["said"].append({"field": field, **stored})
        return row

    def _wanted(self) -> list[tuple[str, str]]:
        kinds = {column.field: str(column.type) for column in self.spec.columns}
        return [(field, kinds.get(field, "string")) for field in self.spec.fields]


@dataclass(frozen=True)
class JsonNames:
    """Tells which of `fields` any line names."""

    fields: frozenset[str]

    def batches(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Rows of `lines_source.LINES_DDL` -> rows (name), each name once per batch."""
        import pyarrow as pa

        for batch in batches:
            found = names_seen(raw for raw in batch.column("raw").to_pylist() if raw is not None)
            yield pa.RecordBatch.from_pydict(
                {"name": sorted(found & self.fields)}, pa.schema({"name": pa.string()})
            )


def names_seen(lines: Iterable[bytes]) -> set[str]:
    """Every name that a line has, whatever its value; lines that are wrong tell nothing."""
    found: set[str] = set()
    for raw in lines:
        try:
            found.update(parse_object(raw.removeprefix(BYTE_ORDER_MARK)))
        except Refusal:
            continue
    return found


def types_seen(lines: Sequence[bytes], fields: Sequence[str]) -> dict[str, str | None]:
    """The type of the first value of each field, null where no line tells; lines that are wrong tell nothing."""
    found: dict[str, str | None] = dict.fromkeys(fields)
    for raw in lines:
        try:
            line = parse_object(raw.removeprefix(BYTE_ORDER_MARK))
        except Refusal:
            continue
        for field in fields:
            if found[field] is None and field in line:
                found[field] = next(
                    (k for k, told in _JSON_TYPES.items() if json_type(line[field]) == told), None
                )
        if all(found.values()):
            break
    return found


def _told(refusal: Refusal) -> dict[str, Any]:
    return {"reason": refusal.refused.reason, "detail": refusal.refused.detail}


def _name(value: Any, field: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise Refusal("BAD_TYPE", f"{field} is {json_type(value)}, expected a string")


def _value(value: Any, field: str, kind: str, *, is_text: bool) -> float | bool | str | None:
    """A JSON value as the type that is wanted; null for null. Nothing is converted."""
    if value is None:
        return None
    if json_type(value) != _JSON_TYPES[kind]:
        raise Refusal("BAD_TYPE", f"{field} is {json_type(value)}, expected {_JSON_TYPES[kind]}")
    if kind == "number":
        if isinstance(value, int) and abs(value) > EXACT_UP_TO:
            raise Refusal("BAD_NUMBER", f"{field} is beyond 2^53")
        number = float(value)
        if not math.isfinite(number):
            raise Refusal("BAD_NUMBER", f"{field} is {value}")
        return number
    if kind == "boolean":
        return bool(value)
    text = str(value)
    check_text(text)
    if not is_text and len(text) > WORD_CHARACTERS:
        raise Refusal("TOO_LONG", f"{field} has {len(text)} characters, a word has {WORD_CHARACTERS} at most")
    return text


def _schema() -> pa.Schema:
    import pyarrow as pa

    text = pa.string()
    value = pa.struct([("field", text), ("number", pa.float64()), ("flag", pa.bool_()), ("word", text)])
    rest = [(name, text) for name in ("place", "reason", "detail")]
    return pa.schema([("given", text), ("corpus", text), ("said", pa.list_(value)), *rest])
