"""Hours of train that one speaker, text, corpus or language may have."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest
from splits_tables import candidate, candidates, policy, unassigned

from speechlake.checkpoints import checkpointed
from speechlake.splits.build import build
from speechlake.splits.caps import with_caps
from speechlake.splits.digest import rows_digest

COLUMNS = "utterance_id string, corpus string, language string, speaker_id string, text string, side string, kept boolean, ms bigint"
FAILURES = "array<struct<reason:string,rule:string,value:string,threshold:string>>"
SECOND = 1 / 3600


def decided(spark, rows, partitions=1):
    """Decided rows of a second each, without failures: id -> what differs from a kept train row."""
    from pyspark.sql import functions as F

    whole = []
    for name, said in rows.items():
        row = {
            "corpus": "c",
            "language": "en",
            "speaker_id": "s",
            "text": "t",
            "side": "train",
            "kept": True,
            "ms": 1000,
        }
        whole.append((name, *{**row, **said}.values()))
    frame = spark.createDataFrame(spark.sparkContext.parallelize(whole, partitions), COLUMNS)
    return frame.withColumn("failures", F.array().cast(FAILURES))


def over(frame, **said):
    """{id: (reason, value, threshold)} of the rows that caps leave out."""
    rows = with_caps(frame, policy(text={"prefer": ["manifest"]}, **said), checkpointed).collect()
    return {
        row["utterance_id"]: tuple(row["failures"][0][name] for name in ("reason", "value", "threshold"))
        for row in rows
        if not row["kept"] and row["failures"]
    }


def test_a_speaker_trains_for_the_hours_of_the_cap_and_what_follows_in_line_is_told(spark):
    frame = decided(spark, {f"u{n}": {} for n in range(5)})
    out = over(frame, caps=[{"per": "speaker", "hours": 3 * SECOND}])
    assert sorted(out.values()) == [
        ("over_cap_speaker", "0.001111", "<= 0.000833333 hours of one speaker"),
        ("over_cap_speaker", "0.001389", "<= 0.000833333 hours of one speaker"),
    ]


def test_caps_are_for_known_values_of_kept_rows_on_train(spark):
    others = {
        "other voice": {"speaker_id": "z"},
        "unknown 1": {"speaker_id": None},
        "unknown 2": {"speaker_id": None},
        "test": {"side": "test"},
        "out already": {"kept": False},
        "nowhere": {"kept": False, "side": None},
    }
    frame = decided(spark, {"a": {}, "b": {}, **others})
    out = over(frame, caps=[{"per": "speaker", "hours": SECOND}])
    assert len(out) == 1
    assert out.keys() < {"a", "b"}


def test_one_text_is_the_same_however_it_is_set(spark):
    texts = ["Thank you.", "thank  YOU", "Thank you!", "Thanks", "…", "?", None]
    frame = decided(spark, {f"u{n}": {"text": text} for n, text in enumerate(texts)})
    out = over(frame, caps=[{"per": "text", "hours": SECOND}])
    assert len(out) == 2
    assert out.keys() < {"u0", "u1", "u2"}


def test_a_cap_counts_what_caps_before_it_have_left(spark):
    frame = decided(spark, {f"{s}{n}": {"speaker_id": s} for s in "xy" for n in range(4)})
    out = over(frame, caps=[{"per": "speaker", "hours": 2 * SECOND}, {"per": "corpus", "hours": 3 * SECOND}])
    reasons = sorted(reason for reason, *_ in out.values())
    assert reasons == ["over_cap_corpus", *["over_cap_speaker"] * 4]


@pytest.mark.parametrize("per", ["speaker", "corpus", "language"])
def test_a_cap_is_never_exceeded_and_takes_what_fits_whatever_the_order(spark, per):
    column = {"speaker": "speaker_id", "corpus": "corpus", "language": "language"}[per]
    rng = random.Random(per)
    rows = {
        f"u{n}": {column: rng.choice("abc"), "ms": rng.choice([0, 1, 700, 5000, 40_000])} for n in range(300)
    }
    cap = [{"per": per, "hours": 100 * SECOND}]
    out = over(decided(spark, rows), caps=cap)
    kept = defaultdict(int)
    for name, row in rows.items():
        kept[row[column]] += 0 if name in out else row["ms"]
    assert all(60_000 <= ms <= 100_000 for ms in kept.values())  # the next would have been too much
    shuffled = dict(rng.sample([*rows.items()], len(rows)))
    assert over(decided(spark, shuffled, partitions=4), caps=cap) == out


@pytest.mark.slow
def test_caps_weights_and_forms_go_into_a_build(spark):
    asked = policy(
        text={"prefer": ["manifest"], "form": "normalised"},
        caps=[{"per": "corpus", "hours": 10 * 3.6 * SECOND}],
        weights={"per": "language", "temperature": 0},
    )
    rows = [candidate(f"u{n}", text=f"Only {n}, please!") for n in range(12)]
    rows += [candidate(f"f{n}", corpus="d", language="fr", text="Dit-il L'été ?") for n in range(2)]
    rows += [candidate("laughter", text="[laughter]")]
    builds = [build(candidates(spark, *rows, partitions=n), asked, unassigned(spark)) for n in (1, 3)]
    splits = {row["utterance_id"]: row for row in builds[0].splits.collect()}
    decisions = {row["utterance_id"]: row for row in builds[0].decisions.collect()}
    assert sorted(row["rule"] for row in decisions.values()) == [
        "no_text",
        "over_cap_corpus",
        "over_cap_corpus",
    ]
    assert decisions["laughter"]["value"] == "[laughter]"
    french = splits["f0"]
    assert (french["text"], french["text_form"], french["weight"]) == ("dit il l été", "elision/2", 3.0)
    english = next(row for name, row in splits.items() if name.startswith("u"))
    assert english["text"].startswith("only ")
    assert (english["text_form"], english["weight"]) == ("english/2", 0.6)
    assert rows_digest(builds[0].splits, builds[0].decisions) == rows_digest(
        builds[1].splits, builds[1].decisions
    )


@pytest.mark.slow
def test_no_copy_gives_way_to_one_whose_text_is_empty_in_its_form(spark):
    asked = policy(text={"prefer": ["manifest"], "form": "normalised"}, duplicates={"keep": ["duration"]})
    copies = {"cluster_id": "k", "duplicate_kind": "near"}
    rows = [
        candidate("longer", text="[laughter]", audio_duration_s=9.0, **copies),
        candidate("shorter", **copies),
    ]
    made = build(candidates(spark, *rows), asked, unassigned(spark))
    assert [row["utterance_id"] for row in made.splits.collect()] == ["shorter"]
    assert [(row["utterance_id"], row["rule"]) for row in made.decisions.collect()] == [("longer", "no_text")]
