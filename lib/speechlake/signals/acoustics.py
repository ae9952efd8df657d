"""How noisy a recording is and how high its voice, by two published estimators on the samples alone. No model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from speechlake.signals.extractor import FRONT_END, RATE_HZ, Clip, Identity, Measurement, Samples
from speechlake.signals.failures import unusable

Floats = npt.NDArray[np.float64]

# WADA-SNR: speech amplitudes follow a Gamma distribution of this shape, as Kim & Stern fitted it.
SHAPE = 0.4
LOWEST_DB, HIGHEST_DB = -20, 100
# What a sample that was rounded to zero in 16 bits had been: exp(mean(log|x|)) over half a step, uniform.
ROUNDED_ZERO = 2.0**-16 / np.e

# YIN at 16 kHz. The threshold is the paper's; 60 to 500 Hz holds speaking voices of men, women and children.
THRESHOLD = 0.1
SHORTEST_LAG, LONGEST_LAG = RATE_HZ // 500, RATE_HZ // 60
WINDOW, HOP, FFT = round(0.025 * RATE_HZ), round(0.01 * RATE_HZ), 1024
# A frame this far below the loudest is a pause, whatever hum repeats in it.
PAUSE_POWER = 10.0 ** (-40 / 10)
BLOCK_FRAMES = 2048


@dataclass(frozen=True)
class Acoustics:
    """Signal-to-noise ratio by WADA on native samples; pitch by YIN at 16 kHz.

    Kim, Stern, "Robust Signal-to-Noise Ratio Estimation Based on Waveform Amplitude Distribution Analysis",
    Interspeech 2008. De Cheveigné, Kawahara, "YIN, a fundamental frequency estimator for speech and music",
    JASA 111 (2002).
    """

    name: ClassVar[str] = "acoustics"
    version: ClassVar[str] = "1"
    inputs: ClassVar[tuple[str, ...]] = ()

    def identity(self) -> Identity:
        """The version and how samples came to 16 kHz: there is no model and no parameter."""
        return Identity(self.name, self.version, parameters={"front_end": FRONT_END})

    def load(self) -> None:
        """Nothing to load."""

    def measure(self, model: Any, clips: Sequence[Clip]) -> list[Measurement]:
        """One measurement per clip; codes are those of `speechlake.signals.failures`."""
        return [_measure(clip) for clip in clips]


def _measure(clip: Clip) -> Measurement:
    if bad := unusable(clip.native):
        return bad
    pitch = pitch_hz(clip.samples)
    voiced = pitch[~np.isnan(pitch)]
    low, median, high = np.percentile(voiced, [10, 50, 90]).tolist() if len(voiced) else (None, None, None)
    return Measurement(
        {
            "snr_db": snr_db(clip.native),
            "voiced_ratio": len(voiced) / len(pitch) if len(pitch) else 0.0,
            "pitch_hz": median,
            "pitch_low_hz": low,
            "pitch_high_hz": high,
        }
    )


def snr_db(samples: Samples) -> float | None:
    """WADA-SNR, between -20 and 100 dB; None where nothing varies.

    Gaussian noise makes amplitudes alike, speech makes them differ: log mean |x| - mean log |x| is 0.41 for
    noise alone and 1.65 for speech alone. Silence in zeros before and after is left out. On real prompts with
    white noise added it reads 2 to 5 dB low at 0 to 20 dB (its spread over prompts is 1 to 4 dB), more above:
    it ranks recordings rather than measures them.
    """
    sounding = np.flatnonzero(samples)
    if len(sounding) == 0:
        return None
    heard = samples[sounding[0] : sounding[-1] + 1].astype(np.float64)
    size = np.maximum(np.abs(heard - heard.mean()), ROUNDED_ZERO)
    if size.max() <= ROUNDED_ZERO:
        return None
    spread = float(np.log(size.mean()) - np.log(size).mean())
    return float(np.interp(spread, spreads(), np.arange(LOWEST_DB, HIGHEST_DB + 1)))


@lru_cache(maxsize=1)
def spreads() -> Floats:
    """log E|z| - E log|z| of z = speech + Gaussian noise, per dB from LOWEST_DB to HIGHEST_DB; rises with it.

    From the characteristic function f(t) of z, which is the product of those of symmetric Gamma and Gauss:
    E|z| is 2/pi times the integral of (1 - f(t)) / t^2, and E log|z| that of (exp(-t) - f(t)) / t, both over
    t > 0. With t = exp(u) the integrands are smooth and fall off at both ends, so that sums suffice.
    """
    u = np.linspace(-30, 30, 6001)
    t, step = np.exp(u), u[1] - u[0]
    speech = (1 + t**2) ** (-SHAPE / 2) * np.cos(SHAPE * np.arctan(t))  # of scale 1, hence this power:
    power = SHAPE * (SHAPE + 1)
    found = []
    for decibels in range(LOWEST_DB, HIGHEST_DB + 1):
        noise = power / 10 ** (decibels / 10)
        f = speech * np.exp(-noise * t**2 / 2)
        mean = 2 / np.pi * np.sum((1 - f) / t) * step
        mean_log = np.sum(np.exp(-t) - f) * step
        found.append(np.log(mean) - mean_log)
    return np.array(found)


def pitch_hz(samples: Samples) -> Floats:
    """Fundamental frequency every 10 ms of 16 kHz samples; NaN where nothing repeats, or nothing sounds.

    YIN: the first lag whose cumulative mean normalised difference has a minimum below THRESHOLD, refined by
    a parabola. Empty for clips shorter than 42 ms.
    """
    span = WINDOW + LONGEST_LAG + 1
    if len(samples) < span:
        return np.empty(0)
    centred = samples - np.mean(samples, dtype=np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(centred, span)[::HOP]
    blocks = [frames[at : at + BLOCK_FRAMES] for at in range(0, len(frames), BLOCK_FRAMES)]
    pitch = np.concatenate([_yin(block) for block in blocks])
    power = np.concatenate([np.einsum("ij,ij->i", block, block) for block in blocks])
    return np.where(power >= power.max() * PAUSE_POWER, pitch, np.nan)


def _yin(frames: Floats) -> Floats:
    """Pitch of each frame of WINDOW + LONGEST_LAG + 1 samples; NaN where it has none."""
    curve = _normalised_difference(frames)
    inner, before, after = curve[:, 1:-1], curve[:, :-2], curve[:, 2:]
    dips = (inner < THRESHOLD) & (inner <= before) & (inner <= after)
    dips[:, : SHORTEST_LAG - 1] = False
    at = dips.argmax(axis=1)
    row = np.arange(len(frames))
    low, left, right = inner[row, at], before[row, at], after[row, at]
    bend = left - 2 * low + right
    shift = np.where(bend > 0, (left - right) / (2 * np.where(bend > 0, bend, 1)), 0)
    return np.where(dips.any(axis=1), RATE_HZ / (at + 1 + shift), np.nan)


def _normalised_difference(frames: Floats) -> Floats:
    """YIN's d' for lags 0 to LONGEST_LAG + 1, shape (frames, lags); 1 where a frame is silent."""
    lags = LONGEST_LAG + 2
    window = np.fft.rfft(frames[:, :WINDOW], FFT, axis=1)
    product = np.fft.irfft(np.conj(window) * np.fft.rfft(frames, FFT, axis=1), FFT, axis=1)[:, :lags]
    energy = np.cumsum(np.pad(frames**2, ((0, 0), (1, 0))), axis=1)
    moved = energy[:, WINDOW : WINDOW + lags] - energy[:, :lags]
    difference = np.maximum(moved[:, :1] + moved - 2 * product, 0)
    difference[:, 0] = 0
    total = np.cumsum(difference, axis=1)
    return np.where(total > 0, difference * np.arange(lags) / np.where(total > 0, total, 1), 1.0)
