"""How often a rule is right: strata weigh by what they stand for, and few answers make a wide interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from speechlake.feedback.precision import reviews, rule_precision
from speechlake.schemas import CONTENT_HASHES, EXTRACTORS, PROFILES, RECORDINGS, SIGNALS_IMPORTED, UTTERANCES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DDL = "rule string, asked string, utterance_id string, verdict string, decision string, stratum string, population double"


def found(spark: SparkSession, *answers: tuple[str, str, str, float, int]) -> list[dict[str, Any]]:
    """Of answers (verdict, decision, stratum, population, times) to one rule."""
    rows = [
        ("length", "at_least 1", f"{stratum}-{verdict}-{n}", verdict, decision, stratum, population)
        for verdict, decision, stratum, population, times in answers
        for n in range(times)
    ]
    return [row.asDict() for row in rule_precision(spark.createDataFrame(rows, DDL)).collect()]


def test_one_stratum_gives_the_plain_share_and_wilsons_interval(spark):
    # 8 of 10: Wilson's interval is 0.490 to 0.943 (Brown, Cai & DasGupta's formula 4, by hand).
    (row,) = found(
        spark,
        ("bad_audio", "removed", "en/removed/random", 500.0, 8),
        ("good", "removed", "en/removed/random", 500.0, 2),
    )
    assert (row["reviewed"], row["removed_heard"], row["kept_heard"]) == (10, 10, 0)
    assert row["precision"] == pytest.approx(0.8)
    assert (row["low"], row["high"]) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert row["kept_bad"] is None


def test_a_stratum_counts_by_its_utterances_and_not_by_its_answers(spark):
    # Half of 100 at the margin are bad, and all of 900 far from it: 950 of 1,000, though 15 of 20 answers.
    (row,) = found(
        spark,
        ("bad_text", "removed", "en/removed/margin", 100.0, 5),
        ("good", "removed", "en/removed/margin", 100.0, 5),
        ("wrong_speaker", "removed", "en/removed/random", 900.0, 10),
    )
    assert row["precision"] == pytest.approx(0.95)
    # 1000^2 / (100^2 / 10 + 900^2 / 10) = 12.2 answers' worth, of 20.
    n, z = 1e6 / (1e4 / 10 + 81e4 / 10), 1.959963984540054
    middle = (0.95 + z * z / (2 * n)) / (1 + z * z / n)
    assert (row["low"] + min(row["high"], 2 * middle - row["low"])) / 2 == pytest.approx(middle)


def test_no_bad_answer_among_few_leaves_room_for_doubt(spark):
    (row,) = found(spark, ("good", "removed", "s", 40.0, 4))
    assert row["precision"] == 0
    assert row["low"] == 0
    assert 0.4 < row["high"] < 0.55


def test_what_is_kept_is_told_beside_what_is_removed(spark):
    (row,) = found(
        spark,
        ("bad_text", "removed", "en/removed/random", 10.0, 3),
        ("good", "kept", "en/kept/random", 90.0, 3),
        ("bad_audio", "kept", "en/kept/random", 90.0, 1),
    )
    assert (row["precision"], row["kept_bad"]) == (1.0, 0.25)
    # Rounding in floats leaves less than 1 of 3 answers.
    assert row["high"] == 1
    assert (row["reviewed"], row["removed_heard"], row["kept_heard"]) == (7, 3, 4)


def test_a_rule_of_which_only_kept_rows_were_heard_has_no_precision(spark):
    (row,) = found(spark, ("good", "kept", "en/kept/random", 90.0, 3))
    assert (row["precision"], row["low"], row["high"], row["kept_bad"]) == (None, None, None, 0.0)


def test_answers_about_another_limit_are_told_apart(spark):
    rows = [
        ("length", asked, f"u{n}", verdict, "removed", "s", 10.0)
        for n, (asked, verdict) in enumerate(
            [("at_least 1", "good"), ("at_least 2", "bad_text"), (None, "good")]
        )
    ]
    told = rule_precision(spark.createDataFrame(rows, DDL)).collect()
    assert [(row.asked, row.reviewed, row.precision) for row in told] == [
        (None, 1, 0.0), ("at_least 1", 1, 0.0), ("at_least 2", 1, 1.0)
    ]  # fmt: skip


Answer = tuple[str, Mapping[str, Any]]


def lake_of(rows: Callable[..., DataFrame], *imports: tuple[str, str, Sequence[Answer]]) -> Any:
    """A lake in which imports (name, version, answers of utterances) were made one after another.

    The audio of `replaced` is another by now than the one that all answers are about.
    """
    whole = {"rule": "length", "decision": "removed"}
    columns = ("verdict", "rule", "decision", "population")
    about = [
        (f"{name} {version} {column}", {"name": f"imported.{name}.{column}", "version": version})
        for name, version, _ in imports
        for column in columns
    ]
    now = [
        (n, {"extractor": said["name"], "fingerprint": key})
        for n, (key, said) in enumerate(dict(about).items())
    ]
    values = [
        (
            utterance,
            {
                "fingerprint": f"{name} {version} {column}",
                "content_sha256": "c",
                "number" if column == "population" else "word": value,
            },
        )
        for name, version, answers in imports
        for utterance, said in answers
        for column, value in {**whole, **said}.items()
    ]
    heard = sorted({utterance for utterance, _ in values})
    frames = {
        "extractors": rows(EXTRACTORS, *about),
        "profiles": rows(PROFILES, *now),
        "signals_imported": rows(SIGNALS_IMPORTED, *values),
        "utterances": rows(UTTERANCES, *[(key, {"recording_id": f"r-{key}"}) for key in heard]),
        "recordings": rows(RECORDINGS, *[(f"r-{key}", {"listing_key": f"l-{key}"}) for key in heard]),
        "content_hashes": rows(
            CONTENT_HASHES,
            *[
                (
                    f"r-{key}",
                    {
                        "recording_id": f"r-{key}",
                        "listing_key": f"l-{key}",
                        "content_sha256": "other" if key == "replaced" else "c",
                    },
                )
                for key in heard
            ],
        ),
    }
    return SimpleNamespace(read=frames.__getitem__)


def heard(lake: Any) -> dict[str, str]:
    """{utterance: verdict} of the answers that count."""
    return {row.utterance_id: row.verdict for row in reviews(lake).collect()}


BAD_TEXT, SKIP, GOOD = {"verdict": "bad_text"}, {"verdict": "skip"}, {"verdict": "good"}


def test_an_answer_that_was_skipped_at_last_is_none(rows):
    lake = lake_of(rows, ("r", "1", [("u1", BAD_TEXT), ("u2", BAD_TEXT)]), ("later", "1", [("u1", SKIP)]))
    assert heard(lake) == {"u2": "bad_text"}


def test_an_import_replaces_the_answers_of_its_name_and_adds_to_those_of_others(rows):
    lake = lake_of(
        rows,
        ("r", "1", [("u1", BAD_TEXT), ("u2", BAD_TEXT)]),
        ("of_ann", "1", [("u3", BAD_TEXT)]),
        ("r", "2", [("u1", GOOD)]),
    )
    assert heard(lake) == {"u1": "good", "u3": "bad_text"}


def test_an_answer_about_audio_that_was_replaced_is_none(rows):
    assert heard(lake_of(rows, ("r", "1", [("u1", GOOD), ("replaced", GOOD)]))) == {"u1": "good"}


def test_only_verdicts_that_are_known_and_populations_above_nothing_are_answers(rows):
    answers = [
        ("u1", {**GOOD, "population": 9.0}),
        ("u2", BAD_TEXT),
        ("u3", {**SKIP, "population": 9.0}),
        ("u4", {"verdict": "bad audio", "population": 9.0}),
        ("u5", {"verdict": "?"}),
        ("u6", {"verdict": "bad_audio", "population": 0.0}),
    ]
    assert heard(lake_of(rows, ("review_length", "1", answers))) == {"u1": "good", "u2": "bad_text"}
