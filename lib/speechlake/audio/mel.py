"""Mel spectrograms as librosa makes them: some models were trained on those, and nothing else will do.

librosa itself would bring numba, scipy and scikit-learn for these forty lines.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from speechlake.audio.signal import MODEL_RATE_HZ, Samples

# Slaney's Auditory Toolbox (1998): 3 mels per 200 Hz up to 1 kHz, then 27 mels per factor of 6.4.
HZ_PER_MEL = 200 / 3
KNEE_HZ = 1000.0
KNEE_MEL = KNEE_HZ / HZ_PER_MEL
LOG_STEP = np.log(6.4) / 27
BLOCK_FRAMES = 4096


def mel_power(samples: Samples, *, window: int, hop: int, mels: int) -> Samples:
    """Power mel spectrogram of 16 kHz samples, shape (1 + samples // hop or so, mels), float32.

    As `librosa.feature.melspectrogram(n_fft=window, hop_length=hop, n_mels=mels)` with its other defaults:
    periodic Hann, frames centred on multiples of `hop` with zeros beyond the ends, Slaney's filters.
    """
    padded = np.pad(samples, window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    hann = np.hanning(window + 1)[:-1].astype(np.float32)
    filters = slaney_filters(window, mels).T
    blocks = [
        np.abs(np.fft.rfft(frames[start : start + BLOCK_FRAMES] * hann, axis=1)) ** 2 @ filters
        for start in range(0, len(frames), BLOCK_FRAMES)
    ]
    return np.concatenate(blocks).astype(np.float32)


@lru_cache(maxsize=8)
def slaney_filters(window: int, mels: int) -> npt.NDArray[np.float64]:
    """Triangles of equal area between 0 and 8 kHz, shape (mels, window // 2 + 1)."""
    bins = np.fft.rfftfreq(window, 1 / MODEL_RATE_HZ)
    edges = _hz(np.linspace(_mel(0.0), _mel(MODEL_RATE_HZ / 2), mels + 2))
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    triangles = np.maximum(0, np.minimum(rising, falling)) * 2 / (right - left)
    return np.asarray(triangles, dtype=np.float64)


def _mel(hz: float) -> float:
    return hz / HZ_PER_MEL if hz < KNEE_HZ else KNEE_MEL + float(np.log(hz / KNEE_HZ) / LOG_STEP)


def _hz(mels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    above = KNEE_HZ * np.exp(LOG_STEP * (mels - KNEE_MEL))
    return np.where(mels < KNEE_MEL, mels * HZ_PER_MEL, above)
