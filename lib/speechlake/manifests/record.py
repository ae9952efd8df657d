"""What a line of a manifest says, or why it was refused; plain values, no Spark.

`Record` is what every format yields, before references are resolved and ids are made. `Refused` is
a value, never an exception that leaves a format: nothing in one line may end a job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple

MAIN_TEXT: Final = "manifest"
DETAIL_CHARACTERS: Final = 300
# Of lines that name what was erased: no format gives it.
ERASED: Final = "ERASED"
UNREADABLE: Final = "UNREADABLE"

REASONS: Final[Mapping[str, str]] = {
    "TOO_LONG": "The line is longer than the cap of the reader.",
    "BAD_UTF8": "The line is not UTF-8 text.",
    "CONTROL_CHARACTER": "The line holds NUL or another control character where text is expected.",
    "LONE_SURROGATE": "A JSON escape names half of a surrogate pair, which no text can hold.",
    "BAD_JSON": "The line is not JSON.",
    "TWO_OBJECTS": "More than one JSON value stands on the line.",
    "DUPLICATE_KEY": "A JSON object names a field twice.",
    "TOO_DEEP": "The JSON is nested deeper than the cap.",
    "BAD_TYPE": "A field holds another type than its meaning asks for.",
    "BAD_NUMBER": "A number is not finite, not a number, or out of any sensible range.",
    "BAD_HEADER": "The file's header cannot be read, or names no column with audio.",
    "BAD_QUOTING": "A quoted field does not end on the line where it starts.",
    "RAGGED": "The line has another number of fields than the header.",
    "MISSING_FIELD": "A field that every line needs is absent or empty.",
    "BAD_REFERENCE": "The reference to the audio is not a path that can be followed.",
    "BAD_SCHEME": "The reference names a protocol that is not allowed.",
    "PIPE": "The reference is a command; commands are never run.",
    "OUTSIDE_ROOT": "The reference leads out of every root of the corpus.",
    "NO_ROOT": "The reference is relative, and no root says to what.",
    "BAD_INTERVAL": "The interval is empty, negative, or ends before it starts.",
    "BAD_CHANNEL": "The channel is neither a number from 0, nor A or B, nor mix.",
    "NAME_NOT_UTF8": "A file's name is not UTF-8, so that no table can hold it.",
    "SAME_INTERVAL": "Another line says something else about the same interval of the same audio.",
    "ERASED": "The line names a speaker, recording or utterance that was erased on request.",
    "UNREADABLE": "The rest of the manifest could not be read, as of a damaged .gz.",
    "PARSER_FAILED": "The parser met something it was not made for; a defect of ours, please report it.",
}


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that became nothing: a code of `REASONS`, and what was found (at most 300 characters)."""

    reason: str
    detail: str = ""

    def __post_init__(self) -> None:
        if self.reason not in REASONS:
            raise ValueError(f"{self.reason!r} is not in REASONS")
        # Found text may be hostile: capped, and without what no table can hold.
        shown = self.detail[:DETAIL_CHARACTERS].encode("utf-8", "backslashreplace").decode("utf-8")
        object.__setattr__(self, "detail", shown)


class Refusal(Exception):
    """Carries a `Refused` inside a format; each format's `parse` turns it into the value."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.refused = Refused(reason, detail)


class Record(NamedTuple):
    """What one line says, verbatim where it is text; seconds are exact decimals as written.

    A named tuple, because making a frozen dataclass of 14 fields costs as much as parsing the JSON.

    `start_s` None: from the beginning; `end_s` None: to the end. `texts` are (source, text), the
    main text with source `manifest`, others `manifest:<field>`. `speaker` is null where the line
    holds a placeholder, which `speaker_placeholder` tells. `extras` hold every other field; values
    that are not scalars as canonical JSON.
    """

    audio: str
    channel: str | None = None
    start_s: Decimal | None = None
    end_s: Decimal | None = None
    source_id: str | None = None
    speaker: str | None = None
    speaker_placeholder: bool = False
    session: str | None = None
    language: str | None = None
    texts: tuple[tuple[str, str], ...] = ()
    extras: Mapping[str, str] = MappingProxyType({})
    declared_duration_s: float | None = None
    declared_sample_rate_hz: int | None = None
    declared_channels: int | None = None
