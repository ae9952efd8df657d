"""Which container a file is, from its first bytes alone; names and extensions are never asked.

Only what is listed here reaches a decoder. Playlists, concat scripts, SDP, HTML, XML, images and raw
samples have no entry, so they are refused before any decoder could follow what they point to.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

HEAD_BYTES = 4096
_MAX_TAGS = 8  # some taggers stack ID3 tags; more than a few is no longer a tag


@dataclass(frozen=True)
class Container:
    """What may read a container: libsndfile (as one of these formats), and FFmpeg (as this demuxer)."""

    soundfile: frozenset[str]
    ffmpeg: str | None


def _container(ffmpeg: str | None, *soundfile: str) -> Container:
    return Container(frozenset(soundfile), ffmpeg)


CONTAINERS: Mapping[str, Container] = {
    "wav": _container("wav", "WAV", "WAVEX"),
    "rifx": _container(None, "WAV", "WAVEX"),
    "rf64": _container("wav", "RF64"),
    "w64": _container("w64", "W64"),
    "flac": _container("flac", "FLAC"),
    "ogg": _container("ogg", "OGG"),
    "mp3": _container("mp3", "MP3"),
    "aiff": _container("aiff", "AIFF"),
    "au": _container("au", "AU"),
    "sph": _container("nistsphere", "NIST"),
    "caf": _container("caf", "CAF"),
    "voc": _container("voc", "VOC"),
    "mp4": _container("mov"),
    "webm": _container("matroska"),
    "matroska": _container("matroska"),
    "asf": _container("asf"),
    "aac": _container("aac"),
    "amr": _container("amr"),
    "wavpack": _container("wv"),
}

# (container, offset, bytes, offset of a second mark, second mark); the first that matches wins.
_MAGIC: tuple[tuple[str, int, bytes, int, bytes], ...] = (
    ("wav", 0, b"RIFF", 8, b"WAVE"),
    ("rifx", 0, b"RIFX", 8, b"WAVE"),
    ("rf64", 0, b"RF64", 8, b"WAVE"),
    ("rf64", 0, b"BW64", 8, b"WAVE"),
    ("w64", 0, bytes.fromhex("726966662e91cf11a5d628db04c10000"), 24, b"wave"),
    ("flac", 0, b"fLaC", 4, b""),
    ("ogg", 0, b"OggS", 4, b"\x00"),
    ("aiff", 0, b"FORM", 8, b"AIFF"),
    ("aiff", 0, b"FORM", 8, b"AIFC"),
    ("au", 0, b".snd", 4, b""),
    ("au", 0, b"dns.", 4, b""),
    ("sph", 0, b"NIST_1A\n", 8, b""),
    ("caf", 0, b"caff", 4, b"\x00\x01"),
    ("voc", 0, b"Creative Voice File\x1a", 20, b""),
    ("mp4", 4, b"ftyp", 8, b""),
    ("mp4", 4, b"moov", 8, b""),
    ("mp4", 4, b"wide", 8, b""),
    ("asf", 0, bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), 16, b""),
    ("amr", 0, b"#!AMR\n", 6, b""),
    ("amr", 0, b"#!AMR-WB\n", 9, b""),
    ("wavpack", 0, b"wvpk", 4, b""),
    ("aac", 0, b"ADIF", 4, b""),
)

_EBML = b"\x1aE\xdf\xa3"
_MPEG_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_LAYER_2_KBPS_V1 = (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
_LAYER_3_KBPS_V1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_LAYER_23_KBPS_V2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def sniff(head: bytes) -> str | None:
    """The container (a key of CONTAINERS) that `head`, the first kilobytes of a file, begins; else None."""
    for name, at, mark, at_2, mark_2 in _MAGIC:
        if head.startswith(mark, at) and head.startswith(mark_2, at_2):
            return name
    if head.startswith(_EBML):
        return "webm" if b"webm" in head[:64] else "matroska"
    return _sniff_frames(head)


def sniff_file(fd: int) -> str | None:
    """`sniff` of an open file, looking behind ID3 tags and zero padding; the position stays."""
    start = 0
    for _ in range(_MAX_TAGS):
        head = os.pread(fd, HEAD_BYTES, start)
        length = id3_bytes(head)
        if not length:
            return sniff(head) if start == 0 else _sniff_behind_tag(head)
        start += length
    return None


def _sniff_behind_tag(head: bytes) -> str | None:
    """As `sniff`; sound behind an ID3 tag that does not begin with a whole frame is still called mp3."""
    padded = head.lstrip(b"\x00")
    return sniff(padded) or ("mp3" if padded else None)


def id3_bytes(head: bytes) -> int:
    """Length of the ID3v2 tag that `head` begins with, 0 where there is none."""
    if len(head) < 10 or head[:3] != b"ID3" or head[3] == 0xFF or any(b > 0x7F for b in head[6:10]):
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return 10 + size + (10 if head[5] & 0x10 else 0)


def _sniff_frames(head: bytes) -> str | None:
    """mp3 or aac where two frames in a row (or one that fills what there is) are well formed."""
    for name, frame_bytes in (("mp3", _mpeg_frame_bytes), ("aac", _adts_frame_bytes)):
        first = frame_bytes(head)
        if first and (len(head) < first + 4 or frame_bytes(head[first : first + 8])):
            return name
    return None


def _mpeg_frame_bytes(header: bytes) -> int:
    """Length of the MPEG layer II or III frame that begins here (ISO 11172-3, 13818-3), else 0."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    kbps_index, rate_index, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer not in (2, 3) or kbps_index in (0, 15) or rate_index == 3:
        return 0
    rate_hz = _MPEG_RATES_HZ[version][rate_index]
    if version != 3:
        samples, table = (1152 if layer == 2 else 576), _LAYER_23_KBPS_V2
    else:
        samples, table = 1152, (_LAYER_2_KBPS_V1 if layer == 2 else _LAYER_3_KBPS_V1)
    return samples // 8 * table[kbps_index] * 1000 // rate_hz + padding


def _adts_frame_bytes(header: bytes) -> int:
    """Length of the ADTS frame that begins here (ISO 13818-7, 6.2), else 0."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length > 7 else 0
