"""Which samples of one bucket are compared: all of them, or, where there are very many, all with a few.

Pure: arrays in, arrays out.
"""

from __future__ import annotations

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

Indexes = npt.NDArray[np.int64]


def hot_above(samples: int) -> int:
    """How many samples a bucket may hold before it is hot, where all buckets together hold `samples`."""
    return max(HOT, TIMES_THE_MEAN * (samples >> KEY_BITS))


def pairs_in_buckets(bucket: npt.NDArray[np.integer], most: int = HOT) -> tuple[Indexes, Indexes, int]:
    """(one, other, hot): indexes of samples to compare, and how many samples lie in buckets of more than `most`.

    `bucket` is sorted; in a hot bucket the first samples are the hubs, so what they are is up to the order.
    """
    starts = np.flatnonzero(np.diff(bucket, prepend=bucket[:1] - 1)) if len(bucket) else np.zeros(0, np.int64)
    sizes = np.diff(starts, append=len(bucket))
    ones: list[Indexes] = []
    others: list[Indexes] = []
    for size in np.unique(sizes[sizes > 1]):
        begin = starts[sizes == size][:, None]
        one, other = _within(int(size), most)
        ones.append((begin + one).ravel())
        others.append((begin + other).ravel())
    nothing = [np.zeros(0, np.int64)]
    return np.concatenate(ones or nothing), np.concatenate(others or nothing), int(sizes[sizes > most].sum())


def _within(size: int, most: int) -> tuple[Indexes, Indexes]:
    """Pairs inside one bucket of `size` samples, each once, the lower index first."""
    if size <= most:
        one, other = np.triu_indices(size, 1)
        return one, other
    one = np.repeat(np.arange(HUBS), size)
    other = np.tile(np.arange(size), HUBS)
    return one[one < other], other[one < other]
