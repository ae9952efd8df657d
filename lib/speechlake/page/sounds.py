"""A clip that a page can play: decoded in the decode child, cut, and encoded anew as FLAC in a data: URI.

Bytes of a corpus never reach a browser; what does was written here from decoded samples. At 16 kHz, as the
models hear it: FLAC loses nothing of that, and every browser plays it.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from speechlake.audio.errors import CODES
from speechlake.signals.extractor import RATE_HZ, Clip, Measurement, Samples
from speechlake.signals.reading import read

# Enough to hear what is wrong; about 300 kB.
MAX_S = 20.0
# Columns of `located_utterances` that say where a clip lies.
PLACE = (
    *("utterance_id", "corpus", "root", "path", "container", "byte_offset", "byte_length"),
    *("channel", "start_ms", "end_ms", "listing_key", "content_key"),
)


@dataclass(frozen=True)
class Sound:
    """A clip as a data: URI, or why there is none.

    `duration_s` is the length of the clip, of which the first `MAX_S` are in the URI; null without audio.
    """

    uri: str | None = None
    duration_s: float | None = None
    trouble: str | None = None

    @property
    def is_cut(self) -> bool:
        """Only a beginning is there."""
        return self.duration_s is not None and self.duration_s > MAX_S

    @property
    def size_bytes(self) -> int:
        """What it adds to a page."""
        return len(self.uri or "")


def sound(clip: Mapping[str, Any], roots: Mapping[str, str]) -> Sound:
    """The clip at the place of `clip` (which has the columns `PLACE`); `roots` maps a root's name to its URI.

    Never raises for what is wrong with the audio, bytes other than those that were measured included.
    """
    if clip["root"] not in roots:
        return Sound(trouble=f"its corpus has no root {clip['root']!r} any more")
    wanted = {name: clip[name] for name in ("utterance_id", "channel", "start_ms", "end_ms")}
    recording = {
        **{name: clip[name] for name in PLACE},
        "content_sha256": clip["content_key"],
        "utterances": [{**wanted, "needs": (), "inputs": {}}],
    }
    return _sound(read(recording, roots).clips[0])


def _sound(found: Clip | Measurement) -> Sound:
    if isinstance(found, Measurement):
        code = found.error or "no audio"
        return Sound(trouble=f"{code}: {found.detail or (CODES[code].sentence if code in CODES else '')}")
    return Sound(flac_uri(found.samples[: round(MAX_S * RATE_HZ)]), found.duration_s)


def flac_uri(samples: Samples, rate_hz: int = RATE_HZ) -> str:
    """Mono samples (full scale 1) as a data: URI of 16-bit FLAC."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format="FLAC", subtype="PCM_16")
    return f"data:audio/flac;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
