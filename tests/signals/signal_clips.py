"""Clips for tests: from literal samples, or from a file of real speech."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from speechlake.signals.extractor import RATE_HZ, Clip


def clip_of(samples: npt.ArrayLike, rate_hz: int = RATE_HZ, language: str | None = None) -> Clip:
    """A mono wav clip; `samples` at 16 kHz are made by soxr where the rate is another."""
    import soxr

    native = np.asarray(samples, dtype=np.float32)
    heard = native if rate_hz == RATE_HZ else soxr.resample(native, rate_hz, RATE_HZ, quality="HQ")
    duration_s = len(native) / rate_hz
    return Clip(
        utterance_id="u",
        native=native,
        native_rate_hz=rate_hz,
        samples=np.asarray(heard, dtype=np.float32),
        container="wav",
        codec="pcm_s16le",
        channels=1,
        recording_duration_s=duration_s,
        header_duration_s=duration_s,
        inputs={"language": language},
    )


def clip_from(path: Path, language: str | None = None) -> Clip:
    """A clip of a mono audio file."""
    import soundfile

    samples, rate_hz = soundfile.read(path, dtype="float32")
    return replace(clip_of(samples, rate_hz, language), utterance_id=path.stem)


def sine(
    frequency_hz: float, amplitude: float = 0.5, rate_hz: int = RATE_HZ, seconds: float = 1.0
) -> npt.NDArray[np.float32]:
    """A sine as float32."""
    t = np.arange(round(rate_hz * seconds)) / rate_hz
    return (amplitude * np.sin(2 * np.pi * frequency_hz * t)).astype(np.float32)


def noise(amplitude: float = 0.1, count: int = RATE_HZ) -> npt.NDArray[np.float32]:
    """White noise, the same every time."""
    return (amplitude * np.random.default_rng(0).standard_normal(count)).astype(np.float32)
