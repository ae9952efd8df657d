"""Samples of keys on their way into `key_buckets` and out of it."""

from __future__ import annotations

import numpy as np
from key_tools import drawn, keys

from speechlake.duplicates import buckets
from speechlake.duplicates.buckets import (
    SAMPLE,
    bucket_filter,
    bucket_rows,
    clip_number,
    in_filter,
    packed,
    unpacked,
)
from speechlake.duplicates.keys import pack
from speechlake.duplicates.sampling import sampled

# The second has no frame that anybody could look up.
CLIPS = {"1" * 32: drawn(40, seed=1), "2" * 32: keys(5, 6, active=[0, 0]), "f" * 32: drawn(300, seed=2)}


def stored(spark, clips=CLIPS):
    packed = [
        ("c", name, "hash", "k", *(bytearray(each) for each in pack(clip))) for name, clip in clips.items()
    ]
    ddl = "corpus string, utterance_id string, content_sha256 string, fingerprint string, keys binary, active binary"
    return bucket_rows(spark.createDataFrame(packed, ddl)).coalesce(1)


def samples_of(frame):
    """All samples of packed rows, and which of them are fresh."""
    return unpacked(frame.toArrow().combine_chunks().to_batches())


def test_what_is_stored_comes_out_as_it_was_sampled(spark):
    rows = stored(spark).orderBy("utterance_id").collect()
    whole = sampled(list(CLIPS.values()))
    assert [row.samples for row in rows] == [(whole.clip == n).sum() for n in range(3)]
    out, fresh = samples_of(packed(stored(spark), 1, fresh=True))
    numbers = [row.n for row in stored(spark).select(clip_number("utterance_id").alias("n")).collect()]
    for name in ("bucket", "frame", "context"):
        assert (out[name] == getattr(whole, name)).all()
    assert out["clip"].tolist() == [numbers[n] for n in whole.clip]
    assert (len(out), fresh.all()) == (len(whole.bucket), True)


def test_all_samples_of_a_bucket_lie_in_one_lot_and_none_is_lost(spark, monkeypatch):
    monkeypatch.setattr(buckets, "SAMPLES_PACKED", 100)
    clips = {f"{n:032x}": drawn(60, seed=n % 3) for n in range(6)}
    batches = stored(spark, clips).toArrow().to_batches(max_chunksize=2)
    rows = [row for batch in buckets._Packing(7, False, None)(iter(batches)) for row in batch.to_pylist()]
    # 360 samples: three times 100 and the rest, of seven lots each.
    assert (len(rows), {row["lot"] for row in rows}) == (28, {*range(7)})
    lots = {}
    for row in rows:
        for bucket in np.frombuffer(row["samples"], SAMPLE)["bucket"].tolist():
            lots.setdefault(bucket, []).append(row["lot"])
    assert {len({*each}) for each in lots.values()} == {1}
    assert sum(map(len, lots.values())) == len(sampled(list(clips.values())).bucket)


def test_of_what_was_there_only_samples_that_may_meet_come_out(spark):
    new = stored(spark, {"3" * 32: CLIPS["1" * 32]})
    wanted = bucket_filter(new)
    there, fresh = samples_of(packed(stored(spark), 1, fresh=False, wanted=wanted))
    whole = sampled(list(CLIPS.values()))
    assert len(there) == in_filter(wanted.value, whole.bucket).sum()
    assert {*there["bucket"].tolist()} >= set(whole.bucket[whole.clip == 0].tolist())
    assert len(there) < len(whole.bucket) / 2
    assert not fresh.any()


def test_a_table_without_samples_has_none(spark):
    assert packed(stored(spark, {"2" * 32: CLIPS["2" * 32]}), 3, fresh=True).collect() == []
    assert packed(stored(spark).limit(0), 3, fresh=True).collect() == []
