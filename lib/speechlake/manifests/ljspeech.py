"""LJSpeech: `metadata.csv` with lines `id|raw text` or `id|raw text|normalised text`, audio `wavs/<id>.wav`.

No header and no quoting. The raw text is the main transcript, the normalised one is
`manifest:normalised`. There are no speakers: declare the corpus `single_speaker` where it is one.
"""

from __future__ import annotations

import re

from speechlake.manifests.contract import Context, Format, Head, decoded, is_blank
from speechlake.manifests.record import MAIN_TEXT, Record, Refusal, Refused

WAVS = "wavs/"
_LINE = re.compile(rb"[^|\s]+\|[^|]+(?:\|[^|]*)?")


def parse(raw: bytes, context: Context) -> Record | Refused | None:
    """The record of one clip."""
    if is_blank(raw):
        return None
    try:
        name, *texts = decoded(raw).split("|")
    except Refusal as refusal:
        return refusal.refused
    if not 1 <= len(texts) <= 2:
        return Refused("RAGGED", f"{len(texts) + 1} fields, expected 2 or 3")
    if not name.strip():
        return Refused("MISSING_FIELD", "no id")
    sources = (MAIN_TEXT, f"{MAIN_TEXT}:normalised")
    return Record(
        audio=f"{WAVS}{name}{context.options.suffix or '.wav'}",
        source_id=name,
        texts=tuple((source, text) for source, text in zip(sources, texts, strict=False) if text.strip()),
    )


def recognises(head: Head) -> bool:
    """True when all of the first lines are an id and one or two texts between bars."""
    lines = [line for line in (head.lines if head.complete else head.lines[:-1]) if not is_blank(line)]
    return head.name.endswith((".csv", ".txt")) and bool(lines) and all(map(_LINE.fullmatch, lines))


FORMAT = Format("ljspeech", parse, recognises, suffixes=(".csv",))
