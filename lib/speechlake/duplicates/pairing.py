"""Which samples of one bucket are compared: all of them, or, where there are very many, all with a few.

Pure: arrays in, arrays out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

# A bucket of more samples is hot: a jingle, a dial tone, silence of some codec. Each of its samples is then
# compared with HUBS of them only, so that the work stays linear; a cluster needs no more to hold together.
HOT = 64
HUBS = 32
# Strangers fill buckets too, as evenly as KEY_BITS random bits would. What is hot stands out from that by far:
# from 50 million clips on an ordinary bucket holds more than HOT.
KEY_BITS = 26
TIMES_THE_MEAN = 8
# Votes of a pair take 130 bytes while they are counted: some 70 MB.
PAIRS_AT_ONCE = 500_000

Indexes = npt.NDArray[np.int64]


def hot_above(samples: int) -> int:
    """How many samples a bucket may hold before it is hot, where all buckets together hold `samples`."""
    return max(HOT, TIMES_THE_MEAN * (samples >> KEY_BITS))


def pairs_in_buckets(bucket: npt.NDArray[np.integer], most: int = HOT) -> Iterator[tuple[Indexes, Indexes]]:
    """Blocks of (one, other): indexes of samples to compare; of one hot bucket, less than twice PAIRS_AT_ONCE in each.

    `bucket` is sorted; in a hot one, of more than `most`, the first samples are the hubs, so what they are is up
    to the order.
    """
    starts, sizes = _extents(bucket)
    ones: list[Indexes] = []
    others: list[Indexes] = []
    for size in np.unique(sizes[sizes > 1]):
        begin = starts[sizes == size][:, None]
        for one, other in _within(int(size), most):
            ones.append((begin + one).ravel())
            others.append((begin + other).ravel())
            if sum(map(len, ones)) >= PAIRS_AT_ONCE:
                yield np.concatenate(ones), np.concatenate(others)
                ones, others = [], []
    if ones:
        yield np.concatenate(ones), np.concatenate(others)


def in_hot(bucket: npt.NDArray[np.integer], most: int = HOT) -> Indexes:
    """Indexes of samples in buckets of more than `most`; `bucket` is sorted."""
    _, sizes = _extents(bucket)
    return np.flatnonzero(np.repeat(sizes > most, sizes))


def _extents(bucket: npt.NDArray[np.integer]) -> tuple[Indexes, Indexes]:
    """Where each bucket begins, and how many samples it holds."""
    starts = np.flatnonzero(np.diff(bucket, prepend=bucket[:1] - 1)) if len(bucket) else np.zeros(0, np.int64)
    return starts, np.diff(starts, append=len(bucket))


def _within(size: int, most: int) -> Iterator[tuple[Indexes, Indexes]]:
    """Pairs inside one bucket of `size` samples, each once, the lower index first; of a hot one hub by hub."""
    if size <= most:
        yield np.triu_indices(size, 1)
        return
    for hub in range(HUBS):
        for first in range(hub + 1, size, PAIRS_AT_ONCE):
            other = np.arange(first, min(first + PAIRS_AT_ONCE, size))
            yield np.full(len(other), hub), other
