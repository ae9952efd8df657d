"""Read audio by libsndfile: wav, flac, ogg (vorbis, opus), mp3, aiff, au, sph, caf and their kin."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import numpy as np

from speechlake.audio.claims import Claim, mp3_says_length
from speechlake.audio.magic import CONTAINERS
from speechlake.audio.reading import Header, Refused
from speechlake.audio.sink import Sink

_BLOCK_SAMPLES = 1 << 18
# Compressed streams that libsndfile reads only as far as their header (or its guess) says, and the bytes
# that may follow there: an ID3v1 or small APE tag.
STREAMS = ("flac", "mp3", "ogg")
_TAIL_BYTES = 512
_UNKNOWN_FRAMES = 1 << 62
# Where libsndfile seeks to exactly the frame that is asked for: by arithmetic, or by FLAC's frame numbers.
_SEEKS_EXACTLY = ("wav", "rf64", "flac")


def read_soundfile(fd: int, container: str, sink: Sink, claimed: Claim | None) -> Header:
    """Stream the file behind `fd` into `sink`; Refused when libsndfile cannot read it to its end."""
    import soundfile

    try:
        with _forward_only()(fd, closefd=False) as file:
            if file.format not in CONTAINERS[container].soundfile:
                raise Refused(f"libsndfile takes {container} for {file.format}")
            sink.begin(file.samplerate, file.channels)
            codec = _soundfile_codec(file, container)
            sink.name(container, codec)
            _seek(file, container, sink)
            _copy(file, sink)
            if not sink.frames and claimed is not None and claimed.goes_on:
                # A header that was never filled in says 0 bytes; FFmpeg then reads to the end of the file.
                raise Refused("libsndfile finds no sample")
            _refuse_unread(fd, container)
            return Header(container, codec, _soundfile_claim(file, fd, container, claimed))
    except soundfile.LibsndfileError as error:
        raise Refused(f"libsndfile: {error.error_string.strip()}") from error


@cache
def _forward_only() -> Any:
    """A SoundFile class that never seeks.

    soundfile seeks after every block it reads, which is slow and inexact for compressed formats, and
    stops at the number of frames that the header claims.
    """
    import soundfile

    class Forward(soundfile.SoundFile):  # type: ignore[misc]
        def seekable(self) -> bool:
            return False

    return Forward


def _seek(file: Any, container: str, sink: Sink) -> None:
    """Go to the frame from which on samples are wanted, where that is exact; else all is decoded and dropped.

    Without a seek, the sink counts and drops what nobody wants.
    """
    exact = container in _SEEKS_EXACTLY and (container == "flac" or file.subtype in _BY_SAMPLE)
    target = min(sink.wanted_from(), file.frames)
    if exact and target > 0 and file.frames < _UNKNOWN_FRAMES:
        file.seek(target)
        sink.jump(target)


def _copy(file: Any, sink: Sink) -> None:
    """Stream all blocks, never asking for more than is claimed: libsndfile would decode and drop it."""
    buffer = np.empty((max(1, _BLOCK_SAMPLES // file.channels), file.channels), dtype=np.float32)
    while wanted := min(len(buffer), file.frames - sink.frames):
        block = file.read(dtype="float32", always_2d=True, out=buffer[:wanted])
        if not len(block):
            return
        sink.write(block)


def _refuse_unread(fd: int, container: str) -> None:
    """A FLAC or mp3 that claims 1 s of 3 h, an mp3 of guessed length, a chained ogg: left to FFmpeg.

    libFLAC reads 8 KiB ahead, so a FLAC header that hides less than that goes unnoticed.
    """
    unread = os.fstat(fd).st_size - os.lseek(fd, 0, os.SEEK_CUR)
    if container in STREAMS and unread > _TAIL_BYTES:
        raise Refused(f"libsndfile left {unread} bytes unread")


_PCM_BITS = {"PCM_16": "s16", "PCM_24": "s24", "PCM_32": "s32", "FLOAT": "f32", "DOUBLE": "f64"}
_CODECS = {
    "PCM_U8": "pcm_u8",
    "PCM_S8": "pcm_s8",
    "ULAW": "pcm_mulaw",
    "ALAW": "pcm_alaw",
    "MPEG_LAYER_I": "mp1",
    "MPEG_LAYER_II": "mp2",
    "MPEG_LAYER_III": "mp3",
    "MS_ADPCM": "adpcm_ms",
    "IMA_ADPCM": "adpcm_ima_wav",
}
# Codecs whose samples have one size and know nothing of each other.
_BY_SAMPLE = {*_PCM_BITS, "PCM_U8", "PCM_S8", "ULAW", "ALAW"}
_BIG_ENDIAN = ("aiff", "au", "caf", "rifx")


def _soundfile_codec(file: Any, container: str) -> str:
    """The codec under FFmpeg's name, so that both readers speak alike."""
    if file.format == "FLAC":
        return "flac"
    if file.subtype not in _PCM_BITS:
        return _CODECS.get(file.subtype, str(file.subtype).lower())
    big = file.endian == "BIG" or (file.endian == "FILE" and container in _BIG_ENDIAN)
    return f"pcm_{_PCM_BITS[file.subtype]}{'be' if big else 'le'}"


def _soundfile_claim(file: Any, fd: int, container: str, claimed: Claim | None) -> float | None:
    if claimed is not None and (claimed.duration_s is not None or file.subtype in _PCM_BITS):
        return claimed.duration_s
    if not 0 < file.frames < _UNKNOWN_FRAMES or (container == "mp3" and not mp3_says_length(fd)):
        return None
    return float(file.frames / file.samplerate)
