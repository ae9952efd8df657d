"""Quantiles become numbers, once."""

from __future__ import annotations

import random

import pytest
from splits_tables import candidate, candidates, policy

from speechlake.splits.pins import quantiles, taken, used, with_numbers, without_values

RATIO = "audio.clipped_ratio"


def asking(limit, **more):
    """A policy whose one rule has this limit."""
    return policy(keep=[{"rule": "r", "signal": RATIO, "at_most": limit}], **more)


def rows(spark, partitions=1):
    """101 English and 11 French values from 0 to 1, and rows that do not count."""
    said = [("en", n / 100) for n in range(101)] + [("fr-CA", n / 10) for n in range(11)]
    made = [candidate(f"u{n}", language=la, audio_clipped_ratio=v) for n, (la, v) in enumerate(said)]
    out = {
        "retired": {"retired_in": "m#1"},
        "nan": {"audio_clipped_ratio": float("nan")},
        "endless": {"audio_clipped_ratio": float("inf")},
        "null": {"audio_clipped_ratio": None},
        "failed": {"audio_error": "BAD_DATA"},
    }
    made += [candidate(name, **{"audio_clipped_ratio": 99.0, **more}) for name, more in out.items()]
    random.Random(partitions).shuffle(made)
    return candidates(spark, *made, partitions=partitions)


EN, FR, REST = (f"{RATIO} at_most {language} 0.9" for language in ("en", "fr", "default-fr"))
# The limit in the policy -> pinned numbers, and what the rule then asks.
SAID = [
    ({"en": {"quantile": 0.9}, "default": 0.5}, {EN: 0.9}, {"en": 0.9, "default": 0.5}),
    ({"fr": 0.7, "default": {"quantile": 0.9}}, {REST: 0.9}, {"fr": 0.7, "default": 0.9}),
    ({"quantile": 0.9, "per": "language"}, {EN: 0.9, FR: 0.9}, {"en": 0.9, "fr": 0.9}),
    ({"fr": 0.7, "default": {"quantile": 0.9, "per": "language"}}, {EN: 0.9}, {"en": 0.9, "fr": 0.7}),
    ({"de": {"quantile": 0.9}, "default": 0.5}, {}, {"default": 0.5}),  # nobody speaks German
    (0.5, {}, {"default": 0.5}),
]


@pytest.mark.parametrize(("limit", "numbers", "asked"), SAID)
def test_quantile_is_read_off_the_rows_of_its_languages(spark, limit, numbers, asked):
    said = asking(limit)
    found = taken(rows(spark), said, {})
    assert found == numbers
    assert used(said, found) == numbers
    assert with_numbers(said, found).keep[0].asked == asked


@pytest.mark.parametrize(
    ("operator", "value", "number"),
    [
        ("at_most", 1 / 3, 0.33334),
        ("at_least", 1 / 3, 0.33333),
        ("at_most", 2 / 3, 0.66667),
        ("at_least", 2 / 3, 0.66666),
        ("at_most", -2 / 3, -0.66666),
        ("at_least", -1 / 3, -0.33334),
        ("at_most", 0.99999999, 1.0),
        ("at_most", 0.3, 0.3),
        ("at_least", 12345.0, 12345.0),
        ("at_most", 0.0, 0.0),
    ],
)
def test_a_row_whose_value_is_the_quantile_passes(spark, operator, value, number):
    said = policy(keep=[{"rule": "r", "signal": RATIO, operator: {"quantile": 0.5}}])
    same = candidates(spark, *(candidate(f"u{n}", audio_clipped_ratio=value) for n in range(3)))
    assert list(taken(same, said, {}).values()) == [number]


def test_pinned_numbers_stay_whatever_the_rows_say(spark):
    said = asking({"quantile": 0.9, "per": "language"})
    assert taken(rows(spark), said, {EN: 0.123, "other": 7.0}) == {EN: 0.123, FR: 0.9, "other": 7.0}
    assert used(said, {EN: 0.123, "other at_most x 1": 7.0}) == {EN: 0.123}


