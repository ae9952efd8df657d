"""Examples at the margins of rules."""

from __future__ import annotations

from decided_rows import frame, row, verdict

from speechlake.questions.margins import margins


def names(rows, n: int = 2) -> dict[tuple[str, bool], list[str]]:
    """Utterances by rule and side, nearest first."""
    found = margins(rows, n).collect()
    return {(each.rule, each.kept): [one.utterance_id for one in each.examples] for each in found}


def rated(utterance_id: str, value: float, asked: str = "<= 0.4", **said):
    kept = value <= 0.4
    one = verdict("error_rate", "pass" if kept else "fail", str(value), asked)
    own = {"reason": "error_rate", "failed": ["error_rate"]}
    return row(utterance_id, "train" if kept else None, **({} if kept else own), verdicts=[one], **said)


def test_what_hardly_passed_and_what_hardly_failed_is_shown_and_not_the_worst(spark):
    values = {"fine": 0.0, "nearly": 0.3, "just": 0.39, "over": 0.41, "more": 0.5, "worst": 9.0}
    rows = frame(spark, *(rated(name, value) for name, value in values.items()))
    assert names(rows) == {("error_rate", True): ["just", "nearly"], ("error_rate", False): ["over", "more"]}


def test_what_passes_by_far_is_no_example(spark):
    assert names(frame(spark, rated("fine", 0.19), rated("near", 0.2))) == {("error_rate", True): ["near"]}


def test_the_nearest_end_of_a_range_counts(spark):
    rows = frame(
        spark,
        *(
            row(name, verdicts=[verdict("length", "pass", value, "0.4 .. 30")])
            for name, value in (("short", "0.41"), ("middle", "5"), ("long", "29.9"))
        ),
    )
    assert set(names(rows)["length", True]) == {"short", "long"}


def test_of_rows_that_are_as_near_a_hash_draws_whatever_their_order(spark):
    rows = [rated(f"u{i}", 0.41) for i in range(8)]
    drawn = names(frame(spark, *rows), 3)["error_rate", False]
    assert drawn == names(frame(spark, *rows[::-1]), 3)["error_rate", False]
    assert drawn != ["u0", "u1", "u2"]


def test_rows_that_only_this_rule_removes_come_first(spark):
    both = rated("both", 0.41)
    both["failed"] = ["length", "error_rate"]
    assert names(frame(spark, both, rated("alone", 0.9)))["error_rate", False] == ["alone", "both"]


def test_a_rule_that_fails_and_does_not_count_for_the_side_shows_nothing(spark):
    flattered = row("test row", "test", verdicts=[verdict("error_rate", "fail", "0.9", "<= 0.4")])
    other = row("other", None, failed=["length"], verdicts=[verdict("error_rate", "fail", "0.9", "<= 0.4")])
    assert names(frame(spark, flattered, other)) == {}


def test_a_rule_without_a_number_shows_what_it_removed(spark):
    missing = row("broken", None, reason="decodes", verdicts=[verdict("decodes", "fail", "CORRUPT", "null")])
    unmeasured = row(
        "unheard",
        None,
        reason="missing:score",
        verdicts=[verdict("error_rate", "fail", "TIME_OUT", "<= 0.4", why="missing:score")],
    )
    fine = row("fine", verdicts=[verdict("decodes", "pass", None, "null")])
    assert names(frame(spark, missing, unmeasured, fine)) == {("decodes", False): ["broken"]}


def test_a_limit_of_zero_is_no_division_by_it(spark):
    rows = frame(
        spark,
        *(
            row(name, verdicts=[verdict("excess", "pass", value, "<= 0")])
            for name, value in (("far", "-0.4"), ("near", "-0.01"))
        ),
    )
    assert names(rows, 1)["excess", True] == ["near"]
