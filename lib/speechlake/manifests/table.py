"""Tables with a header line that names the columns: CSV (`csv`: comma, semicolon or bar) and TSV (`tsv`).

One record is one physical line; a field that wants a line break is refused, because a byte range
could not find its end. Commas and semicolons have CSV quoting; tabs and bars have none (IANA's TSV,
and what Coqui and LJSpeech write), unless the option `quoting` says otherwise. The number of fields
must be the header's. Relative paths are relative to the root.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import partial

from speechlake.manifests import roles
from speechlake.manifests.contract import Context, Format, Head, decoded, is_blank
from speechlake.manifests.options import ParseOptions
from speechlake.manifests.record import Record, Refusal, Refused
from speechlake.manifests.strict_json import MAX_LINE_BYTES
from speechlake.manifests.values import Cell

csv.field_size_limit(MAX_LINE_BYTES)  # the reader's cap on lines is the cap on fields

CSV_DELIMITERS = (",", ";", "|")
# White space around it is stripped before: between two repeats it would be shared out in every way there is.
_COLUMN_NAME = re.compile(r'"?[\w .,;|:/#()-]{0,60}"?')


@dataclass(frozen=True)
class Columns:
    """How lines are cut, and who plays which role."""

    delimiter: str
    quoted: bool
    padded: bool
    names: tuple[str, ...]
    layout: roles.Layout

    def cells(self, text: str) -> list[str]:
        """The fields of a line, exactly as many as the header's (else RAGGED)."""
        cells = _cells(text, self.delimiter, self.quoted, self.padded)
        if len(cells) != self.layout.width:
            raise Refusal("RAGGED", f"{len(cells)} fields, the header has {self.layout.width}")
        return cells


def columns(header: str | None, options: ParseOptions, *, delimiters: tuple[str, ...]) -> Columns:
    """The columns that a header names; Refusal(BAD_HEADER) when none of them is audio."""
    if header is None:
        raise Refusal("BAD_HEADER", "no header line of UTF-8 text")
    delimiter = max(delimiters, key=header.count)
    quoted = delimiter in ",;" if options.quoting == "auto" else options.quoting == "csv"
    # SpeechBrain writes `ID, duration, wav`: the space belongs to the separator, not to the field.
    padded = quoted and f"{delimiter} " in header
    names = tuple(map(str.strip, _cells(header, delimiter, quoted, padded, strict=False)))
    layout = roles.layout(names, options.columns)
    if "audio" not in layout.roles:
        raise Refusal("BAD_HEADER", f"no column of audio among {', '.join(names)}")
    if len(set(names) - {""}) != len([name for name in names if name]):
        raise Refusal("BAD_HEADER", "two columns have one name")
    return Columns(delimiter, quoted, padded, names, layout)


def _cells(text: str, delimiter: str, quoted: bool, padded: bool, *, strict: bool = True) -> list[str]:
    if not quoted:
        return text.split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=strict, skipinitialspace=padded))
    except csv.Error as error:
        raise Refusal("BAD_QUOTING", str(error)) from None


def parse(raw: bytes, context: Context) -> Record | Refused | None:
    """The record of one row."""
    if is_blank(raw):
        return None
    if not isinstance(context.columns, Columns):
        return context.columns if isinstance(context.columns, Refused) else Refused("BAD_HEADER")
    try:
        return record(decoded(raw), context.columns)
    except Refusal as refusal:
        return refusal.refused


def record(text: str, where: Columns) -> Record:
    """The record of one decoded row; raises Refusal."""
    return roles.record([Cell(cell) for cell in where.cells(text)], where.layout)


def recognises(head: Head, *, delimiters: tuple[str, ...]) -> bool:
    """True when the first line is a row of plain names, one of which is known to mean audio."""
    try:
        first = decoded(next((line for line in head.lines if not is_blank(line)), b"")).strip()
        found = columns(first, ParseOptions("any"), delimiters=delimiters)
    except Refusal:
        return False
    return found.layout.width > 1 and all(map(_COLUMN_NAME.fullmatch, found.names))


CSV = Format(
    "csv",
    parse,
    partial(recognises, delimiters=CSV_DELIMITERS),
    columns=partial(columns, delimiters=CSV_DELIMITERS),
    suffixes=(".csv",),
    relative_to="root",
)
TSV = Format(
    "tsv",
    parse,
    partial(recognises, delimiters=("\t",)),
    columns=partial(columns, delimiters=("\t",)),
    suffixes=(".tsv",),
    relative_to="root",
)
