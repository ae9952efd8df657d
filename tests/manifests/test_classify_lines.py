"""What becomes of lines that name the same interval: who wins, what is a repeat, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from speechlake.manifests.classify import (
    SAME_INTERVAL,
    Verdict,
    first_of_several,
    verdicts,
    what_it_says,
    with_class,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

LINES_DDL = (
    "manifest_uri string, byte_offset bigint, utterance_id string, speaker_id string, language string, "
    "texts array<struct<source:string,text_sha256:string>>, speaker_placeholder boolean, "
    "reason string, detail string"
)


def line(uri, offset, utterance, speaker="s1", text="hi", language="en", reason=None):
    """A parsed line; `text` None: without a text."""
    texts = [] if text is None else [("manifest", text)]
    if reason is not None:
        return (uri, offset, None, None, None, [], None, reason, "what was found")
    return (uri, offset, utterance, speaker, language, texts, False, None, None)


def lines_of(spark: SparkSession, *literal: tuple[Any, ...]) -> DataFrame:
    return spark.createDataFrame(list(literal), LINES_DDL)


def classes(spark: SparkSession, *literal: tuple[Any, ...], current: DataFrame | None = None):
    """{(uri, offset): (class, reason, detail)} of literal lines."""
    lines = lines_of(spark, *literal)
    rows = with_class(lines, first_of_several(lines), current).collect()
    assert len(rows) == len(literal)
    return {(row.manifest_uri, row.byte_offset): (row["class"], row.reason, row.detail) for row in rows}


def owned(spark: SparkSession, *literal: tuple[Any, ...]) -> DataFrame:
    """What other current manifests own: the lines themselves, as (utterance_id, owner, says)."""
    from pyspark.sql import functions as F

    return lines_of(spark, *literal).select(
        "utterance_id",
        F.concat_ws("@", "manifest_uri", "byte_offset").alias("owner"),
        what_it_says().alias("says"),
    )


UTTERANCE, REPEAT = ("utterance", None, None), ("repeat", None, None)


def differs_from(winner: str) -> tuple[str, str, str]:
    return ("refused", SAME_INTERVAL, f"speaker or text differ from {winner}")


def test_among_lines_of_one_interval_the_lowest_place_wins_and_others_repeat_or_are_refused(spark):
    found = classes(
        spark,
        line("a", 50, "u1"),  # says the same as the first
        line("a", 9, "u1"),  # the first: 9 < 50, as numbers
        line("b", 0, "u1", text="bye"),  # another text, in a later manifest
        line("a", 70, "u1", speaker="s2"),  # another speaker
        line("a", 80, "u1", speaker=None),  # says less
        line("a", 90, "u1", language="de"),
        line("a", 95, "u1", text=None),
        line("b", 5, "u2"),  # another interval
        line("c", 0, "u3", speaker=None, text=None, language=None),
        line("c", 9, "u3", speaker=None, text=None, language=None),
    )
    assert found == {
        ("a", 9): UTTERANCE,
        ("a", 50): REPEAT,
        ("b", 0): differs_from("a@9"),
        ("a", 70): differs_from("a@9"),
        ("a", 80): differs_from("a@9"),
        ("a", 90): differs_from("a@9"),
        ("a", 95): differs_from("a@9"),
        ("b", 5): UTTERANCE,
        ("c", 0): UTTERANCE,
        ("c", 9): REPEAT,
    }


def test_texts_are_compared_whatever_their_order_on_the_line(spark):
    two = [("manifest", "t1"), ("manifest:text_raw", "t2")]
    first = ("a", 0, "u", "s", "en", two, False, None, None)
    turned = ("a", 9, "u", "s", "en", two[::-1], False, None, None)
    swapped = (
        "a", 20, "u", "s", "en", [("manifest", "t2"), ("manifest:text_raw", "t1")], False, None, None,
    )  # fmt: skip
    found = classes(spark, first, turned, swapped)
    assert found[("a", 9)] == REPEAT
    assert found[("a", 20)] == differs_from("a@0")


def test_the_line_already_in_the_lake_wins_over_any_place(spark):
    lake = owned(spark, line("z", 700, "u1"), line("z", 800, "u2"), line("z", 900, "unseen"))
    found = classes(
        spark,
        line("a", 0, "u1"),
        line("a", 9, "u2", text="bye"),
        line("a", 20, "u2"),  # the lake's word, not that of the line before
        line("a", 30, "new"),
        current=lake,
    )
    assert found == {
        ("a", 0): REPEAT,
        ("a", 9): differs_from("z@800"),
        ("a", 20): REPEAT,
        ("a", 30): UTTERANCE,
    }


def test_lines_that_the_parser_refused_keep_their_reason(spark):
    found = classes(
        spark, line("a", 0, None, reason="BAD_JSON"), line("a", 9, None, reason="PIPE"), line("a", 20, "u")
    )
    assert found == {
        ("a", 0): ("refused", "BAD_JSON", "what was found"),
        ("a", 9): ("refused", "PIPE", "what was found"),
        ("a", 20): UTTERANCE,
    }


def test_every_line_is_counted_once_and_a_manifest_without_lines_counts_zero(spark):
    lines = lines_of(
        spark,
        line("a", 0, "u1"),
        line("a", 9, "u1"),
        line("a", 20, "u1", text="bye"),
        line("a", 30, None, reason="BAD_JSON"),
        line("b", 0, "u2"),
    )
    found = verdicts(with_class(lines, first_of_several(lines), None), ["a", "b", "empty"])
    assert found == [
        Verdict("a", lines=4, utterances=1, repeats=1, quarantined=2),
        Verdict("b", lines=1, utterances=1, repeats=0, quarantined=0),
        Verdict("empty", lines=0, utterances=0, repeats=0, quarantined=0),
    ]


ACCEPTABLE = [
    # utterances, repeats, quarantined, at most, acceptable
    (95, 0, 5, 0.05, True),
    (94, 0, 6, 0.05, False),
    (0, 95, 5, 0.05, True),
    (1, 0, 0, 0.0, True),
    (1, 0, 1, 0.0, False),
    (0, 0, 0, 1.0, False),  # nothing came in
    (0, 0, 3, 1.0, False),
    (1, 0, 9, 1.0, True),
    (71, 0, 29, 0.29, True),  # 0.29 times 100 are 28.999999999999996
    (70, 0, 30, 0.29, False),
]


@pytest.mark.parametrize(("utterances", "repeats", "quarantined", "at_most", "acceptable"), ACCEPTABLE)
def test_a_manifest_is_acceptable_when_something_came_in_and_not_too_much_was_refused(
    utterances, repeats, quarantined, at_most, acceptable
):
    lines = utterances + repeats + quarantined
    assert Verdict("a", lines, utterances, repeats, quarantined).acceptable(at_most) is acceptable
