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
    """What a header says; None where it says nothing (or that it does not know).

    `goes_on`: behind the samples that it counts lies something that is no chunk: more of them, most likely, as where
    the writer of a stream never came back to fill in its length. Then `duration_s` is that of all that is there.
    """

    sample_rate_hz: int | None = None
    channels: int | None = None
    duration_s: float | None = None
    goes_on: bool = False


def claim(fd: int, container: str) -> Claim | None:
    """The claim of a wav, au or sph header; None for containers whose decoder tells it unaltered."""
    head = os.pread(fd, _HEAD_BYTES, 0)
    try:
        match container:
            case "wav":
                return _wav(fd, head, "<")
            case "rifx":
                return _wav(fd, head, ">")
            case "au":
                return _au(head, os.fstat(fd).st_size)
            case "sph":
                return _sph(head)
    except (struct.error, ValueError):
        return Claim()
    return None


def _wav(fd: int, head: bytes, order: str) -> Claim:
    """`fmt ` and `data` of a RIFF file; block alignment makes frames of bytes for PCM and float only."""
    rate = channels = block = tag = 0
    at = 12
    while at + 8 <= len(head):
        name, size = head[at : at + 4], struct.unpack_from(order + "I", head, at + 4)[0]
        if name == b"fmt ":
            tag, channels, rate, _, block = struct.unpack_from(order + "HHIIH", head, at + 8)
        if name == b"data":
            plain = tag in (1, 3, 0xFFFE) and block > 0
            file_bytes = os.fstat(fd).st_size
            behind = at + 8 + size + size % 2
            goes_on = behind + 8 <= file_bytes and not _is_chunk(
                os.pread(fd, 8, behind), order, file_bytes - behind
            )
            size = file_bytes - at - 8 if goes_on else size
            return Claim(rate, channels, _seconds(size // block, rate, size) if plain else None, goes_on)
        at += 8 + size + size % 2
    return Claim(rate or None, channels if block else None)


def _is_chunk(begins: bytes, order: str, left: int) -> bool:
    """True for the name and size of a chunk that ends where the file does, or before."""
    size = struct.unpack(order + "I", begins[4:])[0]
    return all(32 <= byte < 127 for byte in begins[:4]) and 8 + size <= left


# Bytes per sample by AU encoding number (Sun's audio file format): mu-law, linear 8-32, float, double, A-law.
_AU_BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}


def _au(head: bytes, file_bytes: int) -> Claim:
    order = ">" if head.startswith(b".snd") else "<"
    start, size, encoding, rate, channels = struct.unpack_from(order + "IIIII", head, 4)
    width = _AU_BYTES.get(encoding, 0) * channels
    goes_on = start + size < file_bytes
    size = file_bytes - start if goes_on else size
    return Claim(rate, channels, _seconds(size // width, rate, size) if width else None, goes_on)


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
