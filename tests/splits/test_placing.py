"""What placing does with lists, overlaps, boilerplate, parts of longer clips, and groups that are too large."""

from __future__ import annotations

from typing import Any

import pytest
from splits_tables import candidate, candidates, policy, unassigned

from speechlake.ids import make_id
from speechlake.splits.build import build
from speechlake.splits.gate import Asked, leaks

pytestmark = pytest.mark.slow


def ends_of(built) -> dict[str, Any]:
    """Utterance -> its split, or (side, first reason, value)."""
    ends: dict[str, Any] = {row["utterance_id"]: row["split"] for row in built.splits.collect()}
    for row in built.decisions.collect():
        assert row["utterance_id"] not in ends
        ends[row["utterance_id"]] = (row["side"], row["rule"], row["value"])
    return ends


def messages(frame) -> list[str]:
    return [row["message"] for row in frame.collect()]


def published(spark, **sides: str):
    """Published sides of utterances, their ids spelled with underscores for spaces."""
    keys = [(make_id("utterance", name.replace("_", " ")), side) for name, side in sides.items()]
    return spark.createDataFrame(keys, "link_key string, side string")


LISTED = policy(
    text={"prefer": ["manifest"]},
    keep=[{"rule": "length", "signal": "audio.duration_s", "between": [0.4, 30], "on": "eval"}],
    lists={"test": {"file": "test.txt", "sha256": "0"}, "dev": {"file": "dev.txt", "sha256": "0"}},
)
LISTS = [
    (candidate("fixed", listed="test", speaker_id="a"), "test"),
    (candidate("fixed without a voice", listed="test", speaker_id=None), "test"),
    (candidate("fixed in dev", listed="dev"), "dev"),
    # What fails on its list's side is nowhere: it never trains.
    (candidate("fixed but too long", listed="test", audio_duration_s=99.0), (None, "length", "99")),
    (candidate("fixed but trained", listed="test"), ("train", "published_before_listed", "train")),
    (candidate("fixed in dev by a voice of test", listed="dev", speaker_id="a"), ("dev", "shares_with_fixed_set", "fixed")),
    # Not listed, but linked to what is: out; what is linked to them alone is free.
    (candidate("same voice", speaker_id="a", recording_id="r"), ("train", "shares_with_fixed_set", "fixed")),
    (candidate("same recording as that", recording_id="r", start_ms=9000), "train"),
    (candidate("voice in test before", speaker_id="t"), "test"),
    (candidate("fixed by a voice in test", listed="test", speaker_id="t"), "test"),
    (candidate("fixed in dev by that", listed="dev", speaker_id="t"), ("test", "published_before_listed", "test")),
    # Who trained is not asked, whether his clips are here or remembered alone; what trained goes on.
    (candidate("voice in train before", speaker_id="b"), "train"),
    (candidate("fixed by a voice in train", listed="test", speaker_id="b"), ("train", "published_before_listed", "train")),
    (candidate("fixed by a voice of train", listed="test", speaker_id="c"), ("train", "published_before_listed", "train")),
    (candidate("trained and dropped", text=None, overlap_id="o"), (None, "no_text", None)),
    (candidate("fixed copy of that", listed="test", overlap_id="o"), ("train", "published_before_listed", "train")),
    # Its copy was heard with it.
    (candidate("fixed but in dev", listed="test", overlap_id="od"), ("dev", "published_before_listed", "dev")),
    (candidate("copy of that", overlap_id="od"), "dev"),
    # Its file was replaced by what trained.
    (candidate("fixed and replaced", listed="test", content_sha256="trained"), ("test", "published_before_listed", "train")),
    (candidate("stranger"), "train"),
]  # fmt: skip


def test_a_list_is_a_side_and_what_shares_a_link_with_it_directly_is_out(spark):
    before = published(
        spark,
        fixed_but_trained="train",
        voice_in_test_before="test",
        voice_in_train_before="train",
        trained_and_dropped="train",
        fixed_but_in_dev="dev",
        fixed_and_replaced="test",
    )
    keys = [(make_id("speaker", "c"), "train"), (make_id("content", "trained"), "train")]
    before = before.union(spark.createDataFrame(keys, before.schema))
    frame = candidates(spark, *(row for row, _ in LISTS))
    built = build(frame, LISTED, before)
    assert ends_of(built) == {row["utterance_id"]: end for row, end in LISTS}
    listed = {row["utterance_id"]: row["listed"] for row in built.listed.collect()}
    assert listed == {
        **dict.fromkeys(("fixed", "fixed without a voice", "fixed by a voice in test"), "test"),
        "fixed in dev": "dev",
    }
    assert leaks(built.splits, frame, before, Asked(), built.listed).collect() == []
    # One of the four rows that could train shares a voice with a listed one.
    assert messages(built.refusals) == [
        "shares_with_fixed_set takes 1 rows, 25.0 % of train's hours; max_evicted_share is 5.0 %. "
        "Most is shared with 'one two three' of fixed (1 rows)"
    ]


