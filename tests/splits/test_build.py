"""A whole build: where each row ends, and that it stays there."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest
from splits_tables import candidate, candidates, policy

from speechlake.contracts import conform
from speechlake.ids import make_id
from speechlake.schemas import DECISIONS, SPLITS
from speechlake.splits.build import build
from speechlake.splits.digest import added, build_id, rows_digest
from speechlake.splits.gate import leaks

HALF = {"hours": 9, "max_share": 0.5}
POLICY = policy(
    text={"prefer": ["manifest"]},
    keep=[
        {"rule": "decodes", "signal": "audio.error", "is": None},
        {"rule": "length", "signal": "audio.duration_s", "between": [0.4, 30]},
        {"rule": "clean", "signal": "audio.clipped_ratio", "at_most": 0.1, "on": "train"},
    ],
    splits={"test": HALF, "dev": {"hours": 9, "max_share": 0.2}},
)

# Where rows ended in earlier releases of the scheme: link kind, value, side.
PUBLISHED = [
    ("speaker", "old test voice", "test"), ("utterance", "t1", "test"), ("recording", "recording of t1", "test"),
    ("speaker", "old train voice", "train"), ("utterance", "o1", "train"), ("utterance", "o2", "train"),
    ("recording", "long", "train"), ("utterance", "forgot", "dev"), ("recording", "recording of gone", "test"),
    ("utterance", "solo", "test"), ("content", "bytes of a file that moved", "test"),
]  # fmt: skip

# Every row trains unless a row of a table below says something else: a missing voice is never picked.
TRAIN = {"speaker_id": None}
CASES = [
    candidate("plain", **TRAIN),
    # Set aside: nothing else is asked.
    candidate("retired", retired_in="m.jsonl#2", audio_duration_s=99.0),
    candidate("cut", retired_in="segmented:0123456789abcdef", audio_duration_s=99.0),
    candidate("bench", role="evaluation"),
    candidate("lost", recording_state="missing"),
    # Rules and texts.
    candidate("broken", audio_error="BAD_DATA", audio_duration_s=None, content_sha256=None),
    candidate("long", audio_duration_s=99.0, **TRAIN),
    candidate("clipped", audio_clipped_ratio=0.9, **TRAIN),
    candidate("long and clipped", audio_duration_s=99.0, audio_clipped_ratio=0.9),
    candidate("silent", text=" ", **TRAIN),
    # Copies: the human text stays; without one, the longer.
    candidate("copy by machine", text_kind="machine", cluster_id="k1", duplicate_kind="exact", audio_duration_s=9.0, **TRAIN),
    candidate("copy by hand", cluster_id="k1", duplicate_kind="exact", **TRAIN),
    candidate("copy that fails", cluster_id="k1", duplicate_kind="exact", audio_clipped_ratio=0.9, **TRAIN),
    candidate("short copy", cluster_id="k2", duplicate_kind="exact", **TRAIN),
    candidate("longer copy", cluster_id="k2", duplicate_kind="exact", audio_duration_s=3.601, **TRAIN),
    # Remembered sides.
    candidate("t1", speaker_id="old test voice", audio_clipped_ratio=0.9),  # a train rule is not asked
    candidate("t2", speaker_id="old test voice"),  # new, takes the side of its voice
    candidate("t3", speaker_id="old test voice", text_kind="machine"),
    candidate("o1", speaker_id="old train voice", recording_id="long"),
    candidate("bridge", speaker_id="old train voice", recording_id="recording of t1"),  # new, and goes: its voice trained
    candidate("o2", speaker_id="another", recording_id="long"),  # linked to o1 only
    candidate("forgot", **TRAIN),
    candidate("newcomer", recording_id="recording of gone", **TRAIN),
    # Its path is new, its bytes evaluated: in a corpus of one voice nothing else remembers it.
    candidate("moved file", corpus="one voice", single_speaker=True, content_sha256="bytes of a file that moved"),
    # One voice, declared; the same voice elsewhere makes the corpus train only.
    candidate("solo", corpus="solo", single_speaker=True, speaker_id="famous"),
    candidate("solo 2", corpus="solo", single_speaker=True, speaker_id="famous"),
    candidate("famous elsewhere", speaker_id="famous"),
]  # fmt: skip

# split, or (side, first reason, value)
ENDS = {
    "plain": "train",
    "retired": (None, "not_in_manifest", None),
    "cut": (None, "segmented", None),
    "bench": (None, "evaluation_corpus", None),
    "lost": (None, "audio_missing", None),
    "broken": (None, "decodes", "BAD_DATA"),
    "long": (None, "length", "99"),
    "clipped": ("train", "clean", "0.9"),
    "long and clipped": (None, "length", "99"),
    "silent": (None, "no_text", None),
    "copy by machine": ("train", "duplicate_of_kept", "copy by hand"),
    "copy by hand": "train",
    "copy that fails": ("train", "clean", "0.9"),
    "short copy": ("train", "duplicate_of_kept", "longer copy"),
    "longer copy": "train",
    "t1": "test",
    "t2": "test",
    "t3": ("test", "machine_text", "machine"),
    "bridge": ("test", "bridges_splits", "o1"),
    "o1": "train",
    "o2": "train",
    "forgot": ("dev", "speaker_unknown", None),
    "newcomer": ("test", "speaker_unknown", None),
    "moved file": "test",
    "solo": ("test", "speaker_elsewhere", "famous"),
    "solo 2": "train",
    "famous elsewhere": "train",
}


def published(spark):
    """`PUBLISHED` as assignments."""
    keys = [(make_id(kind, value), side) for kind, value, side in PUBLISHED]
    return spark.createDataFrame(keys, "link_key string, side string")


@pytest.fixture(scope="module")
def built(spark):
    """The build of `CASES`, once."""
    return build(candidates(spark, *CASES), POLICY, published(spark))


@pytest.mark.slow
def test_every_row_has_a_side_or_a_reason(built):
    ends = {row["utterance_id"]: row["split"] for row in built.splits.collect()}
    for row in built.decisions.collect():
        assert row["utterance_id"] not in ends
        ends[row["utterance_id"]] = (row["side"], row["rule"], row["value"])
    assert ends == ENDS


@pytest.mark.slow
def test_decisions_name_all_failed_rules_in_order(built):
    failed = {row["utterance_id"]: row["failed"] for row in built.decisions.collect()}
    assert failed["long and clipped"] == ["length", "clean"]
    assert failed["broken"] == ["decodes", "missing:audio.duration_s", "missing:audio.clipped_ratio"]
    assert failed["retired"] == ["not_in_manifest"]


@pytest.mark.slow
def test_frames_fit_their_contracts(spark, built):
    from pyspark.sql import functions as F

    for frame, table in ((built.splits, SPLITS), (built.decisions, DECISIONS)):
        assert conform(frame.withColumn("build_id", F.lit("b")), table).count() == frame.count()


@pytest.mark.slow
def test_rules_are_counted_with_the_hours_that_each_removes_alone(built):
    rules = {row["rule"]: row for row in built.rules.collect()}
    assert list(rules) == ["decodes", "length", "clean"]
    said = rules["length"]
    assert (said["passed"], said["failed"], said["not_applicable"]) == (20, 3, 0)
    assert said["hours_alone"] == 99 / 3600  # not the clip that is clipped too, not the broken one
    assert rules["clean"]["hours_alone"] == 2 * 3.6 / 3600


@pytest.mark.slow
def test_counts_hold_every_row_once(built):
    counts = built.counts.collect()
    assert sum(row["utterances"] for row in counts) == len(CASES)
    test = next(row for row in counts if row["split"] == "test")
    assert (test["corpus"], test["language"], test["utterances"], test["speakers"]) == ("c", "en", 2, 1)


@pytest.mark.slow
def test_only_keys_without_a_published_row_are_new(spark, built):
    new = {row["link_key"]: row["side"] for row in built.assignments.collect()}
    assert new[make_id("utterance", "t2")] == "test"
    assert new[make_id("duplicate", "k1")] == "train"
    assert make_id("speaker", "old test voice") not in new
    assert make_id("utterance", "clipped") not in new  # not kept, not remembered
    assert set(built.assignments.columns) == {"scheme", "link_key", "side"}


@pytest.mark.slow
def test_the_gate_passes_this_build(spark, built):
    assert leaks(built.splits, candidates(spark, *CASES), published(spark)).collect() == []


@pytest.mark.slow
def test_order_and_partitions_change_no_digest(spark, built):
    shuffled = random.Random(3).sample(CASES, len(CASES))
    again = build(candidates(spark, *shuffled, partitions=5), POLICY, published(spark))
    assert rows_digest(again.splits, again.decisions) == rows_digest(built.splits, built.decisions)


def test_a_digest_sees_every_value_and_every_copy_of_a_row(spark):
    def digest(*rows):
        frame = spark.createDataFrame(rows, "text string, n double, m map<string,string>, l array<string>")
        return rows_digest(frame.limit(9), spark.createDataFrame([], "a string"))

    one, two = ("a", 1.0, {"x": "1", "y": "2"}, ["p"]), ("b", None, {}, [])
    assert digest(one, two) == digest(two, one) == digest(two, ("a", 1.0, {"y": "2", "x": "1"}, ["p"]))
    others = [
        (one,),
        (one, one, two),
        (("", None, {}, []), one),
        ((None, None, {}, []), one),
        (one, ("b", 0.0, {}, [])),
        (one, ("b", None, {}, [""])),
    ]
    assert len({digest(one, two), *(digest(*rows) for rows in others)}) == 1 + len(others)


def test_a_digest_does_not_depend_on_which_row_says_what_keys_maps_have(spark):
    maps = [
        {"x": "1", "y": "2"},
        {"x": "1"},
        {"y": "2", "xx": "1"},
        {"x": None, "y": "2"},
        {"z": None},
        {},
        None,
    ]
    none = spark.createDataFrame([], "a string")

    def digest(*found):
        return rows_digest(spark.createDataFrame([(each,) for each in found], "m map<string,string>"), none)

    assert len({digest(*maps[n:], *maps[:n]) for n in range(len(maps))}) == 1
    # But for keys of nulls, which were left out since the first release.
    assert len({digest(maps[0], each) for each in maps}) == len(maps) - 1


def test_a_digest_is_what_it_was_when_releases_recorded_it(spark):
    columns = "text string, n double, m map<string,string>, l array<string>, ms bigint"
    rows = [("a", 1.5, {"x": "1", "y": "2"}, ["p", ""], 7), ("naïve " * 40, None, {}, [], None)]
    splits, decisions = spark.createDataFrame(rows, columns), spark.createDataFrame([("b",)], "rule string")
    found = rows_digest(splits, decisions)
    assert found == "dc2d115feee1820af3b7a53880d50a059c9f2458598d3d1658c749777b0f53a2"
    found = rows_digest(splits.limit(0), decisions)
    assert found == "86a9e21563266110e636ed114ff110302452aefc5bc79d555a444b3e671c5aa6"


def test_hashes_add_up_as_whole_numbers_however_large_and_wherever_a_batch_begins():
    hashes = [bytes([255] * 32), bytes(range(32)), bytes(32)]
    batch = pa.RecordBatch.from_arrays([pa.array(hashes, pa.binary())], ["hash"])
    (found,) = added(iter([batch.slice(1), batch.slice(0, 1), batch.slice(0, 0)]))
    pieces = [[int.from_bytes(each[n : n + 8], "big") for each in hashes] for n in (0, 8, 16, 24)]
    assert [int(column[0].as_py()) for column in found.columns] == [len(hashes), *map(sum, pieces)]


def test_a_build_is_named_after_policy_scheme_fingerprints_and_rows():
    name = build_id("p", "main", ["b", "a"], "rows")
    assert name == build_id("p", "main", ["a", "b", "a"], "rows")
    assert (
        len(
            {
                name,
                build_id("q", "main", ["a", "b"], "rows"),
                build_id("p", "x", ["a", "b"], "rows"),
                build_id("p", "main", ["a"], "rows"),
                build_id("p", "main", ["a", "b"], "r"),
            }
        )
        == 5
    )
