"""What a review listens to: even strata, values near a threshold, and the same clips for the same seed."""

from __future__ import annotations

import pytest
from pyspark.sql import functions as F

from speechlake.feedback import sample as sampling
from speechlake.feedback.sample import Stratum, decided_by, drawn, is_at_margin, quotas, strata_of
from speechlake.splits.policy import Policy


def strata(**populations: int) -> list[Stratum]:
    """`strata(en_kept_random=3)`."""
    return [Stratum(*name.split("_"), population) for name, population in populations.items()]


QUOTAS = [
    # all large: as even as can be
    (
        {"en_kept_margin": 99, "en_kept_random": 99, "en_removed_margin": 99, "en_removed_random": 99},
        50,
        [12, 12, 13, 13],
    ),
    # a small one gives what it lacks to the others
    ({"en_kept_random": 999, "en_removed_margin": 3, "en_removed_random": 10}, 50, [3, 10, 37]),
    # fewer than asked for: all
    ({"en_kept_random": 2, "en_removed_random": 1}, 50, [1, 2]),
    # each language has its own
    ({"en_kept_random": 99, "de_kept_random": 99, "de_removed_random": 1}, 10, [1, 9, 10]),
]


@pytest.mark.parametrize(("populations", "n", "expected"), QUOTAS)
def test_strata_of_a_language_share_its_places(populations, n, expected):
    assert sorted(quotas(strata(**populations), n).values()) == sorted(expected)


MARGINS = [
    ("0.24", ">= 0.3", True),
    ("0.23", ">= 0.3", False),
    ("0.36", ">= 0.3", True),
    ("0.48", "<= 0.4", True),
    ("0.5", "<= 0.4", False),
    ("33", "0.4 .. 30", True),
    ("0.45", "0.4 .. 30", True),
    ("10", "0.4 .. 30", False),
    ("-70", ">= -76", True),
    ("-60", ">= -76", False),
    ("0.1", "<= 0", True),
    ("0.3", "<= 0", False),
    ("-0.55", "-0.5 .. 0.5", True),
    ("1.1e-05", "<= 1e-05", True),
    ("5", "5", False),
    ("en", "de", False),
    ("nl", ">= 0.3", None),
    (None, ">= 0.3", None),
    ("0.3", None, False),
]


def test_a_value_is_at_the_margin_within_a_fifth_of_a_limit(spark):
    frame = spark.createDataFrame([(v, t) for v, t, _ in MARGINS], "value string, threshold string")
    found = frame.select(
        "value", "threshold", is_at_margin(F.col("value"), F.col("threshold")).alias("m")
    ).collect()
    assert [(row.value, row.threshold, row.m) for row in found] == MARGINS


def test_of_a_long_value_answers_carry_the_beginning(sample, monkeypatch):
    monkeypatch.setattr(sampling, "VALUE_CHARACTERS", 3)
    rule = {"rule": "of_calls", "column": "corpus", "one_of": ["calls"]}
    said = {"name": "p", "keep": [rule], "splits": {"scheme": "main", "salt": 1}}
    rows = decided_by(sample, Policy.model_validate(said), "of_calls")
    assert {(row.value, row.decision) for row in rows.collect()} == {("cal", "kept"), ("boo", "removed")}


def test_a_draw_depends_on_seed_and_rule_and_neither_on_order_nor_on_partitions(spark):
    rows = [(f"u{n}", "en", "kept" if n % 3 else "removed", "random") for n in range(60)]
    ddl = "utterance_id string, stratum_language string, decision string, sample string"

    def draw(
        rows: list[tuple[str, ...]], partitions: int = 1, *, rule: str = "length", seed: int = 0
    ) -> set[str]:
        frame = spark.createDataFrame(spark.sparkContext.parallelize(rows, partitions), ddl)
        wanted = quotas(strata_of(frame), 10)
        return {row.utterance_id for row in drawn(frame, wanted, rule=rule, seed=seed).collect()}

    first = draw(rows)
    assert len(first) == 10
    assert draw(rows[::-1], 4) == first
    assert draw(rows, seed=1) != first
    assert draw(rows, rule="level") != first


def test_what_is_drawn_tells_its_stratum_and_how_many_that_has(spark):
    rows = [(f"u{n}", "en", "kept", "random") for n in range(7)] + [("v", "en", "removed", "margin")]
    frame = spark.createDataFrame(
        rows, "utterance_id string, stratum_language string, decision string, sample string"
    )
    found = (
        drawn(frame, quotas(strata_of(frame), 4), rule="length", seed=0)
        .groupBy("stratum", "population")
        .count()
    )
    assert sorted(map(tuple, found.collect())) == [("en/kept/random", 7, 3), ("en/removed/margin", 1, 1)]


def test_a_page_that_is_cut_in_the_middle_holds_as_much_of_a_small_stratum_as_of_a_large_one(spark):
    rows = [(f"u{n}", "en", "kept", "random") for n in range(400)]
    rows += [(f"v{n}", "cy", "removed", "margin") for n in range(20)]
    ddl = "utterance_id string, stratum_language string, decision string, sample string"
    frame = spark.createDataFrame(rows, ddl)
    ordered = (
        drawn(frame, quotas(strata_of(frame), 20), rule="length", seed=0).orderBy("turn", "draw").collect()
    )
    assert [row.stratum_language for row in ordered].count("cy") == 20
    assert [row.stratum_language for row in ordered[:20]].count("cy") == 10