COPIES = policy(
    duplicates={
        "kinds": ["exact", "near", "contained"],
        "keep": ["quality", "duration"],
        "boilerplate_copies": 2,
    }
)


def copy(name: str, kind: str, overlap: str, cluster: str | None = None, **said: Any) -> dict[str, Any]:
    return candidate(
        name, duplicate_kind=kind, overlap_id=overlap, cluster_id=cluster or f"cluster of {name}", **said
    )


# Two copies of the longest row, two parts of it; jingles; intervals of one recording.
GIVING_WAY = [
    (copy("whole", "near", "o", "w", audio_duration_s=9.0, quality_ovrl=2.0), ("train", "duplicate_of_kept", "whole and clean")),
    (copy("whole and clean", "near", "o", "w", audio_duration_s=8.9, quality_ovrl=3.0), "train"),
    (copy("part", "contained", "o", quality_ovrl=4.0), ("train", "contained_in_kept", "whole and clean")),
    (copy("part of unknown quality", "exact", "o", "p"), ("train", "contained_in_kept", "whole and clean")),
    *((copy(f"jingle {n}", "boilerplate", "j", "j", quality_ovrl=float(n)), end) for n, end in enumerate(
        [("train", "boilerplate", "jingle 2"), "train", "train"])),
    (candidate("said", recording_id="r", speaker_id="s", audio_duration_s=5.0), "train"),
    (candidate("said again", recording_id="r", speaker_id="s", start_ms=1000), ("train", "overlaps_other_utterance", "said")),
    (candidate("said by another", recording_id="r", speaker_id="t", start_ms=1000, audio_duration_s=4.0), "train"),
    # Out for another reason, it is in nobody's way.
    (candidate("retired and longer", recording_id="r", audio_duration_s=60.0, retired_in="m#2"), (None, "not_in_manifest", None)),
]  # fmt: skip


def test_of_copies_parts_jingles_and_overlaps_the_policy_s_best_stays(spark):
    frame = candidates(spark, *(row for row, _ in GIVING_WAY))
    assert ends_of(build(frame, COPIES, unassigned(spark))) == {
        row["utterance_id"]: end for row, end in GIVING_WAY
    }


def test_where_exact_copies_alone_go_one_of_each_waveform_stays_though_a_near_copy_has_twins_too(spark):
    # b is a's twin; c and d are twins of an mp3 of them.
    samples = {"a": "wav", "b": "wav", "c": "mp3", "d": "mp3"}
    rows = [copy(n, "exact", "o", "k", audio_samples_sha256=each) for n, each in samples.items()]
    found = ends_of(build(candidates(spark, *rows), policy(), unassigned(spark)))
    assert found == {
        "a": "train",
        "b": ("train", "duplicate_of_kept", "a"),
        "c": "train",
        "d": ("train", "duplicate_of_kept", "c"),
    }


@pytest.mark.parametrize("kinds", [["near"], ["contained"], ["exact", "contained"]])
def test_a_kind_of_copies_includes_those_that_are_more_alike(spark, kinds):
    rows = [
        copy("long", "exact", "o", "k", audio_samples_sha256="wav", audio_duration_s=9.0),
        copy("twin", "exact", "o", "k", audio_samples_sha256="wav", audio_duration_s=8.0),
        copy("coded", "near", "o", "k", audio_samples_sha256="mp3", audio_duration_s=8.0),
        copy("part", "contained", "o"),
    ]
    found = ends_of(build(candidates(spark, *rows), policy(duplicates={"kinds": kinds}), unassigned(spark)))
    beaten = ("train", "duplicate_of_kept", "long")
    part = ("train", "contained_in_kept", "long") if "contained" in kinds else "train"
    assert found == {"long": "train", "twin": beaten, "coded": beaten, "part": part}


