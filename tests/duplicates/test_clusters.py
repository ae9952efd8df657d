"""Pairs -> clusters: copies, parts, boilerplate, and names that last."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import functions as F

from speechlake.duplicates.boilerplate import BOILERPLATE_RECORDINGS, common_places, without_common_parts
from speechlake.duplicates.clusters import KINDS, duplicates, named

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CURRENT = (
    "corpus string, utterance_id string, recording_id string, content_sha256 string, is_retired boolean, "
    "audio_samples_sha256 string, duration_s double"
)
PAIRS = (
    "utterance_id string, other_id string, kind string, bit_error_rate double, shared_s double, "
    "start_s double, offset_s double"
)
FORMER = "utterance_id string, cluster_id string, overlap_id string"


def current(spark: SparkSession, samples: dict[str, str | None], **recordings: str) -> DataFrame:
    """Utterances of ten seconds by their samples, each in a recording of its own unless told otherwise; those that are
    called retired are."""
    rows = [
        ("c", u, recordings.get(u, f"r-{u}"), f"content of {u}", u.startswith("retired"), s, 10.0)
        for u, s in samples.items()
    ]
    return spark.createDataFrame(rows, CURRENT)


def pairs(spark: SparkSession, *literal: tuple[Any, ...]) -> DataFrame:
    """(one, other, kind, bit error rate of near ones or shared seconds of contained ones); of these also where the
    part begins in the one and in the other, at 0 if nothing is said."""
    rows = [
        (a, b, kind, value, 10.0, 0.0, 0.0)
        if kind == "near"
        else (a, b, kind, 0.1, value, begins[0], begins[1] - begins[0])
        for a, b, kind, value, *said in literal
        for begins in [said or (0.0, 0.0)]
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


@pytest.mark.slow
def test_what_is_delivered_anew_each_week_is_no_boilerplate(spark):
    weeks = {f"retired {n:02}": "A" for n in range(BOILERPLATE_RECORDINGS + 1)}
    parts = pairs(
        spark, *[("talk", week, "contained", 4.0) for week in weeks], ("talk", "x", "contained", 4.0)
    )
    frame = current(spark, {**weeks, "now": "A", "talk": None, "x": None})
    found = told(duplicates(frame, parts, spark.createDataFrame([], FORMER)))
    assert {found[name][0] for name in (*weeks, "now")} == {"exact"}
    assert len({overlap for _, _, _, overlap in found.values()}) == 1


def ends_of_kept(parts: DataFrame, frame: DataFrame) -> set[tuple[str, str]]:
    kept = without_common_parts(parts, common_places(parts, frame))
    return {(row.utterance_id, row.other_id) for row in kept.collect()}


EPISODES = [f"e{n:02}" for n in range(BOILERPLATE_RECORDINGS + 2)]


def with_a_jingle(seconds: float) -> list[tuple[Any, ...]]:
    """Pairs of EPISODES, each of which begins with the same seconds."""
    return [(a, b, "contained", seconds) for i, a in enumerate(EPISODES) for b in EPISODES[i + 1 :]]


def test_a_part_that_lies_in_more_than_twenty_recordings_is_left_out_and_what_goes_beyond_it_stays(spark):
    again = [("e00", "e00 again", "contained", 8.0)]
    few = [("p", "q", "contained", 3.0), ("q", "s", "contained", 3.0)]
    frame = current(spark, dict.fromkeys([*EPISODES, "e00 again", "p", "q", "s"]))
    parts = pairs(spark, *with_a_jingle(3.0), *again, *few)
    assert ends_of_kept(parts, frame) == {("e00", "e00 again"), ("p", "q"), ("q", "s")}


def test_what_lies_beside_the_jingle_is_theirs_however_short(spark):
    cut = [("clip", "e00", "contained", 2.5, 0.0, 5.0), ("e01", "other", "contained", 4.5, 3.5, 0.0)]
    frame = current(spark, dict.fromkeys([*EPISODES, "clip", "other"]))
    assert ends_of_kept(pairs(spark, *with_a_jingle(4.0), *cut), frame) == {
        ("clip", "e00"), ("e01", "other")
    }  # fmt: skip


def test_a_talk_of_which_every_part_lies_in_another_clip_has_no_common_part(spark):
    clips = [f"p{n:02}" for n in range(BOILERPLATE_RECORDINGS + 5)]
    parts = pairs(spark, *((clip, "talk", "contained", 8.0, 0.0, 8.0 * n) for n, clip in enumerate(clips)))
    frame = current(spark, dict.fromkeys([*clips, "talk"]))
    assert ends_of_kept(parts, frame) == {(clip, "talk") for clip in clips}


def test_other_clips_of_a_recording_are_no_other_recordings(spark):
    clips = [f"p{n:02}" for n in range(BOILERPLATE_RECORDINGS + 5)]
    parts = pairs(spark, *((clip, "talk", "contained", 8.0) for clip in clips))
    one = dict.fromkeys(clips, "r-of-all")
    frame = current(spark, dict.fromkeys([*clips, "talk"]), **one)
    assert ends_of_kept(parts, frame) == {(clip, "talk") for clip in clips}
    assert common_places(
        parts, current(spark, dict.fromkeys([*clips, "talk"]), talk="r-p00", **one)
    ).isEmpty()


@pytest.mark.slow
def test_the_jingle_cut_out_is_boilerplate_with_its_copies_but_where_it_evaluates(spark):
    cut = [(e, name, "contained", 3.0) for e in EPISODES for name in ("i", "j", "l")]
    copies = [("j", "k", "near", 0.1), ("l", "m", "near", 0.1)]
    seconds = dict.fromkeys(["i", "j", "k", "l", "m"], 3.4)
    frame = current(spark, dict.fromkeys([*EPISODES, *seconds]))
    lengths = F.create_map(*(F.lit(each) for item in seconds.items() for each in item))
    frame = frame.withColumns(
        {
            "duration_s": F.coalesce(lengths[F.col("utterance_id")], "duration_s"),
            "corpus": F.when(F.col("utterance_id") == "m", "bench").otherwise(F.col("corpus")),
        }
    )
    parts = pairs(spark, *with_a_jingle(3.0), *cut, *copies)
    found = told(duplicates(frame, parts, spark.createDataFrame([], FORMER), evaluating=["bench"]))
    assert {name: (kind, cluster) for name, (kind, _, cluster, _) in found.items()} == {
        "i": ("boilerplate", "i"),
        "j": ("boilerplate", "j"),
        "k": ("boilerplate", "j"),
        "l": ("near", "l"),
        "m": ("near", "l"),
    }


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
