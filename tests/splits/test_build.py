"""A whole build: where each row ends, and that it stays there."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest
from splits_tables import candidate, candidates, policy, unassigned

from speechlake.contracts import conform
from speechlake.ids import make_id
from speechlake.schemas import DECISIONS, SPLITS
from speechlake.splits.build import build
from speechlake.splits.digest import build_id, rows_digest
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
    ("utterance", "solo", "test"),
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
    candidate("bridge", speaker_id="old train voice", recording_id="recording of t1"),  # new: takes test
    candidate("o2", speaker_id="another", recording_id="long"),  # linked to o1 only
    candidate("forgot", **TRAIN),
    candidate("newcomer", recording_id="recording of gone", **TRAIN),
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
    "bridge": "test",
    "o1": ("train", "bridges_splits", None),
    "o2": "train",
    "forgot": ("dev", "speaker_unknown", None),
    "newcomer": ("test", "speaker_unknown", None),
    "solo": ("test", "speaker_elsewhere", None),
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
    assert (said["passed"], said["failed"], said["not_applicable"]) == (19, 3, 0)
    assert said["hours_alone"] == 99 / 3600  # not the clip that is clipped too, not the broken one
    assert rules["clean"]["hours_alone"] == 2 * 3.6 / 3600


@pytest.mark.slow
def test_counts_hold_every_row_once(built):
    counts = built.counts.collect()
    assert sum(row["utterances"] for row in counts) == len(CASES)
    test = next(row for row in counts if row["split"] == "test")
    assert (test["corpus"], test["language"], test["utterances"], test["speakers"]) == ("c", "en", 3, 2)


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


# Parts of policies, to be put together at random.
RULES = [
    {"rule": "decodes", "signal": "audio.error", "is": None},
    {"rule": "length", "signal": "audio.duration_s", "between": {"fr": [1, 5], "default": [0.4, 30]}},
    {"rule": "clean", "signal": "audio.clipped_ratio", "at_most": 0.5, "on": "train", "if_missing": "pass"},
    {"rule": "tags", "column": "text_tags", "none_of": ["prompts"]},
    {"rule": "votes", "column": "extras.votes", "at_least": 2, "when": {"column": "corpus", "equals": "d"}},
    {
        "rule": "any",
        "any_of": [{"column": "corpus", "matches": "[ce]"}, {"column": "speaker_known", "is": True}],
    },
]
CAPS = [{"per": "speaker", "hours": 0.003}, {"per": "text", "hours": 0.01}, {"per": "corpus", "hours": 0.02}]
WEIGHTS = [None, {"temperature": 0.3}, {"per": ["language", "corpus"], "temperature": 0, "corpora": {"d": 2}}]


def any_policy(rng):
    rules = [rule for rule in RULES if rng.random() < 0.6]
    dropped = [rule["rule"] for rule in rules if rng.random() < 0.4]
    overrides = [{"languages": ["fr"], "corpora": ["d"], "drop_rules": dropped}] if dropped else []
    return policy(
        text={"prefer": ["manifest"], "form": rng.choice(["verbatim", "lower", "normalised"])},
        keep=rules,
        overrides=overrides,
        caps=rng.sample(CAPS, rng.randrange(4)),
        weights=rng.choice(WEIGHTS),
        splits={"test": HALF, "dev": HALF, "per": rng.choice([["language"], ["corpus", "language"]])},
    )


def any_candidate(rng, n):
    return candidate(
        f"u{n}",
        corpus=rng.choice("cde"),
        language=rng.choice(["en", "fr-CA", None]),
        speaker_id=rng.choice([None, "s1", "s2", "s3", f"own {n}"]),
        text=rng.choice(["one", "One!", "two", " ", None, "[noise]", f"text {n}"]),
        text_kind=rng.choice(["human", "machine", None]),
        text_tags=rng.choice([[], ["prompts"], ["read", "prompts"]]),
        extras=rng.choice([{}, {"votes": "1"}, {"votes": "3"}, {"votes": "?"}]),
        audio_duration_s=rng.choice([None, 0.2, 3.6, 9.0]),
        audio_clipped_ratio=rng.choice([None, 0.1, 0.9, float("nan")]),
        audio_fingerprint=rng.choice([None, "audio-1", "audio-1"]),
    )


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
def test_under_any_policy_every_utterance_ends_once_and_caps_hold(spark, seed):
    rng = random.Random(seed)
    asked, rows = any_policy(rng), [any_candidate(rng, n) for n in range(80)]
    digests = set()
    for partitions in (1, 4):
        result = build(candidates(spark, *rows, partitions=partitions), asked, unassigned(spark))
        kept = {row["utterance_id"]: row for row in result.splits.collect()}
        out = {row["utterance_id"]: row for row in result.decisions.collect()}
        assert not kept.keys() & out.keys()
        assert kept.keys() | out.keys() == {row["utterance_id"] for row in rows}
        assert all(row["rule"] and row["failed"] for row in out.values())
        assert all(row["text"].strip() and row["weight"] > 0 for row in kept.values())
        digests.add(rows_digest(result.splits, result.decisions))
        rng.shuffle(rows)
    assert len(digests) == 1
    column = {"speaker": "speaker_id", "corpus": "corpus"}
    for cap in asked.caps:
        hours = defaultdict(float)
        for row in kept.values():
            if row["split"] == "train" and cap.per in column and row[column[cap.per]] is not None:
                hours[row[column[cap.per]]] += row["duration_s"] / 3600
        assert all(n <= cap.hours + 1e-9 for n in hours.values())
    train = [row for row in kept.values() if row["split"] == "train"]
    if train:
        seconds = sum(row["duration_s"] for row in train)
        assert sum(row["duration_s"] * row["weight"] for row in train) / seconds == pytest.approx(1, abs=1e-4)