def test_of_parts_of_one_length_the_better_row_stays_whatever_their_clusters_are_called(spark):
    asked = policy(duplicates={"kinds": ["contained"], "keep": ["quality"]})
    for clusters in (("k1", "k2"), ("k2", "k1")):
        rows = [
            copy(name, "contained", "o", cluster, quality_ovrl=quality)
            for name, cluster, quality in zip(("poor", "good"), clusters, (2.0, 4.0), strict=True)
        ]
        found = ends_of(build(candidates(spark, *rows), asked, unassigned(spark)))
        assert found == {"good": "train", "poor": ("train", "contained_in_kept", "good")}


def test_a_copy_that_gave_way_stays_where_it_is_heard_once_the_one_that_was_kept_is_retired(spark):
    near = policy(duplicates={"kinds": ["near"]})
    kept = copy("kept", "near", "o", "k", speaker_id="s", audio_duration_s=4.0)
    beaten = copy("beaten", "near", "o", "k", corpus="other", speaker_id="other:1")
    first = published(spark, kept="test")
    built = build(candidates(spark, kept, beaten), near, first)
    assert ends_of(built) == {"kept": "test", "beaten": ("test", "duplicate_of_kept", "kept")}
    # What is retired is compared with nothing.
    later = [
        kept | {"retired_in": "m#2"} | dict.fromkeys(("overlap_id", "cluster_id", "duplicate_kind")),
        beaten | dict.fromkeys(("overlap_id", "cluster_id", "duplicate_kind")),
        candidate("other clip", corpus="other", speaker_id="other:1"),
    ]
    known = first.unionByName(built.assignments.select("link_key", "side"))
    found = ends_of(build(candidates(spark, *later), near, known))
    assert found == {"kept": (None, "not_in_manifest", None), "beaten": "test", "other clip": "test"}


def test_a_copy_that_gave_way_is_not_remembered_where_its_audio_was_published_on_another_side(spark):
    asked = policy(
        keep=[{"rule": "clean", "signal": "audio.clipped_ratio", "at_most": 0.1, "on": "train"}],
        links={"session": "off"},
    )
    rows = [
        copy("trained", "contained", "o", audio_clipped_ratio=0.5),
        copy("tests", "contained", "o", audio_clipped_ratio=0.0),
        # It holds both, and its voice trains elsewhere.
        copy("both", "contained", "o", corpus="solo", single_speaker=True, speaker_id="x", audio_clipped_ratio=0.0),
        candidate("voice", speaker_id="x", audio_clipped_ratio=0.0),
    ]  # fmt: skip
    built = build(candidates(spark, *rows), asked, published(spark, trained="train", tests="test"))
    found = ends_of(built)
    assert (found["tests"], found["both"]) == ("test", ("test", "speaker_elsewhere", "x"))
    assert found["trained"][:2] == ("train", "clean")
    assert make_id("utterance", "both") not in {row["link_key"] for row in built.assignments.collect()}


# What was published before -> whether somebody is asked for rows that tie sides together, and where rows end.
TIES = [
    ({}, False, {"a": "train", "b": "train"}),
    # A speaker whom the published row did not have then, and a new row has too: no side is against another.
    ({"a": "train"}, True, {"a": "train", "b": "train"}),
    ({"a": "train", "b": "test"}, True, {"a": ("train", "bridges_splits", "b"), "b": "test"}),
]


@pytest.mark.parametrize(("before", "asked", "ends"), TIES, ids=lambda value: str(value)[:60])
def test_ties_are_looked_for_where_a_published_row_may_have_to_go(spark, before, asked, ends):
    steps = []

    def staged(name, frame):
        steps.append(name)
        return frame.localCheckpoint()

    rows = candidates(spark, candidate("a", speaker_id="s"), candidate("b", speaker_id="s"))
    built = build(rows, policy(), published(spark, **before), staged=staged)
    assert ends_of(built) == ends
    assert ("ties" in steps) == asked
    # Once all keys are remembered, as where a corpus is cut again, nobody is asked.
    steps.clear()
    if not any(isinstance(end, tuple) for end in ends.values()):
        known = published(spark, **before).unionByName(built.assignments.select("link_key", "side"))
        assert ends_of(build(rows, policy(), known, staged=staged)) == ends
        assert "ties" not in steps


