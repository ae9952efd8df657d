"""LibriSpeech trees: `<speaker>/<chapter>/<speaker>-<chapter>.trans.txt`, lines `ID TEXT`, audio `<ID>.flac` beside it.

Each `.trans.txt` is a manifest of its own. A pure parser cannot look which suffix exists: it is
`.flac`, or the option `suffix` (MLS-like trees hold .opus). Speaker and session come from IDs of the
form `speaker-chapter-number`; other IDs have neither.
"""

from __future__ import annotations

import re

from speechlake.manifests.contract import Context, Format, Head, decoded, is_blank
from speechlake.manifests.record import MAIN_TEXT, Record, Refusal, Refused

_ID = re.compile(r"(?P<session>(?P<speaker>[^\s/-]+)-[^\s/-]+)-[^\s/-]+")
# The first digit, and no other: an id of many digits would be tried from each of them.
_LINE = re.compile(rb"[^\s\d]*\d\S*(?:[ \t].*)?")


def parse(raw: bytes, context: Context) -> Record | Refused | None:
    """The record of one `ID TEXT` line."""
    if is_blank(raw):
        return None
    try:
        name, *rest = decoded(raw).split(maxsplit=1) or [""]
    except Refusal as refusal:
        return refusal.refused
    if not name:
        return None  # white space other than ASCII's
    if "/" in name:
        return Refused("BAD_REFERENCE", f"an id with a slash: {name}")
    parts = _ID.fullmatch(name)
    return Record(
        audio=name + (context.options.suffix or ".flac"),
        source_id=name,
        speaker=parts["speaker"] if parts else None,
        session=parts["session"] if parts else None,
        texts=tuple((MAIN_TEXT, text.rstrip()) for text in rest),
    )


def recognises(head: Head) -> bool:
    """True for `*.trans.txt` whose first lines start with an id."""
    lines = [line for line in head.lines[:3] if not is_blank(line)]
    return head.name.endswith(".trans.txt") and bool(lines) and any(map(_LINE.fullmatch, lines))


FORMAT = Format("librispeech", parse, recognises, suffixes=(".trans.txt",))
