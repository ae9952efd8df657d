"""Link keys and link groups on Spark."""

from __future__ import annotations

import random

import pytest
from splits_tables import candidate, candidates
from test_fill import naive_labels

from speechlake.ids import make_id
from speechlake.splits.components import components
from speechlake.splits.groups import with_link_group, with_linked_speaker
from speechlake.splits.keys import id_of, link_keys
from speechlake.sql_text import literal

TEXTS = ["", "a", "ab", "naïve", "日本語", "\U0001f600", " ", "a\nb", "x" * 300]


def test_ids_in_columns_are_the_ids_of_the_library(spark):

    rng = random.Random(5)
    pairs = [(a, b) for a in TEXTS for b in TEXTS]
    pairs += [
        (
            "".join(
                chr(rng.choice([rng.randrange(1, 0xD800), rng.randrange(0xE000, 0x10FFFF)]))
                for _ in range(rng.randrange(9))
            ),
            "z",
        )
        for _ in range(200)
    ]
    frame = spark.createDataFrame(pairs, "a string, b string")
    found = frame.select("a", "b", id_of("a", "b").alias("id")).collect()
    assert [row["id"] for row in found] == [make_id(row["a"], row["b"]) for row in found]


def test_an_id_of_a_null_is_null(spark):

    assert spark.range(1).select(id_of(literal("speaker"), "cast(NULL AS string)")).first()[0] is None


def group_of(spark, *rows):
    frame = candidates(spark, *rows)
    linked = with_linked_speaker(frame, among=frame).withColumn("link_keys", link_keys())
    return {row["utterance_id"]: row["link_group"] for row in with_link_group(linked, linked).collect()}


def test_utterances_that_share_a_link_are_one_group_transitively(spark):
    group = group_of(
        spark,
        candidate("a", speaker_id="s1", recording_id="r1"),
        candidate("b", speaker_id="s1", recording_id="r2"),  # linked to a by speaker
        candidate("c", speaker_id="s2", recording_id="r2"),  # linked to b by recording
        candidate("d", speaker_id="s2", cluster_id="k1", duplicate_kind="exact"),  # linked to c by speaker
        candidate("e", cluster_id="k1", duplicate_kind="exact"),  # linked to d by audio
        candidate("f", speaker_id=None),  # linked to nobody
        candidate("g", speaker_id=None),
        candidate("h", cluster_id="k2", duplicate_kind="boilerplate"),  # heard everywhere: links nobody
        candidate("i", cluster_id="k2", duplicate_kind="boilerplate"),
        candidate("j", corpus="one voice", single_speaker=True, speaker_id="v"),  # speaker links are off
        candidate("k", corpus="one voice", single_speaker=True, speaker_id="v"),
        candidate("l", corpus="shared voice", single_speaker=True, speaker_id="w"),  # w is elsewhere too
        candidate("m", corpus="shared voice", single_speaker=True, speaker_id="w"),
        candidate("n", speaker_id="w"),
    )
    assert len({group[name] for name in "abcde"}) == 1
    assert len({group[name] for name in "lmn"}) == 1
    assert len({group[name] for name in "afghijkl"}) == 8
    assert None not in group.values()
    # Deterministic: the smallest key that connects the group, or the utterance's own.
    assert group["f"] == make_id("utterance", "f")
    assert group["n"] == make_id("speaker", "w")


@pytest.mark.slow
def test_star_contraction_agrees_with_one_task(spark):
    rng = random.Random(11)
    edges = {tuple(sorted((f"k{rng.randrange(60):02}", f"k{rng.randrange(60):02}"))) for _ in range(45)}
    edges |= {(f"p{n:02}", f"p{n + 1:02}") for n in range(20)}  # a long path: many rounds
    edges = [(low, high) for low, high in sorted(edges) if low != high]
    frame = spark.createDataFrame(edges, "low string, high string")
    expected = naive_labels(edges)
    for limit in (0, 1000):
        found = components(frame, limit=limit).collect()
        assert {row["key"]: row["label"] for row in found} == expected
        assert len(found) == len(expected)
