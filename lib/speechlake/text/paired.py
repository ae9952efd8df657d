"""Two hypotheses over the same references: is one better, and by how much beyond chance?

The bootstrap of Bisani & Ney 2004 ("Bootstrap estimates for confidence intervals in ASR performance
evaluation", ICASSP): utterances are drawn with replacement, and the difference of the corpus error rates,
each a ratio of sums, is taken anew for every draw. Both hypotheses share the draws, so that what is hard for
both cancels. Instead of drawing n of n utterances, each utterance gets its own Poisson(1) weight in each
draw (Hanley & MacGibbon 2006, "Creating non-parametric bootstrap samples using Poisson frequencies"), which
is the same in the limit and needs neither n nor the other utterances. Weights come from a hash of seed and
utterance, sums are whole numbers: the result does not depend on how utterances are spread over machines.

Utterances are taken for independent. Where few speakers say much each, the interval is too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, factorial

import numpy as np
import numpy.typing as npt

from speechlake.ids import make_id
from speechlake.text.alignment import Counts

REPLICATES = 1000
SEED = 2004
CONFIDENCE = 0.95

# Columns of sums: the edit counts of A, then those of B, both in the order of `Counts`.
WIDTH = 2 * len(Counts._fields)

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Paired:
    """How hypothesis B does against A on the same utterances. Rates are null without reference units.

    `difference` is B's error rate minus A's: negative is better. `low` and `high` bound 95 % of its bootstrap
    replicates, `improvement` is the share of them in which B is better (a tie counts half).
    `substitutions`, `deletions`, `insertions` are the parts of the difference. `changed` counts utterances
    whose edit counts differ.
    """

    utterances: int
    changed: int
    a: Counts
    b: Counts
    rate_a: float | None
    rate_b: float | None
    difference: float | None
    low: float | None
    high: float | None
    improvement: float | None
    substitutions: float | None
    deletions: float | None
    insertions: float | None


def weights(
    utterance_ids: Sequence[str], *, seed: int = SEED, replicates: int = REPLICATES
) -> npt.NDArray[np.uint8]:
    """Poisson(1) weights, one row per utterance, one column per replicate: those of an id never change.

    Philox (Salmon et al. 2011), keyed by a hash of seed and id, gives 32 bits per weight.
    """
    bits = np.empty((len(utterance_ids), replicates), dtype=np.uint32)
    for row, utterance_id in enumerate(utterance_ids):
        source = np.random.Philox(key=int(make_id(str(seed), utterance_id), 16))
        bits[row] = source.random_raw((replicates + 1) // 2).view(np.uint32)[:replicates]
    drawn = np.zeros(bits.shape, dtype=np.uint8)
    for threshold in _POISSON:
        drawn += bits >= threshold
    return drawn


def _poisson_thresholds() -> npt.NDArray[np.uint32]:
    """Distribution function of Poisson(1) at 0, 1, 2, … as 32-bit fractions, as far as those differ from 1."""
    chances = np.cumsum([exp(-1) / factorial(k) for k in range(20)])
    scaled = [int(chance * 2**32) for chance in chances]
    return np.array([fraction for fraction in scaled if fraction < 2**32], dtype=np.uint32)


_POISSON = _poisson_thresholds()


def weighted_sums(
    utterance_ids: Sequence[str], counts: Whole, *, seed: int = SEED, replicates: int = REPLICATES
) -> Whole:
    """Sums of `counts` (utterances x columns) in every replicate: an array of replicates x columns.

    Sums of parts add up to the sums of the whole.
    """
    total = np.zeros((replicates, counts.shape[1]), dtype=np.int64)
    for start in range(0, len(utterance_ids), 512):
        part = slice(start, start + 512)
        drawn = weights(utterance_ids[part], seed=seed, replicates=replicates)
        # As doubles, for speed: exact, since the sums stay far below 2**53.
        total += (drawn.T.astype(float) @ counts[part].astype(float)).astype(np.int64)
    return total


def compared(totals: Sequence[int], replicates: Whole, *, utterances: int, changed: int) -> Paired:
    """What plain sums (`WIDTH` numbers) and weighted sums (replicates x `WIDTH`) say of B against A."""
    half = len(Counts._fields)
    a, b = Counts(*totals[:half]), Counts(*totals[half:])
    rates_a, rates_b = _rates(a), _rates(b)
    whole = (
        None if rates_a is None or rates_b is None else [y - x for x, y in zip(rates_a, rates_b, strict=True)]
    )
    low, high, improvement = _spread(replicates)
    return Paired(
        utterances,
        changed,
        a,
        b,
        rates_a[0] if rates_a else None,
        rates_b[0] if rates_b else None,
        *((whole[0], low, high, improvement, *whole[1:]) if whole else (None,) * 7),
    )


def _rates(counts: Counts) -> tuple[float, ...] | None:
    """Errors, substitutions, deletions and insertions per unit of the reference."""
    length = counts.reference_length
    parts = (counts.errors, counts.substitutions, counts.deletions, counts.insertions)
    return tuple(part / length for part in parts) if length else None


def _spread(replicates: Whole) -> tuple[float | None, float | None, float | None]:
    """Interval of the difference, and probability that B is better; draws without a reference say nothing."""
    half = len(Counts._fields)
    (errors_a, length_a), (errors_b, length_b) = _sums(replicates[:, :half]), _sums(replicates[:, half:])
    drawn = (length_a > 0) & (length_b > 0)
    if not drawn.any():
        return None, None, None
    difference = errors_b[drawn] / length_b[drawn] - errors_a[drawn] / length_a[drawn]
    low, high = np.quantile(difference, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    better = np.mean(difference < 0) + np.mean(difference == 0) / 2
    return float(low), float(high), float(better)


def _sums(counts: Whole) -> tuple[Whole, Whole]:
    """(errors, units of the reference) from columns in the order of `Counts`."""
    hits, substitutions, deletions, insertions = counts.T
    return substitutions + deletions + insertions, hits + substitutions + deletions
