"""Pairs -> clusters: copies, parts, boilerplate, and names that last."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from speechlake.duplicates.clusters import (
    BOILERPLATE_RECORDINGS,
    KINDS,
    duplicates,
    named,
    without_common_parts,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CURRENT = (
    "corpus string, utterance_id string, recording_id string, content_sha256 string, "
    "audio_samples_sha256 string, duration_s double"
)
PAIRS = "utterance_id string, other_id string, kind string, bit_error_rate double, shared_s double"
FORMER = "utterance_id string, cluster_id string, overlap_id string"


def current(spark: SparkSession, samples: dict[str, str | None], **recordings: str) -> DataFrame:
    """Utterances of ten seconds by their samples, each in a recording of its own unless told otherwise."""
    rows = [("c", u, recordings.get(u, f"r-{u}"), f"content of {u}", s, 10.0) for u, s in samples.items()]
    return spark.createDataFrame(rows, CURRENT)


def pairs(spark: SparkSession, *literal: tuple[str, str, str, float]) -> DataFrame:
    """(one, other, kind, bit error rate of near ones or shared seconds of contained ones)."""
    rows = [
        (a, b, kind, value if kind == "near" else 0.1, 10.0 if kind == "near" else value)
        for a, b, kind, value in literal
    ]
    return spark.createDataFrame(rows, PAIRS)


def told(frame: DataFrame) -> dict[str, Any]:
    """By utterance: kind, similarity, and the first member of its cluster and of its overlap."""
    rows = sorted(frame.collect(), key=lambda row: row.utterance_id)
    first: dict[str, str] = {}
    for row in rows:
        for name in ("cluster_id", "overlap_id"):
            first.setdefault(f"{name} {row[name]}", row.utterance_id)
    return {
        r.utterance_id: (
            r.kind, round(r.similarity, 3), first[f"cluster_id {r.cluster_id}"], first[f"overlap_id {r.overlap_id}"]
        )
        for r in rows
    }  # fmt: skip


@pytest.mark.slow
def test_copies_are_clusters_and_parts_only_overlap(spark):
    samples = dict.fromkeys("abcdefghij", None) | {"a": "A", "b": "A", "h": "H", "i": "H"}
    found = duplicates(
        current(spark, samples),
        pairs(
            spark,
            ("b", "c", "near", 0.04),  # a, b and c are copies of one another
            ("c", "d", "contained", 2.5),
            ("d", "e", "contained", 5.0),
            ("f", "g", "near", 0.12),
        ),
        spark.createDataFrame([], FORMER),
    )
    assert told(found) == {
        "a": ("exact", 1.0, "a", "a"),
        "b": ("exact", 1.0, "a", "a"),
        "c": ("near", 0.96, "a", "a"),
        "d": ("contained", 0.5, "d", "a"),  # linked to all that c is a copy of
        "e": ("contained", 0.5, "e", "a"),
        "f": ("near", 0.88, "f", "f"),
        "g": ("near", 0.88, "f", "f"),
        "h": ("exact", 1.0, "h", "h"),
        "i": ("exact", 1.0, "h", "h"),
    }


@pytest.mark.slow
def test_a_cluster_over_more_than_twenty_recordings_is_boilerplate_and_links_nothing(spark):
    jingle = {f"j{n:02}": "J" for n in range(BOILERPLATE_RECORDINGS + 1)}
    one = {f"k{n:02}": "K" for n in range(BOILERPLATE_RECORDINGS + 1)}
    frame = current(spark, {**jingle, **one, "x": None, "y": None}, k00="r-k01")
    parts = pairs(spark, ("j00", "x", "contained", 4.0), ("j01", "y", "contained", 4.0))
    found = told(duplicates(frame, parts, spark.createDataFrame([], FORMER)))
    assert {found[name][0] for name in jingle} == {"boilerplate"}
    assert {found[name][0] for name in one} == {"exact"}
    # What only shares the jingle shares nothing.
    assert {"x", "y"} & set(found) == set()


def test_a_part_that_lies_in_more_than_twenty_recordings_is_left_out_and_what_goes_beyond_it_stays(spark):
    names = [f"e{n:02}" for n in range(BOILERPLATE_RECORDINGS + 2)]
    episodes = [(a, b, "contained", 3.0) for i, a in enumerate(names) for b in names[i + 1 :]]
    again = [("e00", "e00 again", "contained", 8.0)]
    few = [("p", "q", "contained", 3.0), ("q", "s", "contained", 3.0)]
    frame = current(spark, dict.fromkeys([*names, "e00 again", "p", "q", "s"]))
    kept = without_common_parts(pairs(spark, *episodes, *again, *few), frame)
    assert {(row.utterance_id, row.other_id) for row in kept.collect()} == {
        ("e00", "e00 again"), ("p", "q"), ("q", "s")
    }  # fmt: skip


def names_of(
    spark: SparkSession, there: str, labels: dict[str, str], former: dict[str, str]
) -> dict[str, str]:
    """Names of clusters, beside an overlap of all that are there, whose name is as old as theirs."""
    overlap = (dict.fromkeys(there, min(there)), dict.fromkeys(former, "0 overlap"))
    frame, before = (
        spark.createDataFrame(
            [(u, name, kind) for kind, said in zip(KINDS, each, strict=True) for u, name in said.items()],
            f"utterance_id string, {column} string, kind string",
        )
        for each, column in (((labels, overlap[0]), "label"), ((former, overlap[1]), "id"))
    )
    found = named(frame, current(spark, dict.fromkeys(there)), before).collect()
    one, other = ([row for row in found if row.kind == kind] for kind in KINDS)
    assert len(one) == len(labels)
    assert (len(other), len({row.id for row in other})) == (len(there), 1)
    assert other[0].id == "0 overlap" or not former
    return {row.utterance_id: row.id for row in one}


@pytest.mark.parametrize(
    ("labels", "former", "names"),
    [
        ({"a": "a", "b": "a"}, {}, "new new"),
        ({"a": "a", "b": "a", "c": "a"}, {"b": "old", "c": "old"}, "old old old"),  # grew by a lower member
        ({"a": "a", "b": "a"}, {"a": "old 2", "b": "old 1"}, "old 1,old 1"),  # grew together
        (
            {"a": "a", "b": "a", "c": "c", "d": "c"},
            dict.fromkeys("abcd", "old"),
            "old old new new",
        ),  # fell apart
    ],
)
def test_clusters_inherit_their_names(spark, labels, former, names):
    found = names_of(spark, "abcd", labels, former)
    asked = names.split("," if "," in names else " ")
    said = [found[name] if found[name].startswith("old") else "new" for name in sorted(found)]
    assert said == asked
    fresh = {found[name] for name in found if not found[name].startswith("old")}
    assert len(fresh) == ("new" in said)


def test_a_name_that_a_member_left_behind_is_not_given_again(spark):
    names = partial(names_of, spark, "uvwz")
    first = names(dict.fromkeys("uvw", "u"), {})
    left = names(dict.fromkeys("vw", "v"), first)
    assert left == {"v": first["u"], "w": first["u"]}
    back = names({"v": "v", "w": "v", "u": "u", "z": "u"}, left)
    assert back["v"] == back["w"] == first["u"]
    assert back["u"] == back["z"] != first["u"]
