"""Samples of one partition, in the order in which they are compared."""

from __future__ import annotations

import numpy as np

from speechlake.duplicates.buckets import SAMPLE
from speechlake.duplicates.pairing import HOT
from speechlake.duplicates.search import _by_bucket

RNG = np.random.default_rng(5)


def drawn_samples(*bucket_sizes: int) -> np.ndarray:
    """So many samples of buckets 1, 2 and so on, each of another clip."""
    samples = np.zeros(sum(bucket_sizes), SAMPLE)
    samples["bucket"] = np.repeat(np.arange(1, len(bucket_sizes) + 1), bucket_sizes)
    samples["clip"] = RNG.permutation(len(samples))
    samples["frame"] = RNG.integers(0, 9, len(samples))
    samples["context"] = RNG.integers(1, 99, (len(samples), 8))
    return samples


def test_buckets_follow_one_another_and_what_is_fresh_stays_so():
    samples = RNG.permutation(drawn_samples(3, 1, HOT + 9, 4))
    fresh = samples["clip"] % 3 == 0
    found, still = _by_bucket(samples, fresh, HOT)
    assert (np.diff(found["bucket"].astype(int)) >= 0).all()
    assert (np.sort(found, order=("bucket", "clip")) == np.sort(samples, order=("bucket", "clip"))).all()
    assert (still == (found["clip"] % 3 == 0)).all()


def test_which_samples_of_a_hot_bucket_are_its_hubs_is_not_up_to_the_order_in_which_they_come():
    samples = drawn_samples(HOT + 40, HOT + 1)
    one, other = (
        _by_bucket(each, np.ones(len(each), bool), HOT)[0] for each in (samples, RNG.permutation(samples))
    )
    assert (one == other).all()
    # Nor up to when a clip came: ids are no dates, but numbers of tests are.
    assert (np.diff(one["clip"][:HOT]) < 0).any()
