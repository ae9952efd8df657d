"""Identities: the first 128 bits of sha256 over length-prefixed UTF-8 fields, 32 hex digits.

Ids are for ever: the golden values in `tests/test_ids.py` may never change.
"""

from __future__ import annotations

import hashlib
import json
from decimal import ROUND_HALF_UP, Decimal

WHOLE_MIX = "mix"
TO_THE_END = "end"


def make_id(*fields: str) -> str:
    """The id of `fields`, which differ from every other sequence of fields (lengths are hashed too)."""
    digest = hashlib.sha256()
    for field in fields:
        data = field.encode("utf-8")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()[:32]


def recording_id(corpus: str, root: str, path: str, member: str | None = None) -> str:
    """Id of a file, or of one member of an archive."""
    return make_id(corpus, root, path, member or "")


def utterance_id(
    recording: str, channel: str, start_ms: int, end_ms: int | None, source_id: str | None = None
) -> str:
    """Id of an interval of one channel; `source_id` only in corpora that say `ids: source`."""
    fields = [recording, channel, str(start_ms), TO_THE_END if end_ms is None else str(end_ms)]
    return make_id(*fields, *([] if source_id is None else [source_id]))


def milliseconds(seconds: float | str) -> int:
    """Seconds as whole milliseconds, rounded half up on the decimal that was written (0.0005 -> 1)."""
    return int((Decimal(str(seconds)) * 1000).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def text_sha256(text: str) -> str:
    """Hash of a text, as in `transcripts.text_sha256`."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def canonical_json(value: object) -> str:
    """One spelling per value: sorted keys, no spaces, non-ASCII as is; NaN and infinity are refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
