"""Keys of clips on their way to where buckets meet."""

from __future__ import annotations

import numpy as np
import pytest
from key_tools import drawn, keys

from speechlake.duplicates import buckets
from speechlake.duplicates.buckets import (
    SAMPLE,
    bucket_filter,
    clip_number,
    in_filter,
    in_lots,
    out_of_lots,
    samples_expected,
)
from speechlake.duplicates.keys import pack
from speechlake.duplicates.sampling import ALL_BELOW, joined, sampled

# The second has no frame that anybody could look up.
CLIPS = {"1" * 32: drawn(40, seed=1), "2" * 32: keys(5, 6, active=[0, 0]), "f" * 32: drawn(300, seed=2)}
WHOLE = sampled(joined(list(CLIPS.values())))


def stored(spark, clips=CLIPS, fresh=()):
    """Rows of clips; `fresh` are names of those that are."""
    rows = [(name, *(bytearray(each) for each in pack(clip)), name in fresh) for name, clip in clips.items()]
    ddl = "utterance_id string, keys binary, active binary, is_fresh boolean"
    return spark.createDataFrame(rows, ddl).coalesce(1)


def samples_of(frame):
    """All samples of packed rows, and which of them are fresh."""
    return out_of_lots(frame.toArrow().combine_chunks().to_batches())


def test_samples_come_out_as_they_were_taken_of_a_clip(spark):
    out, fresh = samples_of(in_lots(stored(spark), 1))
    numbers = [row.n for row in stored(spark).select(clip_number("utterance_id").alias("n")).collect()]
    for name in ("bucket", "frame", "context"):
        assert (out[name] == getattr(WHOLE, name)).all()
    assert out["clip"].tolist() == [numbers[n] for n in WHOLE.clip]
    assert (len(out), fresh.any()) == (len(WHOLE.bucket), False)


def test_a_flag_says_of_each_frame_whether_it_is_active_however_many_frames_a_clip_has(spark):
    # One to seven bits of a clip's last byte of flags are none of its frames.
    clips = {
        f"{n:016x}{0:016x}": keys(*range(1, n + 1), active=[frame % 3 != 1 for frame in range(n)])
        for n in range(19)
    }
    whole = sampled(joined(list(clips.values())))
    out, _ = samples_of(in_lots(stored(spark, clips), 1))
    assert (out["bucket"] == whole.bucket).all()
    assert (out["context"] == whole.context).all()
    assert (out["clip"] == whole.clip).all()
    assert len(out) == sum(frame % 3 != 1 for n in range(19) for frame in range(n))


@pytest.mark.parametrize(
    ("at_once", "pieces"), [(1, [40, 2, 300]), (42, [42, 300]), (341, [42, 300]), (342, [342])]
)
def test_clips_that_are_sampled_a_few_at_once_give_the_same(spark, monkeypatch, at_once, pieces):
    monkeypatch.setattr(buckets, "FRAMES_AT_ONCE", at_once)
    (batch,) = stored(spark).toArrow().to_batches()
    few = [sum(map(len, each.column("keys").to_pylist())) // 4 for each in buckets._few_at_once(batch)]
    assert few == pieces
    out, _ = out_of_lots([*buckets._Lots(1, None)(iter([batch]))])
    assert all((out[name] == getattr(WHOLE, name)).all() for name in ("bucket", "frame", "context"))


def test_all_samples_of_a_bucket_lie_in_one_lot_and_none_is_lost(spark, monkeypatch):
    monkeypatch.setattr(buckets, "SAMPLES_PACKED", 100)
    clips = {f"{n:032x}": drawn(60, seed=n % 3) for n in range(6)}
    batches = stored(spark, clips, fresh=[*clips]).toArrow().to_batches(max_chunksize=2)
    rows = [row for batch in buckets._Lots(7, None)(iter(batches)) for row in batch.to_pylist()]
    # 360 samples: three times the 120 of two clips, of seven lots each.
    assert (len(rows), {row["lot"] for row in rows}) == (21, {*range(7)})
    lots = {}
    for row in rows:
        for bucket in np.frombuffer(row["samples"], SAMPLE)["bucket"].tolist():
            lots.setdefault(bucket, []).append(row["lot"])
    assert {len({*each}) for each in lots.values()} == {1}
    assert sum(map(len, lots.values())) == len(sampled(joined(list(clips.values()))).bucket)


def test_of_what_was_there_only_samples_that_may_meet_come_out_and_all_of_what_is_fresh(spark):
    clips = {"3" * 32: CLIPS["1" * 32], **CLIPS}
    rows = stored(spark, clips, fresh=["3" * 32])
    wanted = bucket_filter(rows.where("is_fresh"))
    samples, fresh = samples_of(in_lots(rows, 1, wanted))
    first = WHOLE.bucket[WHOLE.clip == 0]
    assert samples["bucket"][fresh].tolist() == first.tolist()
    there = samples[~fresh]
    assert len(there) == in_filter(wanted.value, WHOLE.bucket).sum() < len(WHOLE.bucket) / 2
    assert {*there["bucket"].tolist()} >= {*first.tolist()}
    # What lies around a sample is there, wanted or not.
    at = np.isin(WHOLE.bucket, there["bucket"])
    assert (there["context"] == WHOLE.context[at]).all()


def test_clips_without_samples_have_none(spark):
    assert in_lots(stored(spark, {"2" * 32: CLIPS["2" * 32]}), 3).collect() == []
    assert in_lots(stored(spark).limit(0), 3).collect() == []


def test_about_as_many_samples_are_expected_as_come(spark):
    clips = [drawn(frames, seed=frames) for frames in (50, ALL_BELOW - 1, ALL_BELOW, 1000)]
    expected = spark.createDataFrame([(len(clip.bits),) for clip in clips], "frames int").select(
        samples_expected("frames").alias("n")
    )
    taken = [len(sampled(joined([clip])).bucket) for clip in clips]
    for count, row in zip(taken, expected.collect(), strict=True):
        assert count <= 1.1 * row.n
    assert [row.n for row in expected.collect()] == [50, ALL_BELOW - 1, ALL_BELOW, 500]
