"""Which stretch of silence-padded audio Whisper hears at once, and where longer clips are cut.

Whisper was trained on windows of 30 s; hearing a short clip in a shorter window is two to three times
faster and gives nearly the same text (measured: docs/benchmarks.md). A clip's window depends on its own
length only, so that its text does not depend on what shares its batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speechlake.signals.extractor import RATE_HZ, Samples

FULL_S = 30.0
# Of silence after the clip. With 2 s the error rate was 16.6 %, with 3 s 14.2, with the second look 11.5
# (104 clips, tiny.en); below 10 s windows run away.
MARGIN_S = 3.0
CUT_WINDOWS_S = (10.0, 12.0, 15.0, 18.0, 21.0, 25.0, FULL_S)
# Of a clip that a window shorter than the full one holds.
LONGEST_CUT_S = CUT_WINDOWS_S[-2] - MARGIN_S

# Longer clips are cut in their quietest moment between these two lengths.
SHORTEST_PART_S = 15.0
LONGEST_PART_S = 28.0
FRAME_S = 0.02
# A cut wants this much quiet: the energy is averaged over it, so that a stop consonant's closure is none.
QUIET_S = 0.2


@dataclass(frozen=True)
class Part:
    """Samples from `start` up to `end`, heard at once."""

    start: int
    end: int

    @property
    def offset_s(self) -> float:
        """Where it begins, in seconds."""
        return self.start / RATE_HZ


def window_s(samples: int, *, cut: bool) -> float:
    """Seconds of the window for a stretch of `samples` (16 kHz), of at most 30 s; always 30 s unless `cut`."""
    if not cut:
        return FULL_S
    wanted = samples / RATE_HZ + MARGIN_S
    return next((window for window in CUT_WINDOWS_S if wanted <= window), FULL_S)


def parts(samples: Samples) -> Sequence[Part]:
    """A clip of any length as stretches of at most 30 s: one, or several that meet in quiet moments."""
    begin, found = 0, []
    while len(samples) - begin > FULL_S * RATE_HZ:
        cut = begin + _quietest(samples[begin : begin + round(LONGEST_PART_S * RATE_HZ)])
        found.append(Part(begin, cut))
        begin = cut
    return [*found, Part(begin, len(samples))]


def _quietest(stretch: Samples) -> int:
    """The sample in the middle of the quietest QUIET_S of a stretch, not before SHORTEST_PART_S."""
    frame = round(FRAME_S * RATE_HZ)
    tail = stretch[round(SHORTEST_PART_S * RATE_HZ) :]
    frames = tail[: len(tail) // frame * frame].reshape(-1, frame).astype(np.float64)
    energy = np.einsum("ij,ij->i", frames, frames)
    width = round(QUIET_S / FRAME_S)
    quiet = np.convolve(energy, np.ones(width), mode="valid")
    # The last of several: long parts are fewer parts.
    last = len(quiet) - 1 - int(np.argmin(quiet[::-1]))
    return len(stretch) - len(tail) + (last + width // 2) * frame
