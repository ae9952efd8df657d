"""Which frames are looked up, what lies around them, and which samples of a bucket are compared."""

from __future__ import annotations

import numpy as np
import pytest
from key_tools import drawn, keys, noisy

from speechlake.duplicates.keys import Keys
from speechlake.duplicates.pairing import (
    HOT,
    HUBS,
    PAIRS_AT_ONCE,
    Indexes,
    hot_above,
    in_hot,
    pairs_in_buckets,
)
from speechlake.duplicates.sampling import ALL_BELOW, LAGS, Samples, alike, joined, sampled


def samples_of(clips: list[Keys]) -> Samples:
    return sampled(joined(clips))


def test_active_frames_of_a_short_clip_are_sampled_and_a_key_that_holds_on_is_sampled_once() -> None:
    found = samples_of([keys(7, 7, 7, 8, 7, 9, active=[1, 1, 1, 1, 1, 0]), keys(), keys(7, 0)])
    assert found.clip.tolist() == [0, 0, 0, 2]
    assert found.bucket.tolist() == [7, 8, 7, 7]
    assert found.frame.tolist() == [0, 3, 4, 0]


def test_of_a_long_clip_about_half_of_the_keys_are_taken_and_a_cut_takes_the_same() -> None:
    whole = drawn(4000, seed=1)
    cut = Keys(whole.bits[1000:3000], whole.active[1000:3000])
    found = samples_of([whole, cut])
    first, second = (set(found.frame[found.clip == n].tolist()) for n in (0, 1))
    assert 1850 < len(first) < 2150
    assert {frame + 1000 for frame in second} == {frame for frame in first if 1000 <= frame < 3000}
    assert len(cut.bits) > ALL_BELOW


def test_the_context_holds_the_low_bits_of_the_frames_around_and_nothing_of_another_clip() -> None:
    clip = keys(*range(0x10001, 0x10001 + 60))
    found = samples_of([clip, clip])
    middle = found.context[(found.clip == 1) & (found.frame == 30)][0]
    assert middle.tolist() == [31 + lag for lag in LAGS]
    first = found.context[(found.clip == 1) & (found.frame == 0)][0]
    assert first.tolist() == [0, 0, 0, 0, 9, 15, 21, 27]


def test_contexts_of_a_copy_are_alike_and_those_of_strangers_are_not() -> None:
    one, other = drawn(400, seed=2), drawn(400, seed=3)
    copy = noisy(one, 0.1, seed=4)
    a, b, c = (samples_of([each]) for each in (one, copy, other))
    frames = np.intersect1d(a.frame, b.frame)[20:]
    inside = [each.context[np.isin(each.frame, frames)] for each in (a, b)]
    assert alike(inside[0], inside[1]).mean() > 0.99
    n = min(len(a.frame), len(c.frame))
    assert alike(a.context[:n], c.context[:n]).mean() < 0.02


def test_one_lane_that_both_have_says_too_little() -> None:
    one = np.array([[5, 0, 0, 0, 0, 0, 0, 0], [5, 6, 0, 0, 0, 0, 0, 0]], np.uint16)
    assert alike(one, one).tolist() == [False, True]


def compared(bucket: Indexes, most: int = HOT) -> tuple[Indexes, Indexes]:
    """All pairs of samples, of all blocks."""
    blocks = [(np.zeros(0, np.int64),) * 2, *pairs_in_buckets(bucket, most)]
    one, other = zip(*blocks, strict=True)
    return np.concatenate(one), np.concatenate(other)


def test_all_samples_of_a_bucket_meet_once() -> None:
    bucket = np.array([1, 2, 2, 3, 5, 5, 5])
    one, other = compared(bucket)
    assert sorted(zip(one.tolist(), other.tolist(), strict=True)) == [(1, 2), (4, 5), (4, 6), (5, 6)]
    assert len(in_hot(bucket)) == 0


@pytest.mark.parametrize(
    ("size", "pairs"), [(HOT, HOT * (HOT - 1) // 2), (1000, HUBS * 1000 - HUBS * (HUBS + 1) // 2)]
)
def test_in_a_hot_bucket_all_meet_the_hubs_only(size: int, pairs: int) -> None:
    one, other = compared(np.full(size, 9))
    assert len(one) == len({*zip(one.tolist(), other.tolist(), strict=True)}) == pairs
    assert (one < other).all()
    assert len(in_hot(np.full(size, 9))) == (size if size > HOT else 0)
    assert {*other.tolist()} == {*range(1, size)}


def test_a_prompt_in_very_many_calls_is_compared_in_blocks_that_a_worker_can_hold() -> None:
    size = PAIRS_AT_ONCE * 3 // 2
    blocks = [len(one) for one, _ in pairs_in_buckets(np.full(size, 9))]
    assert max(blocks) < 2 * PAIRS_AT_ONCE
    assert sum(blocks) == HUBS * size - HUBS * (HUBS + 1) // 2


FULL = [
    # samples in all buckets together, how many one may hold
    (0, 64),
    (8 << 26, 64),
    (390 << 26, 3120),
]


@pytest.mark.parametrize(("samples", "most"), FULL)
def test_a_bucket_is_hot_that_stands_out_from_those_that_strangers_fill(samples: int, most: int) -> None:
    assert hot_above(samples) == most


def test_where_most_buckets_are_full_a_full_one_is_compared_whole() -> None:
    bucket = np.full(390, 9)
    assert (len(compared(bucket, 3120)[0]), len(in_hot(bucket, 3120))) == (390 * 389 // 2, 0)


def test_nothing_meets_nothing() -> None:
    nothing = np.zeros(0, np.int64)
    assert (len(compared(nothing)[0]), len(in_hot(nothing))) == (0, 0)
