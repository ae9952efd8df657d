"""Samples of keys on their way into `key_buckets` and out of it."""

from __future__ import annotations

from key_tools import drawn, keys

from speechlake.duplicates.buckets import bucket_filter, bucket_rows, clip_number, exploded, in_filter
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


def test_what_is_stored_comes_out_as_it_was_sampled(spark):
    rows = stored(spark).orderBy("utterance_id").collect()
    whole = sampled(list(CLIPS.values()))
    assert [row.samples for row in rows] == [(whole.clip == n).sum() for n in range(3)]
    out = exploded(stored(spark), fresh=True).collect()
    numbers = [row.n for row in stored(spark).select(clip_number("utterance_id").alias("n")).collect()]
    assert [(row.bucket % 2**32, row.frame) for row in out] == list(
        zip(whole.bucket.tolist(), whole.frame.tolist(), strict=True)
    )
    assert [row.clip for row in out] == [numbers[n] for n in whole.clip]
    assert all(row.fresh for row in out)


def test_of_what_was_there_only_samples_that_may_meet_come_out(spark):
    new = stored(spark, {"3" * 32: CLIPS["1" * 32]})
    wanted = bucket_filter(new)
    there = exploded(stored(spark), fresh=False, wanted=wanted).collect()
    whole = sampled(list(CLIPS.values()))
    assert len(there) == in_filter(wanted.value, whole.bucket).sum()
    assert {row.bucket % 2**32 for row in there} >= set(whole.bucket[whole.clip == 0].tolist())
    assert len(there) < len(whole.bucket) / 2


def test_a_table_without_samples_has_none(spark):
    assert exploded(stored(spark, {"2" * 32: CLIPS["2" * 32]}), fresh=True).collect() == []
    assert exploded(stored(spark).limit(0), fresh=True).collect() == []