def test_more_of_train_than_allowed_is_refused_with_what_it_is_shared_with(spark):
    common = "this is a recording that everybody makes in the public domain"
    linked = policy(text={"prefer": ["manifest"]}, links={"text": "exclude_from_train"})
    rows = [
        candidate("t", text=common),
        *(candidate(f"u{n}", text=common) for n in range(3)),
        candidate("v", text="else"),
    ]
    built = build(candidates(spark, *rows), linked, published(spark, t="test"))
    (told,) = messages(built.refusals)
    assert told == (
        "text_in_evaluation takes 3 rows, 75.0 % of train's hours; max_evicted_share is 5.0 %. "
        f"Most is shared with '{common[:60]}' of t (3 rows)"
    )


def test_a_group_that_is_most_of_a_stratum_is_told_with_what_glued_it_together(spark):
    limits = {"max_group_share": 0.5, "refuse_group_share": 0.7}
    glued = [candidate(f"g{n}", speaker_id="s", session_id="c:x" if n else None) for n in range(4)]
    rows = [*glued, candidate("alone"), candidate("also", language="fr"), candidate("other", language="fr")]
    built = build(candidates(spark, *rows), policy(splits=limits), unassigned(spark))
    told = "stratum 'en': one group of linked rows holds 80.0 % of the hours, held together by speaker 's': 4 rows, session 'c:x': 3 rows"
    assert told in messages(built.warnings)
    assert messages(built.refusals) == [told]
    assert not [each for each in messages(built.warnings) if "stratum 'fr': one group" in each]


def test_a_group_that_heard_speakers_hold_together_is_refused_too(spark):
    rows = [
        candidate("named", speaker_id="s"),
        candidate("nameless", speaker_id=None, recording_id="r"),
        candidate("dropped", speaker_id="s", recording_id="r", audio_duration_s=None),
        candidate("alone"),
    ]
    limits = {"max_group_share": 0.5, "refuse_group_share": 0.6}
    built = build(candidates(spark, *rows), policy(splits=limits), unassigned(spark))
    (told,) = messages(built.refusals)
    assert told == (
        "stratum 'en': one group of linked rows holds 66.7 % of the hours, held together by "
        "speakers who are named in recordings and copies of rows that name nobody"
    )


def test_of_many_large_groups_the_largest_few_are_told(spark):
    rows = [candidate(f"u{n}", speaker_id=f"s{n // 2}", audio_duration_s=9.0 - n) for n in range(8)]
    built = build(candidates(spark, *rows), policy(splits={"max_group_share": 0.0}), unassigned(spark))
    told = [each for each in messages(built.warnings) if "one group" in each]
    assert [each.split(" holds ")[1] for each in told] == [
        "20.5 % of the hours, held together by speaker 's2': 2 rows (smaller groups above max_group_share: 1)",
        "29.5 % of the hours, held together by speaker 's1': 2 rows",
        "38.6 % of the hours, held together by speaker 's0': 2 rows",
    ]


def test_an_evaluation_corpus_says_what_it_cannot_keep_clean_of(spark):
    bench = {"role": "evaluation", "evaluation_texts": ["a b c d"]}
    heard = {"audio_samples_sha256": "h"}
    rows = [
        candidate("t", corpus="texts", **bench), candidate("w", corpus="whole", **bench, **heard),
        candidate("a", corpus="audio", role="evaluation", **heard), candidate("n", corpus="nothing", role="evaluation"),
        candidate("p1", corpus="parts", **bench, **heard), candidate("p2", corpus="parts", **bench),
        candidate("ignored", corpus="unheeded", role="evaluation"), candidate("u"),
    ]  # fmt: skip
    named = policy(
        text={"prefer": ["manifest"]},
        decontaminate={"corpora": ["audio", "nothing", "parts", "texts", "whole"]},
    )
    built = build(candidates(spark, *rows), named, unassigned(spark))
    assert [each for each in messages(built.warnings) if each.startswith("evaluation corpus")] == [
        "evaluation corpus 'audio' decontaminates by audio only: no text of it is known",
        "evaluation corpus 'nothing' decontaminates by nothing: neither audio nor text of it is known",
        "evaluation corpus 'parts' decontaminates by text only in 1 of 2 utterances: their audio is not measured",
        "evaluation corpus 'texts' decontaminates by text only: no audio of it is measured",
    ]
