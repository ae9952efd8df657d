"""Long recordings for tests: real prompts with silences between them, and where each of them lies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

RATE_HZ = 8000
Samples = npt.NDArray[np.float32]


def prompts(
    speech: Path, count: int, *, voice: str = "en_US_f_Allison", at_least_s: float = 1.5
) -> list[Samples]:
    """The first prompts of a voice that are long enough."""
    import soundfile

    found: list[Samples] = []
    for path in sorted((speech / voice).glob("*.wav")):
        samples, rate_hz = soundfile.read(path, dtype="float32")
        assert rate_hz == RATE_HZ
        if len(samples) >= at_least_s * RATE_HZ:
            found.append(samples)
        if len(found) == count:
            return found
    raise AssertionError(f"{voice} has {len(found)} prompts of {at_least_s} s")


def silence(seconds: float) -> Samples:
    """Nothing."""
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def conversation(pieces: Sequence[Samples], pause_s: float) -> tuple[Samples, list[tuple[float, float]]]:
    """`pieces` with pauses around them, and (start_s, end_s) of each."""
    parts, places, at = [silence(pause_s)], [], pause_s
    for piece in pieces:
        length_s = len(piece) / RATE_HZ
        places.append((at, at + length_s))
        parts += [piece, silence(pause_s)]
        at += length_s + pause_s
    return np.concatenate(parts), places


def write(path: Path, samples: Samples, *, rate_hz: int = RATE_HZ) -> Path:
    """A 16-bit wav; (frames, channels) or mono."""
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate_hz, subtype="PCM_16")
    return path
