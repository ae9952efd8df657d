"""What a few clips share, without Spark: for notebooks, tests and measurements. The same steps as `find-duplicates`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from speechlake.duplicates.keys import Keys, Shared, shared
from speechlake.duplicates.pairing import pairs_in_buckets
from speechlake.duplicates.sampling import alike, joined, sampled


def met(clips: Sequence[Keys]) -> dict[tuple[int, int], Shared]:
    """Pairs of clips, by index, whose samples met, with what they share at the offset that most samples name.

    Pairs that turn out to share nothing are there too, with `kind` null.
    """
    found = sampled(joined(clips))
    order = np.lexsort((found.clip, found.bucket))
    bucket, clip, frame = found.bucket[order], found.clip[order], found.frame[order]
    context = found.context[order]
    keys = [np.zeros((0, 3), np.int64)]
    for one, other in pairs_in_buckets(bucket.astype(np.int64)):
        there = (clip[one] != clip[other]) & alike(context[one], context[other])
        one, other = one[there], other[there]
        keys.append(np.stack([clip[one], clip[other], (frame[other] - frame[one]).astype(np.int64)], axis=1))
    counted, votes = np.unique(np.concatenate(keys), axis=0, return_counts=True)
    best: dict[tuple[int, int], tuple[int, int, int]] = {}
    for (a, b, offset), n in zip(counted.tolist(), votes.tolist(), strict=True):
        best[a, b] = max(best.get((a, b), (0, 0, 0)), (n, -abs(offset), offset))
    return {(a, b): shared(clips[a], clips[b], offset) for (a, b), (_, _, offset) in best.items()}
