"""Read audio by FFmpeg (PyAV): m4a, webm, wma, amr, and what libsndfile declines.

The demuxer is fixed by magic bytes, the file is a file object without a name, and every attempt of a
demuxer to open something else is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from speechlake.audio.claims import Claim, mp3_says_length
from speechlake.audio.errors import AudioError
from speechlake.audio.magic import CONTAINERS
from speechlake.audio.reading import Header, Refused
from speechlake.audio.sink import Block, Sink

# Demuxers that know a length only by guessing from the bit rate.
_GUESS_LENGTH = ("aac", "amr")


def read_ffmpeg(fd: int, container: str, sink: Sink, claimed: Claim | None) -> Header:
    """Stream the first audio stream behind `fd` into `sink`; Refused when FFmpeg cannot read it."""
    import av
    import av.error
    import av.logging

    av.logging.set_level(av.logging.PANIC)
    try:
        with (
            os.fdopen(os.dup(fd), "rb", buffering=0) as file,
            av.open(
                file,
                format=CONTAINERS[container].ffmpeg,
                io_open=_refuse_to_open,
                options={"protocol_whitelist": "none"},
                metadata_errors="replace",
            ) as opened,
        ):
            header = _read_stream(opened, container, sink, claimed)
            return header if container != "mp3" or mp3_says_length(fd) else replace(header, duration_s=None)
    except MemoryError:
        raise
    except av.error.FFmpegError as error:
        raise Refused(f"FFmpeg: {error.strerror}") from error


def _refuse_to_open(url: str, flags: int, options: dict[str, str]) -> Any:
    raise AudioError("CORRUPT", "it refers to another file")


def _read_stream(opened: Any, container: str, sink: Sink, claimed: Claim | None) -> Header:
    if not opened.streams.audio:
        raise AudioError("NO_AUDIO", f"{container} without an audio stream")
    stream = opened.streams.audio[0]
    if stream.codec_context is None:
        raise AudioError("UNSUPPORTED_FORMAT", f"no decoder for the codec in {container}")
    stream.codec_context.thread_count = 1
    codec = stream.codec_context.codec.canonical_name
    sink.name(container, codec)
    for frame in _frames(opened, stream, sink):
        sink.begin(frame.sample_rate, frame.layout.nb_channels)
        sink.write(_as_float(frame))
    return Header(container, codec, _ffmpeg_claim(opened, stream, container, claimed))


def _frames(opened: Any, stream: Any, sink: Sink) -> Iterator[Any]:
    """Decoded frames; an undecodable tail is cut off, an undecodable middle is CORRUPT.

    Skipping a broken middle would shift everything after it against the transcript. What cannot be
    decoded before the first frame (a cut mp3's missing bit reservoir) is passed over.
    """
    from av.error import EOFError as EndOfFile
    from av.error import FFmpegError

    broken: Exception | None = None
    packets = opened.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            frames = [] if packet is None else packet.decode()
        except EndOfFile:
            return
        except FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            if broken is None and sink.frames:
                broken = error
            continue
        if packet is None:
            return
        if broken is not None and frames:
            raise AudioError("CORRUPT", f"FFmpeg after {sink.frames / sink.rate_hz:.3f} s: {broken}")
        yield from frames


def _as_float(frame: Any) -> Block:
    """(frames, channels) float32; integers are scaled to full scale 1, as libsndfile does."""
    try:
        samples = frame.to_ndarray()
    except ValueError as error:
        raise AudioError("UNSUPPORTED_FORMAT", f"samples are {frame.format.name}") from error
    channels = frame.layout.nb_channels
    samples = samples.T if frame.format.is_planar else samples.reshape(-1, channels)
    if samples.dtype.kind == "u":
        return _scaled(samples.astype(np.float32) - np.float32(128), 128.0)
    return _scaled(samples, 1.0 if samples.dtype.kind == "f" else 2.0 ** (8 * samples.dtype.itemsize - 1))


def _scaled(samples: Any, full_scale: float) -> Block:
    scaled: Block = np.divide(samples, np.float32(full_scale), dtype=np.float32, casting="same_kind")
    return scaled


def _ffmpeg_claim(opened: Any, stream: Any, container: str, claimed: Claim | None) -> float | None:
    if claimed is not None and claimed.duration_s is not None:
        return claimed.duration_s
    if container in _GUESS_LENGTH:
        return None
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if opened.duration is None else opened.duration / 1_000_000
