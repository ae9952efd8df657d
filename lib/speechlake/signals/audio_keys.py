"""Robust keys for the search of near duplicates, after Haitsma & Kalker (ISMIR 2002). No model.

The published keys serve music of minutes; here they are set for speech of seconds: 32 bits every 25 ms over
0.37 s, and a mark at frames that are loud enough to survive coding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from speechlake.duplicates.keys import BITS, Keys, pack
from speechlake.signals.extractor import FRONT_END, RATE_HZ, Clip, Identity, Measurement, Samples
from speechlake.signals.failures import unusable

# Of the layout and meaning of the columns; keys of two versions must not be compared.
KEY_VERSION = 1
WINDOW, HOP = round(0.37 * RATE_HZ), round(0.025 * RATE_HZ)
FFT = 8192
# The telephone band, so that narrow-band copies keep their keys.
LOWEST_HZ, HIGHEST_HZ = 300.0, 3400.0
ACTIVE_POWER = 10.0 ** (-30 / 10)
BLOCK_FRAMES = 256


@dataclass(frozen=True)
class AudioKeys:
    """Signs of how the energy of neighbouring bands changes from frame to frame."""

    name: ClassVar[str] = "audio_keys"
    version: ClassVar[str] = "1"
    inputs: ClassVar[tuple[str, ...]] = ()

    def identity(self) -> Identity:
        """The version and how samples came to 16 kHz: there is no model and no parameter."""
        return Identity(self.name, self.version, parameters={"front_end": FRONT_END})

    def load(self) -> None:
        """Nothing to load."""

    def measure(self, model: Any, clips: Sequence[Clip]) -> list[Measurement]:
        """One measurement per clip; codes are those of `speechlake.signals.failures`."""
        return [_measure(clip.samples) for clip in clips]


def _measure(samples: Samples) -> Measurement:
    if bad := unusable(samples):
        return bad
    found = keys_of(samples)
    keys, active = pack(found)
    return Measurement(
        {"keys": keys, "active": active, "frames": len(found.bits), "key_version": KEY_VERSION}
    )


def keys_of(samples: Samples) -> Keys:
    """Keys of 16 kHz samples, one per 25 ms after the first; without frames in a clip shorter than a hop.

    Bit m of frame n is 1 where band m exceeds band m + 1 by more than it did in the frame before. A frame is
    active within 30 dB of the loudest one, in the telephone band.
    """
    energy = _energies(samples)
    slope = energy[:, :-1] - energy[:, 1:]
    rising = slope[1:] - slope[:-1] > 0
    bits = np.packbits(rising, axis=1, bitorder="little").view("<u4").ravel().astype(np.uint32)
    loudness = energy[1:].sum(axis=1)
    loudest = loudness.max(initial=0.0)
    return Keys(bits, (loudness >= loudest * ACTIVE_POWER) & (loudest > 0))


def _energies(samples: Samples) -> npt.NDArray[np.float64]:
    """Energy per frame and band, shape (frames, BITS + 1)."""
    # Frames are centred on the samples, so that clips shorter than a window have keys too.
    padded = np.pad(samples, WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    window, bands = np.hanning(WINDOW + 1)[:-1].astype(np.float32), _bands()
    blocks = []
    for start in range(0, len(frames), BLOCK_FRAMES):
        spectrum = np.fft.rfft(frames[start : start + BLOCK_FRAMES] * window, FFT, axis=1)
        power = np.square(spectrum.real, dtype=np.float64) + np.square(spectrum.imag, dtype=np.float64)
        blocks.append(np.add.reduceat(power[:, : bands[-1]], bands[:-1], axis=1))
    return np.concatenate(blocks)


@lru_cache(maxsize=1)
def _bands() -> npt.NDArray[np.int64]:
    """First FFT bin of each of the 33 bands, and the end of the last; bands are equal on a log scale."""
    edges_hz = np.geomspace(LOWEST_HZ, HIGHEST_HZ, BITS + 2)
    return np.round(edges_hz * FFT / RATE_HZ).astype(np.int64)
