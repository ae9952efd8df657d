"""Where to cut: from a probability of speech per frame to intervals. Pure; frames in, milliseconds out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from speechlake.segments.segmenter import Segmenter
from speechlake.segments.voice import FRAME_MS, Probabilities

# First frame, and the one behind the last.
Run = tuple[int, int]
# The part of a full piece in which an over-long run is cut.
_LAST_PART = 0.5


def cut_points(probabilities: Probabilities, length_ms: int, how: Segmenter) -> list[tuple[int, int]]:
    """Intervals (start_ms, end_ms) of at most `max_s`, in order, that never overlap; none without speech.

    `probabilities` has one value per FRAME_MS of a recording of `length_ms`. An interval is shorter than
    `min_s` only where no other speech is near enough to be joined.
    """
    longest = int(how.max_s * 1000 - 2 * how.pad_ms) // FRAME_MS
    sums = np.concatenate([[0.0], np.cumsum(probabilities, dtype=np.float64)])
    runs = speech_runs(probabilities, how)
    pieces = [piece for run in runs for piece in _split(run, sums, longest, how)]
    return _padded(_short_joined(_joined(pieces, longest, how), longest, how), length_ms, how.pad_ms)


def speech_ms(probabilities: Probabilities, how: Segmenter) -> int:
    """How long somebody speaks."""
    return FRAME_MS * sum(end - start for start, end in speech_runs(probabilities, how))


def speech_runs(probabilities: Probabilities, how: Segmenter) -> list[Run]:
    """Runs of frames with speech: from `threshold` on, until it falls below `release` for long enough."""
    decided = np.where(probabilities >= how.threshold, 1, np.where(probabilities < how.release, -1, 0))
    # In between, what was decided last holds on.
    last = np.maximum.accumulate(np.where(decided != 0, np.arange(len(decided)), 0))
    speaking: npt.NDArray[np.bool_] = decided[last] > 0
    edges = np.flatnonzero(np.diff(speaking, prepend=False, append=False)).tolist()
    runs: list[Run] = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if runs and (start - runs[-1][1]) * FRAME_MS < how.min_silence_ms:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return [run for run in runs if (run[1] - run[0]) * FRAME_MS >= how.min_speech_ms]


def _split(run: Run, sums: npt.NDArray[np.float64], longest: int, how: Segmenter) -> list[Run]:
    """A run in pieces of at most `longest` frames, cut where speech is least likely, as late as may be."""
    (start, end), pieces = run, []
    shortest = _frames(how.min_s * 1000)
    reach = max(1, _frames(how.valley_ms) // 2)
    while end - start > longest:
        # The rest must not be a crumb, and the valley must lie in the run.
        high = min(start + longest, end - shortest)
        low = min(start + int(longest * _LAST_PART), high)
        middles = np.arange(low, high + 1)
        left, right = np.maximum(middles - reach, start), np.minimum(middles + reach, end)
        means = (sums[right] - sums[left]) / (right - left)
        cut = high - int(np.argmin(means[::-1]))
        pieces.append((start, cut))
        start = cut
    return [*pieces, (start, end)]


def _joined(pieces: list[Run], longest: int, how: Segmenter) -> list[Run]:
    """Neighbours joined over pauses, first come first served, while the whole is not too long."""
    joined: list[Run] = []
    for piece in pieces:
        if joined and _fit(joined[-1], piece, longest, how.pause_ms):
            joined[-1] = (joined[-1][0], piece[1])
        else:
            joined.append(piece)
    return joined


def _short_joined(pieces: list[Run], longest: int, how: Segmenter) -> list[Run]:
    """Pieces under the minimum joined with the nearer neighbour that fits."""
    pieces, i = list(pieces), 0
    while i < len(pieces):
        start, end = pieces[i]
        is_short = (end - start) * FRAME_MS + 2 * how.pad_ms < how.min_s * 1000
        firsts = [
            j
            for j in (i - 1, i)
            if is_short and 0 <= j < len(pieces) - 1 and _fit(pieces[j], pieces[j + 1], longest, how.reach_ms)
        ]
        if firsts:
            i = min(firsts, key=lambda j: pieces[j + 1][0] - pieces[j][1])
            pieces[i : i + 2] = [(pieces[i][0], pieces[i + 1][1])]
        else:
            i += 1
    return pieces


def _fit(one: Run, other: Run, longest: int, pause_ms: int) -> bool:
    return (other[0] - one[1]) * FRAME_MS <= pause_ms and other[1] - one[0] <= longest


def _padded(pieces: list[Run], length_ms: int, pad_ms: int) -> list[tuple[int, int]]:
    """Milliseconds with up to `pad_ms` on both sides: half of a pause at most, nothing outside."""
    starts = [start * FRAME_MS for start, _ in pieces]
    ends = [min(end * FRAME_MS, length_ms) for _, end in pieces]
    before = [starts[0], *((b - a) // 2 for a, b in zip(ends, starts[1:], strict=False))] if pieces else []
    after = [*before[1:], length_ms - ends[-1]] if pieces else []
    padded = [
        (start - min(pad_ms, left), end + min(pad_ms, right))
        for start, end, left, right in zip(starts, ends, before, after, strict=True)
    ]
    return [(start, end) for start, end in padded if start < end]


def _frames(ms: float) -> int:
    return int(ms) // FRAME_MS
