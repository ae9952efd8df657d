"""Tables of a release's page, from literal frames."""

from __future__ import annotations

from typing import Any

from speechlake.page.release_rows import corpora, funnel, rules


def hours(corpus: str, language: str | None, **said: Any) -> dict[str, Any]:
    """A row of `hours_and_errors` without anything but 10 hours in, of which 5 are kept."""
    nothing = dict.fromkeys(("substitutions", "deletions", "insertions", "hits"), 0)
    sums = {"clips": 100, "declared_hours": 10.0, "hours": 10.0, "clips_kept": 50, "hours_kept": 5.0}
    rest = {"hours_scored": 0.0, "hours_not_applicable": 0.0, "judges": [], "unit": None}
    return {"corpus": corpus, "language": language, **sums, **nothing, **rest, **said}


def found(*rows: dict[str, Any], **more: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return {"hours": [*rows], **{key: [] for key in ("reasons", "voices", "rates", "bandwidths")}, **more}


def leaves(reason: str | None, clips: int, ms: float, measured: bool = True) -> dict[str, Any]:
    """A row of the funnel; what was not measured has hours as declared only."""
    measured_hours = ms if measured else 0.0
    return {
        "reason": reason,
        "measured": measured,
        "clips": clips,
        "hours": measured_hours,
        "declared_hours": ms,
    }


def test_each_corpus_and_language_has_what_was_found_of_it():
    row = hours(
        "a",
        None,
        judges=["f1"],
        unit="word",
        hits=90,
        substitutions=6,
        deletions=4,
        insertions=10,
        hours_scored=8.0,
    )
    key = {"corpus": "a", "language": None}
    made = corpora(
        found(
            row,
            reasons=[{**key, "reason": "length", "hours": 2.0, "clips": 7}],
            voices=[{**key, "speakers": 3, "top_speaker": 0.5, "known": 1.0}],
            rates=[
                {
                    **key,
                    "rates": [
                        {"sample_rate_hz": 8000, "hours": 9.0},
                        {"sample_rate_hz": 16000, "hours": 1.0},
                    ],
                    "hours": 12.0,
                    "different": 4,
                }
            ],
            bandwidths=[{**key, "bandwidth_hz": 3750.0}],
        ),
        {"f1": "whisper-base"},
        10,
    )
    (part,) = made["parts"]
    assert (part["share"], part["reason"], part["reason_share"], part["reason_clips"]) == (
        0.5,
        "length",
        0.2,
        7,
    )
    errors = part["errors"]
    assert [errors[k] for k in ("rate", "substitutions", "deletions", "insertions")] == [0.2, 0.06, 0.04, 0.1]
    assert (part["judged_by"], part["scored_share"]) == ([("whisper-base", "f1")], 0.8)
    assert (part["speakers"], part["top_speaker"]) == (3, 0.5)
    assert (part["native"], part["bandwidth_hz"]) == ([(8000, 9 / 12), (16000, 1 / 12)], 3750.0)
    assert part["more_rates"] == 2


def test_what_is_not_known_of_a_corpus_is_null_rather_than_nothing():
    (part,) = corpora(found(hours("a", "en", hours=0.0, declared_hours=0.0)), {}, 10)["parts"]
    assert [part[k] for k in ("share", "reason", "errors", "speakers", "bandwidth_hz", "not_applicable")] == [
        None
    ] * 6


def test_corpora_with_most_hours_come_first_and_the_rest_is_in_the_total():
    rows = (hours("small", "en", declared_hours=1.0), hours("big", "en"), hours("big", "de"))
    made = corpora(found(*rows), {}, 2)
    assert [(part["corpus"], part["language"]) for part in made["parts"]] == [("big", "de"), ("big", "en")]
    assert (made["left"], made["total"]["declared_hours"], made["total"]["clips"]) == (1, 21.0, 300)


def test_the_funnel_leaves_at_each_reason_in_the_order_in_which_they_are_asked():
    steps = funnel(
        [
            leaves("duplicate_of_kept", 1, 1.0),
            leaves("missing:score", 1, 0.5),
            leaves("error_rate", 2, 1.5),
            leaves("length", 3, 2.0),
            leaves("decodes", 4, 1.0, measured=False),
            leaves(None, 9, 4.0),
        ],
        ["decodes", "length", "error_rate"],
    )
    assert [(step["name"], step["kind"], step["clips"], step["hours"]) for step in steps] == [
        ("in the manifests", "whole", 20, 10.0),
        ("not measured", "removed", 4, 1.0),
        ("measured", "whole", 16, 9.0),
        ("length", "removed", 3, 2.0),
        ("error_rate", "removed", 2, 1.5),
        ("missing:score", "removed", 1, 0.5),
        ("duplicate_of_kept", "removed", 1, 1.0),
        ("kept", "kept", 9, 4.0),
    ]
    assert steps[3]["share"] == 0.2
    assert 'x="70.00" y="0" width="20.00"' in steps[3]["bar"]  # from 9 hours down to 7


def test_a_funnel_without_rows_has_no_shares():
    assert [step["share"] for step in funnel([], [])] == [None, None, None]


def test_rules_say_why_they_could_not_be_asked():
    rule = {"rule": "error_rate", "passed": 1, "failed": 2, "not_applicable": 3, "hours_alone": 0.5}
    silent = [
        {"rule": "error_rate", "reason": "few_units", "clips": 2},
        {"rule": "error_rate", "reason": "no_reference", "clips": 1},
    ]
    (made,) = rules([rule], silent, [])
    assert (made["why"], made["heard"]) == ("few_units 2, no_reference 1", None)


def test_what_reviewers_said_stands_with_the_rule_that_they_heard():
    told = [{"rule": name, "hours_alone": 0.0} for name in ("length", "error_rate")]
    heard = [{"rule": "error_rate", "precision": 0.8}, {"rule": "of another policy", "precision": 0.1}]
    assert [rule["heard"] for rule in rules(told, [], heard)] == [None, heard[0]]
