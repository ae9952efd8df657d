"""Small generated audio, sound and hostile, as bytes, and how to decode bytes."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from speechlake.audio.decoder import Decoded, Decoder
from speechlake.audio.limits import Limits

Decode = Callable[..., Decoded]
Samples = npt.NDArray[np.int16]
RATE_HZ = 16_000


def speechlike(seconds: float = 1.0, *, channels: int = 1, rate_hz: int = RATE_HZ, seed: int = 7) -> Samples:
    """Noise under a slow envelope: incompressible enough that formats differ in nothing but coding."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate_hz)
    envelope = 0.2 * (1 + np.sin(np.arange(n) / rate_hz * 9))[:, None]
    return np.asarray(rng.normal(0, 6000, (n, channels)) * envelope, dtype=np.int16)


def soundfile_bytes(
    samples: npt.NDArray[np.generic], container: str, subtype: str | None = None, rate_hz: int = RATE_HZ
) -> bytes:
    """`samples` as libsndfile writes them."""
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, samples, rate_hz, format=container, subtype=subtype)
    return out.getvalue()


def ffmpeg_bytes(samples: Samples, container: str, codec: str, rate_hz: int = RATE_HZ) -> bytes:
    """`samples` as FFmpeg's encoder and muxer write them."""
    import av

    out = io.BytesIO()
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    with av.open(out, "w", format=container) as opened:
        stream: Any = opened.add_stream(codec, rate=rate_hz, layout=layout)
        stream.bit_rate = 64_000
        resampler = av.AudioResampler(
            format=stream.codec_context.format,
            layout=layout,
            rate=rate_hz,
            frame_size=stream.codec_context.frame_size or 1024,
        )
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate = rate_hz
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            opened.mux(stream.encode(piece))
        opened.mux(stream.encode(None))
    return out.getvalue()


def wav_header(
    *, rate_hz: int = RATE_HZ, channels: int = 1, data_bytes: int = 32_000, tag: int = 1, bits: int = 16
) -> bytes:
    """The 44 bytes of a plain wav, saying whatever it is told to."""
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * block & 0xFFFFFFFF, block, bits)
    return (
        b"RIFF"
        + struct.pack("<I", (36 + data_bytes) & 0xFFFFFFFF)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + fmt
        + b"data"
        + struct.pack("<I", data_bytes)
    )


def flac_claiming(flac: bytes, total_samples: int) -> bytes:
    """A FLAC whose STREAMINFO says `total_samples` (36 bits from the middle of byte 21)."""
    word = int.from_bytes(flac[18:26], "big")
    word = word & ~((1 << 36) - 1) | total_samples
    return flac[:18] + word.to_bytes(8, "big") + flac[26:]


def mp3_claiming(mp3: bytes, frames: int) -> bytes:
    """An mp3 whose Xing header counts `frames` frames."""
    at = mp3.index(b"Xing") + 8
    return mp3[:at] + frames.to_bytes(4, "big") + mp3[at + 4 :]


def vbr_mp3(samples: Samples) -> bytes:
    """`samples` as an mp3 of variable bit rate, with a Xing header."""
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, samples, RATE_HZ, format="MP3", bitrate_mode="VARIABLE", compression_level=0.3)
    return out.getvalue()


def decode_bytes(decoder: Decoder, data: bytes, limits: Limits | None = None) -> Decoded:
    """Decode `data` as if it were a file."""
    fd = os.memfd_create("test")
    try:
        os.write(fd, data)
        return decoder.decode(fd, limits=limits)
    finally:
        os.close(fd)


def open_descriptors(pid: int | None) -> int:
    """How many descriptors a process holds."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
