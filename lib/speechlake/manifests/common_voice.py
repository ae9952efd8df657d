"""Common Voice: one TSV per split (`train.tsv`, `validated.tsv`, …), audio under `clips/` beside it.

Tabs, a header, no quoting whatsoever: sentences hold unbalanced quotes. `client_id` is the speaker,
`path` the clip and the line's own id, `locale` the language (absent in the earliest releases: give the
corpus a language). Votes, age, gender and accent go to extras.
"""

from __future__ import annotations

from dataclasses import replace

from speechlake.manifests import table
from speechlake.manifests.contract import Context, Format, Head, decoded, is_blank
from speechlake.manifests.options import ParseOptions
from speechlake.manifests.record import Record, Refusal, Refused

CLIPS = "clips/"
_NEEDED = frozenset({"client_id", "path", "sentence"})
_ROLES = (("audio", "path"), ("speaker", "client_id"), ("text", "sentence"))


def columns(header: str | None, options: ParseOptions) -> table.Columns:
    """The columns of a Common Voice header."""
    ours = ParseOptions(options.corpus, columns=tuple({**dict(_ROLES), **dict(options.columns)}.items()))
    return table.columns(header, replace(ours, quoting="none"), delimiters=("\t",))


def parse(raw: bytes, context: Context) -> Record | Refused | None:
    """The record of one clip."""
    if is_blank(raw):
        return None
    if not isinstance(context.columns, table.Columns):
        return context.columns if isinstance(context.columns, Refused) else Refused("BAD_HEADER")
    try:
        found = table.record(decoded(raw), context.columns)
    except Refusal as refusal:
        return refusal.refused
    name = found.audio
    # The very first releases named clips without their suffix.
    suffix = "" if "." in name else context.options.suffix or ".mp3"
    return found._replace(audio=f"{CLIPS}{name}{suffix}", source_id=found.source_id or name)


def recognises(head: Head) -> bool:
    """True when the header names client, path and sentence, between tabs."""
    return bool(head.lines) and set(head.lines[0].decode("utf-8", "replace").split("\t")) >= _NEEDED


FORMAT = Format("common-voice", parse, recognises, columns=columns, suffixes=(".tsv",))
