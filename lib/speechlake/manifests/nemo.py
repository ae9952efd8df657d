"""NeMo JSON lines: one object per line, `audio_filepath`, `duration`, `offset`, `text`, `lang`, `speaker`, …

Relative paths are relative to the manifest's folder, as NeMo reads them, or else to the root. `duration`
without `offset` means the whole file. Texts: `text` (or `transcript`, `transcription`, `sentence`, `txt`) is the
main one; `text_*`, `*_text` and their kind are further ones; `pred_text` is a machine's.
"""

from __future__ import annotations

from speechlake.manifests import roles
from speechlake.manifests.contract import Context, Format, Head, is_blank
from speechlake.manifests.record import Record, Refusal, Refused
from speechlake.manifests.strict_json import parse_object

# Of the names that a line may use for its audio, those that say "manifest of audio" beyond doubt.
_TELLING = frozenset({"audio_filepath", "audio_file", "audio_path"})


def parse(raw: bytes, context: Context) -> Record | Refused | None:
    """The record of one JSON object."""
    if is_blank(raw):
        return None
    try:
        fields = parse_object(raw)
        return roles.record([*fields.values()], roles.layout(tuple(fields), context.options.columns))
    except Refusal as refusal:
        return refusal.refused


def recognises(head: Head) -> bool:
    """True when one of the first lines is an object with an audio path, however broken the others are.

    A JSON array over several lines is another format.
    """
    if next((line.strip() for line in head.lines if not is_blank(line)), b"").startswith(b"["):
        return False
    return any(_is_telling(line) for line in head.lines) or (
        not head.complete and head.lines[-1].lstrip()[:1] == b"{" and b'"audio_filepath"' in head.lines[-1]
    )


def _is_telling(line: bytes) -> bool:
    try:
        return not _TELLING.isdisjoint(parse_object(line))
    except Refusal:
        return False


FORMAT = Format("nemo", parse, recognises, suffixes=(".jsonl", ".json", ".ndjson", ".list"))
