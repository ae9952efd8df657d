"""Utterances that are mostly the same stretch of a channel: one stays, of the rest each names the one in its way."""

from __future__ import annotations

import random
import time

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechlake.splits.overlaps import SHARED, _give_way


def gave_way(*intervals: tuple[str, int, int, str | None]) -> dict[str, str]:
    """Who gives way to whom, of (id, start, end, speaker) in the order of preference."""
    names = ["utterance_id", "start_ms", "end_ms", "speaker_id"]
    frame = pd.DataFrame(intervals, columns=names)
    frame["place"] = range(1, len(frame) + 1)
    found = _give_way(frame.sample(frac=1, random_state=1))
    return dict(zip(found["utterance_id"], found["detail"], strict=True))


def test_more_than_half_of_the_shorter_interval_is_too_much_and_half_is_not():
    assert gave_way(("a", 0, 1000, "s"), ("b", 499, 1499, "s")) == {"b": "a"}
    assert gave_way(("a", 0, 1000, "s"), ("b", 500, 1500, "s")) == {}
    assert gave_way(("long", 0, 9000, "s"), ("inside", 8900, 9050, "s")) == {"inside": "long"}


def test_two_speakers_may_talk_at_once_and_an_unknown_one_differs_from_nobody():
    assert gave_way(("a", 0, 1000, "s"), ("b", 0, 1000, "t")) == {}
    assert gave_way(("a", 0, 1000, "s"), ("b", 0, 1000, None)) == {"b": "a"}
    assert gave_way(("a", 0, 1000, None), ("b", 0, 1000, None)) == {"b": "a"}


def test_what_gives_way_is_in_nobody_s_way():
    # The middle one loses to the first; the last shares nothing with what stays.
    assert gave_way(("first", 0, 1000, None), ("middle", 400, 1400, None), ("last", 800, 1800, None)) == {
        "middle": "first"
    }


def test_ten_thousand_utterances_of_one_recording_take_seconds_at_most():
    rng = random.Random(1)
    starts = [rng.randrange(36_000_000) for _ in range(10_000)]
    started = time.perf_counter()
    gave_way(*((str(n), start, start + rng.randrange(1000, 9000), None) for n, start in enumerate(starts)))
    assert time.perf_counter() - started < 20


INTERVALS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 30), st.sampled_from([None, "s", "t"])), max_size=25
)


@given(INTERVALS)
def test_what_stays_never_overlaps_and_what_goes_always_did(drawn):
    rows = [(str(n), start, start + length, speaker) for n, (start, length, speaker) in enumerate(drawn)]
    out = gave_way(*rows)

    def same(one, other):
        shared = min(one[2], other[2]) - max(one[1], other[1])
        differ = None not in (one[3], other[3]) and one[3] != other[3]
        return not differ and shared > SHARED * min(one[2] - one[1], other[2] - other[1])

    stay = [row for row in rows if row[0] not in out]
    assert not [(a, b) for a in stay for b in stay if a[0] < b[0] and same(a, b)]
    by_id = {row[0]: row for row in rows}
    assert all(better not in out and same(by_id[name], by_id[better]) for name, better in out.items())


@pytest.mark.slow
def test_only_rows_of_one_channel_side_and_recording_compete(spark):
    from splits_tables import policy

    from speechlake.splits.overlaps import overlapped

    ddl = "utterance_id string, side string, recording_id string, channel string, start_ms bigint, ms bigint"
    rows = [
        ("long", "train", "r", "mix", 0, 9000), ("inside", "train", "r", "mix", 2000, 1000),
        ("later", "train", "r", "mix", 9000, 1000), ("other channel", "train", "r", "1", 0, 9000),
        ("other side", "test", "r", "mix", 0, 9000), ("other recording", "train", "q", "mix", 0, 9000),
    ]  # fmt: skip
    frame = spark.createDataFrame(
        [(*row, "s", "human") for row in rows], f"{ddl}, speaker_id string, text_kind string"
    )
    found = overlapped(frame, policy()).collect()
    assert [tuple(row) for row in found] == [("inside", "overlaps_other_utterance", "long")]
