"""Literal keys, and what clips share."""

from __future__ import annotations

import numpy as np

from speechlake.duplicates.few import met
from speechlake.duplicates.keys import Keys, Shared

ALL = 0xFFFFFFFF


def keys(*bits: int, active: list[int] | None = None) -> Keys:
    """Literal keys, all frames active unless told otherwise."""
    flags = [1] * len(bits) if active is None else active
    return Keys(np.array(bits, np.uint32), np.array(flags, bool))


def drawn(count: int, seed: int) -> Keys:
    """Random keys, none of them 0."""
    bits = np.random.default_rng(seed).integers(1, ALL, count, dtype=np.uint32, endpoint=True)
    return Keys(bits, np.ones(count, bool))


def noisy(one: Keys, rate: float, seed: int) -> Keys:
    """A copy in which about this share of the bits is another."""
    flips = np.random.default_rng(seed).random((len(one.bits), 32)) < rate
    mask = np.packbits(flips, axis=1, bitorder="little").view("<u4").ravel().astype(np.uint32)
    return Keys(one.bits ^ mask, one.active)


def sharing(clips: list[Keys]) -> dict[tuple[int, int], Shared]:
    """Pairs of clips that share audio, by index."""
    return {pair: found for pair, found in met(clips).items() if found.kind is not None}
