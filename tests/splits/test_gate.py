"""The gate finds every kind of leak in the rows that are to be published."""

from __future__ import annotations

import pytest
from pyspark.sql import functions as F
from splits_tables import candidate, candidates, policy, unassigned

from speechlake.ids import make_id
from speechlake.splits import gate_values
from speechlake.splits.build import build
from speechlake.splits.gate import leaks

LINKS = [
    candidate("a", speaker_id="s"), candidate("b", speaker_id="s"),
    candidate("c", recording_id="r"), candidate("d", recording_id="r"),
    candidate("e", cluster_id="k", duplicate_kind="exact"), candidate("f", cluster_id="k", duplicate_kind="near"),
    candidate("g", cluster_id="j", duplicate_kind="boilerplate"), candidate("h", cluster_id="j", duplicate_kind="boilerplate"),
    candidate("i", corpus="one", single_speaker=True, speaker_id="v"), candidate("j", corpus="one", single_speaker=True, speaker_id="v"),
    candidate("k", corpus="two", single_speaker=True, speaker_id="w"), candidate("l", speaker_id="w"),
    candidate("m", speaker_id=None), candidate("n", corpus="one", single_speaker=True, speaker_id=None),
]  # fmt: skip
FINE = dict.fromkeys("abcdefghijklmn", "train")

# What is where -> what the gate finds.
FINDS = [
    ({}, set()),
    ({"i": "dev"}, set()),  # one voice inside its corpus
    ({"g": "test"}, {("boilerplate", "j", ("test",), 1)}),  # links nothing, and must not evaluate
    ({"b": "test"}, {("speaker", "s", ("test", "train"), 2)}),
    ({"c": "dev"}, {("recording", "r", ("dev", "train"), 2)}),
    ({"f": "dev"}, {("duplicate", "k", ("dev", "train"), 2)}),
    ({"l": "test"}, {("speaker", "w", ("test", "train"), 2)}),
    ({"m": "test"}, {("speaker_unknown", "m", ("test",), 1)}),
    ({"n": "test"}, set()),  # whose voice it is, its corpus says
    ({"z": "train"}, {("unknown_utterance", "z", ("train",), 1)}),
]


@pytest.mark.parametrize(("moved", "found"), FINDS, ids=lambda value: str(value)[:60])
def test_gate_finds(spark, moved, found):
    rows = spark.createDataFrame([*{**FINE, **moved}.items()], "utterance_id string, split string")
    assert said(leaks(rows, candidates(spark, *LINKS), unassigned(spark))) == found


def test_values_that_have_one_number_are_told_apart_before_they_are_said_to_leak(spark, monkeypatch):
    def one_for_all(kind, wrong, value):
        number = F.when(value.isNotNull(), F.lit(7).cast("bigint"))
        return F.struct(F.lit(wrong).alias("wrong"), number.alias("value"))

    monkeypatch.setattr(gate_values, "_numbered", one_for_all)
    moved = {"b": "test", "c": "dev"}
    rows = spark.createDataFrame([*{**FINE, **moved}.items()], "utterance_id string, split string")
    assert said(leaks(rows, candidates(spark, *LINKS), unassigned(spark))) == {
        ("speaker", "s", ("test", "train"), 2),
        ("recording", "r", ("dev", "train"), 2),
    }


def test_a_row_that_is_there_twice_or_moved_is_a_leak(spark):
    rows = spark.createDataFrame(
        [("i", "train"), ("i", "dev"), ("a", "train")], "utterance_id string, split string"
    )
    published = spark.createDataFrame([(make_id("utterance", "a"), "test")], "link_key string, side string")
    found = said(leaks(rows, candidates(spark, *LINKS), published))
    assert found >= {("utterance", "i", ("dev", "train"), 2), ("moved", "a", ("test", "train"), 1)}


def test_samples_on_two_sides_or_in_an_evaluation_corpus_are_leaks_though_nobody_looked_for_copies(spark):
    utterances = [
        candidate("a"),
        candidate("b"),
        candidate("c"),
        candidate("d"),
        candidate("e", role="evaluation"),
    ]
    # Listed anew, and not read yet.
    utterances.append(candidate("f", role="evaluation", content_sha256="listing:1-2"))
    content = {row["utterance_id"]: row["content_sha256"] for row in utterances}
    sides = {"a": "train", "b": "test", "c": "train", "d": "train"}
    rows = spark.createDataFrame(
        [(name, side, content[name]) for name, side in sides.items()],
        "utterance_id string, split string, content_sha256 string",
    )
    # What `c` and `e` held before their files were replaced is nobody's copy any more.
    samples = [("a", content["a"], "1"), ("b", content["b"], "1"), ("c", "former", "1"), ("c", content["c"], "2"),
               ("e", "former", "1"), ("e", content["e"], "2"), ("d", content["d"], "3"), ("f", "former", "3")]  # fmt: skip
    heard = spark.createDataFrame(
        samples, "utterance_id string, content_sha256 string, samples_sha256 string"
    )
    found = leaks(rows, candidates(spark, *utterances), unassigned(spark), heard=heard)
    assert said(found) == {
        ("samples", "1", ("test", "train"), 2),
        ("evaluation_corpus_samples", "c", ("train",), 1),
        ("evaluation_corpus_samples", "d", ("train",), 1),
    }


def test_copies_on_two_sides_are_a_leak_though_duplicates_does_not_tell_of_them(spark):
    utterances = [*map(candidate, "abcd"), candidate("j", cluster_id="j", duplicate_kind="boilerplate")]
    utterances.append(candidate("e", role="evaluation"))
    sides = {"a": "train", "b": "test", "c": "train", "d": "train", "j": "train"}
    rows = spark.createDataFrame([*sides.items()], "utterance_id string, split string")
    # What is said in many recordings links nobody; x is in no release.
    pairs = [("a", "b"), ("c", "d"), ("b", "j"), ("b", "x"), ("c", "e")]
    copies = spark.createDataFrame(pairs, "utterance_id string, other_id string")
    found = leaks(rows, candidates(spark, *utterances), unassigned(spark), copies=copies)
    assert said(found) == {
        ("copy", "a b", ("test", "train"), 2), ("evaluation_corpus_copy", "c", ("train",), 1)
    }  # fmt: skip


@pytest.mark.slow
def test_a_wrong_side_put_into_a_real_build_is_found(spark):
    frame = candidates(spark, *(candidate(str(n), speaker_id=f"s{n % 6}") for n in range(18)))
    built = build(frame, policy(splits={"test": {"hours": 1, "max_share": 0.4}}), unassigned(spark))
    sides = {row["utterance_id"]: row["split"] for row in built.splits.collect()}
    assert set(sides.values()) == {"train", "test"}
    victim = next(name for name, side in sides.items() if side == "test")
    wrong = built.splits.withColumn(
        "split", F.when(F.col("utterance_id") == victim, "train").otherwise(F.col("split"))
    )
    assert said(leaks(wrong, frame, unassigned(spark))) == {
        ("speaker", f"s{int(victim) % 6}", ("test", "train"), 3)
    }


def said(frame):
    """Findings as comparable tuples."""
    return {(row["kind"], row["value"], tuple(row["sides"]), row["utterances"]) for row in frame.collect()}
