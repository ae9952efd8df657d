"""What the decoded samples say: container, levels, defects, an exact hash. No model."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from speechlake.signals.extractor import Clip, Identity, Measurement, Samples
from speechlake.signals.failures import unusable

# A lone sample at full scale can be an honest peak; three in a row are an "over", the convention of
# digital mastering since Sony's PCM-1630.
CLIPPED_RUN = 3
# Full scale of the coarsest code in use: the largest value of mu-law is 32,124 / 32,768 = 0.980.
FULL_SCALE = 0.98
ONE_STEP_OF_16_BITS = 2.0**-15
SILENT_POWER = 10.0 ** (-60 / 10)
BANDWIDTH_FLOOR = 10.0 ** (-60 / 10)
BLOCK_FRAMES = 1024


@dataclass(frozen=True)
class Audio:
    """Levels and defects of the native samples, before any resampling."""

    name: ClassVar[str] = "audio"
    version: ClassVar[str] = "1"
    inputs: ClassVar[tuple[str, ...]] = ()

    def identity(self) -> Identity:
        """Nothing but the version: there is no model and no parameter."""
        return Identity(self.name, self.version)

    def load(self) -> None:
        """Nothing to load."""

    def measure(self, model: Any, clips: Sequence[Clip]) -> list[Measurement]:
        """One measurement per clip; codes are those of `speechlake.signals.failures`."""
        return [_measure(clip) for clip in clips]


def _measure(clip: Clip) -> Measurement:
    samples = clip.native
    if bad := unusable(samples):
        return bad
    claimed = clip.header_duration_s
    return Measurement(
        {
            "container": clip.container,
            "codec": clip.codec,
            "sample_rate_hz": clip.native_rate_hz,
            "channels": clip.channels,
            "duration_s": clip.duration_s,
            "recording_duration_s": clip.recording_duration_s,
            "header_difference_s": None if claimed is None else clip.recording_duration_s - claimed,
            "samples_sha256": samples_sha256(samples, clip.native_rate_hz),
            "peak_dbfs": decibels(peak(samples) ** 2),
            "rms_dbfs": decibels(mean_power(samples)),
            "clipped_ratio": clipped_ratio(samples),
            "dc_offset": float(np.mean(samples, dtype=np.float64)),
            "silence_ratio": silence_ratio(samples, clip.native_rate_hz),
            "bandwidth_hz": bandwidth_hz(samples, clip.native_rate_hz),
        }
    )


def samples_sha256(samples: Samples, rate_hz: int) -> str:
    """Digest over the rate (8 bytes) and the samples (float32), little-endian.

    Lossless copies in different containers agree; minus zero counts as zero.
    """
    digest = hashlib.sha256(rate_hz.to_bytes(8, "little"))
    digest.update(np.ascontiguousarray(samples + np.float32(0), dtype="<f4").data)
    return digest.hexdigest()


def decibels(power: float) -> float | None:
    """Power of full scale 1 in dBFS; None for no power at all."""
    return 10 * math.log10(power) if power > 0 else None


def peak(samples: Samples) -> float:
    """Highest absolute sample."""
    return float(max(samples.max(), -samples.min()))


def mean_power(samples: Samples) -> float:
    """Mean square, summed in double precision without a copy."""
    return float(np.einsum("i,i->", samples, samples, dtype=np.float64)) / len(samples)


def clipped_ratio(samples: Samples) -> float:
    """Share of samples in runs of three or more, of one sign, at full scale.

    At full scale is what lies within one 16-bit step of the clip's own peak (of 1, if it goes higher),
    where that peak is at least 0.98: coarse codes stop below 1, and clipped audio is often scaled a
    little afterwards.
    """
    ceiling = min(peak(samples), 1.0)
    if ceiling < FULL_SCALE:
        return 0.0
    limit = np.float32(ceiling - ONE_STEP_OF_16_BITS)
    return (_in_runs(samples >= limit) + _in_runs(samples <= -limit)) / len(samples)


def _in_runs(flags: npt.NDArray[np.bool_]) -> int:
    """How many true flags stand in runs of CLIPPED_RUN or more."""
    edges = np.flatnonzero(np.diff(flags, prepend=False, append=False))
    lengths = edges[1::2] - edges[::2]
    return int(lengths[lengths >= CLIPPED_RUN].sum())


def silence_ratio(samples: Samples, rate_hz: int) -> float:
    """Share of whole 10 ms frames whose mean square about the clip's mean is below -60 dBFS.

    A clip shorter than a frame is one frame.
    """
    size = min(max(1, round(rate_hz / 100)), len(samples))
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    centre = float(np.mean(samples, dtype=np.float64))
    sums = np.einsum("ij->i", frames, dtype=np.float64) / size
    squares = np.einsum("ij,ij->i", frames, frames, dtype=np.float64) / size
    return float(np.mean(squares - 2 * centre * sums + centre**2 < SILENT_POWER))


def bandwidth_hz(samples: Samples, rate_hz: int) -> float | None:
    """Highest frequency at which the long-term spectrum is within 60 dB of its strongest bin.

    The spectrum is Welch's (1967): mean of |FFT|^2 over Hann windows of about 32 ms (a power of two)
    with half overlap, the clip's mean removed. The answer is the upper edge of the bin, at most half
    the rate; its resolution is about 31 Hz. Speech of 8 kHz telephony that was resampled to 16 or
    44.1 kHz answers about 4,000. None for a constant.
    """
    size = max(2, 2 ** round(math.log2(max(2.0, rate_hz * 0.032))))
    spectrum = np.zeros(size // 2 + 1)
    for block in _blocks(samples - np.mean(samples, dtype=np.float64).astype(np.float32), size):
        spectrum += np.sum(np.abs(np.fft.rfft(block * np.hanning(size + 1)[:-1], axis=1)) ** 2, axis=0)
    # Below one 24-bit step nothing was there to begin with but the rounding of the mean.
    if spectrum.max() <= (size * 2.0**-23) ** 2:
        return None
    highest = int(np.flatnonzero(spectrum >= spectrum.max() * BANDWIDTH_FLOOR)[-1])
    return float(min((highest + 0.5) * rate_hz / size, rate_hz / 2))


def _blocks(samples: Samples, size: int) -> Iterator[Samples]:
    """Half-overlapping frames, some at a time so that an hour of audio needs little memory."""
    padded = samples if len(samples) >= size else np.pad(samples, (0, size - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 2]
    for start in range(0, len(frames), BLOCK_FRAMES):
        yield frames[start : start + BLOCK_FRAMES]