def test_a_quantile_of_all_languages_that_finds_no_value_is_told(spark):
    said = policy(
        keep=[
            {"rule": "none", "signal": "audio.rms_dbfs", "at_least": {"quantile": 0.5}},
            {"rule": "some", "signal": RATIO, "at_most": {"quantile": 0.9}},
            {"rule": "german", "signal": RATIO, "at_most": {"de": {"quantile": 0.8}}},
            {"rule": "each", "signal": "audio.peak_dbfs", "at_least": {"quantile": 0.1, "per": "language"}},
        ]
    )
    found = taken(rows(spark), said, {})
    assert without_values(said, found) == [
        "the policy's quantile 0.1 of audio.peak_dbfs found no value, and so is no limit yet",
        "the policy's quantile 0.5 of audio.rms_dbfs found no value, and so is no limit yet",
    ]
    later = {"audio.rms_dbfs at_least default 0.5": -20.0, "audio.peak_dbfs at_least fr 0.1": 9.0}
    assert without_values(said, {**found, **later}) == []


def test_order_and_partitions_change_no_number(spark):
    said = asking({"quantile": 0.333})
    assert taken(rows(spark), said, {}) == taken(rows(spark, partitions=5), said, {})


def test_quantiles_are_found_in_conditions_overrides_and_error_rates():
    low = {"quantile": 0.1}
    said = policy(
        text={"prefer": ["manifest"]},
        keep=[
            {
                "rule": "a",
                "signal": "audio.rms_dbfs",
                "at_least": -70,
                "when": {"signal": RATIO, "at_most": low},
            },
            {
                "rule": "b",
                "any_of": [
                    {"signal": "audio.rms_dbfs", "at_least": low},
                    {"column": "corpus", "equals": "c"},
                ],
            },
            {"rule": "error_rate", "at_most": low, "min_units": 1},
            {"rule": "c", "column": "extras.votes", "at_least": 1},
        ],
        overrides=[{"languages": ["ja"], "keep": [{"rule": "c", "at_least": low}]}],
    )
    names = ["audio.clipped_ratio", "audio.rms_dbfs", "error_rate", "extras.votes[ja]"]
    numbers = {one.key(one.language_key): n for n, one in enumerate(quantiles(said))}
    assert sorted(key.split()[0] for key in numbers) == names
    assert quantiles(with_numbers(said, numbers)) == []
    assert with_numbers(said, numbers).digest() != with_numbers(said, dict.fromkeys(numbers, 5.0)).digest()


# The overrides of a rule that asks for the 0.9 quantile of all -> pinned numbers, and what each override then asks.
ALL = f"{RATIO} at_most default 0.9"
OVERRIDES = [
    # b's values are 0 to 0.5, a's are 0.6 to 1; each override has the rows that follow it, and no others.
    ([{"corpora": ["b"], "keep": [{"rule": "r", "at_most": {"quantile": 0.5}}]}], {f"{RATIO}[corpora=b] at_most default 0.5": 0.25}, [{"default": 0.25}]),
    (
        [
            {"corpora": ["a"], "keep": [{"rule": "r", "at_most": {"quantile": 0.5}}]},
            {"languages": ["en"], "keep": [{"rule": "r", "at_most": {"quantile": 0.5}}]},
        ],
        {f"{RATIO}[corpora=a] at_most default 0.5": 0.8, f"{RATIO}[en] at_most default 0.5": 0.25},
        [{"default": 0.8}, {"default": 0.25}],
    ),
    # What an override leaves to the rule is the rule's, of all rows.
    ([{"corpora": ["b"], "keep": [{"rule": "r", "if_missing": "pass"}]}], {}, [{"default": 0.9}]),
    (
        [{"corpora": ["b"], "languages": ["en"], "keep": [{"rule": "r", "at_most": {"quantile": 0.5, "per": "language"}}]}],
        {f"{RATIO}[corpora=b;en] at_most en 0.5": 0.25},
        [{"en": 0.25}],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("overrides", "numbers", "asked"), OVERRIDES)
def test_the_quantile_of_an_override_is_read_off_the_rows_that_follow_it(spark, overrides, numbers, asked):
    said = asking({"quantile": 0.9}, overrides=overrides)
    values = [("b", n / 100) for n in range(51)] + [("a", n / 100) for n in range(60, 101)]
    values += [("c", 0.9)] * 10 if overrides[0].get("languages") is None else []
    rows = candidates(
        spark,
        *(
            candidate(f"u{n}", corpus=corpus, language="fr" if corpus == "c" else "en", audio_clipped_ratio=v)
            for n, (corpus, v) in enumerate(values)
        ),
    )
    found = taken(rows, said, {})
    assert {key: n for key, n in found.items() if key != ALL} == numbers
    assert used(said, found) == found
    meant = with_numbers(said, found)
    assert [dict(override.keep[0].asked) for override in meant.overrides] == [
        {**each, **({"default": found[ALL]} if each == {"default": 0.9} else {})} for each in asked
    ]
    assert quantiles(meant) == []
