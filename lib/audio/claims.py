"""What headers of uncompressed files claim, before any decoder corrects it.

libsndfile silently cuts the claimed length to the file's real one, so a truncated wav would look
whole; here the header is asked alone. Only fixed-size fields of the first bytes are read.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass

from speechlake.audio.magic import HEAD_BYTES, id3_bytes

_HEAD_BYTES = 64 * 1024
# Writers to a pipe cannot know the length: they write 0, all ones, or sox's 0x7FFFF000.
_UNKNOWN_FROM = 0x7FFF_F000 - 1024


@dataclass(frozen=True)
class Claim:
    """What a header says; None where it says nothing (or that it does not know)."""

    sample_rate_hz: int | None = None
    channels: int | None = None
    duration_s: float | None = None


def claim(fd: int, container: str) -> Claim | None:
    """The claim of a wav, au or sph header; None for containers whose decoder tells it unaltered."""
    head = os.pread(fd, _HEAD_BYTES, 0)
    try:
        match container:
            case "wav":
                return _wav(head, "<")
            case "rifx":
                return _wav(head, ">")
            case "au":
                return _au(head)
            case "sph":
                return _sph(head)
    except (struct.error, ValueError):
        return Claim()
    return None


def _wav(head: bytes, order: str) -> Claim:
    """`fmt ` and `data` of a RIFF file; block alignment makes frames of bytes for PCM and float only."""
    rate = channels = block = tag = 0
    at = 12
    while at + 8 <= len(head):
        name, size = head[at : at + 4], struct.unpack_from(order + "I", head, at + 4)[0]
        if name == b"fmt ":
            tag, channels, rate, _, block = struct.unpack_from(order + "HHIIH", head, at + 8)
        if name == b"data":
            plain = tag in (1, 3, 0xFFFE) and block > 0
            return Claim(rate, channels, _seconds(size // block, rate, size) if plain else None)
        at += 8 + size + size % 2
    return Claim(rate or None, channels if block else None)


# Bytes per sample by AU encoding number (Sun's audio file format): mu-law, linear 8-32, float, double, A-law.
_AU_BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}


def _au(head: bytes) -> Claim:
    order = ">" if head.startswith(b".snd") else "<"
    _, size, encoding, rate, channels = struct.unpack_from(order + "IIIII", head, 4)
    width = _AU_BYTES.get(encoding, 0) * channels
    return Claim(rate, channels, _seconds(size // width, rate, size) if width else None)


def _sph(head: bytes) -> Claim:
    found = dict(re.findall(rb"^(sample_rate|channel_count|sample_count) -i (\d{1,18})", head[:4096], re.M))
    rate, channels, count = (
        int(found[k]) if k in found else None for k in (b"sample_rate", b"channel_count", b"sample_count")
    )
    return Claim(rate, channels, _seconds(count, rate, 1) if count is not None and rate else None)


def _seconds(frames: int, rate: int, size: int) -> float | None:
    return frames / rate if rate and 0 < size < _UNKNOWN_FROM else None


def mp3_says_length(fd: int) -> bool:
    """True where the first frame holds a Xing, Info or VBRI header; else the length is a guess."""
    first = os.pread(fd, HEAD_BYTES, id3_bytes(os.pread(fd, 10, 0)))[:2048]
    return any(mark in first for mark in (b"Xing", b"Info", b"VBRI"))
