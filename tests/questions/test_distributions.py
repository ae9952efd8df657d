"""Where hours go and how they are spread: the edges of bins, above all."""

from __future__ import annotations

from decided_rows import frame, row, told, verdict

from speechlake.questions.distributions import (
    DURATION_BINS,
    ERROR_BINS,
    durations,
    error_rates,
    funnel,
    not_applicable,
)


def test_lengths_fall_into_bins_that_hold_their_lower_edge(spark):
    lengths = {"0–1 s": 0.999, "1–2 s": 1.0, "29–30 s": 29.99, "30–60 s": 60.0, "over 60 s": 60.01}
    rows = [row(name, duration_s=length) for name, length in lengths.items()]
    found = durations(frame(spark, *rows, row("x", None, duration_s=None), row("y", None, listed=False)))
    assert [DURATION_BINS[each.bin] for each in found.collect()] == [*lengths]


def test_bins_tell_what_is_kept_and_what_is_not(spark):
    found = durations(frame(spark, row("a"), row("b", None), row("c", None)))
    names = ("bin", "hours_kept", "hours_removed", "clips_kept", "clips_removed")
    assert told(found, *names) == [(3, 0.001, 0.002, 1, 2)]


def test_error_rates_fall_into_bins_that_hold_their_upper_edge(spark):
    # substitutions, of 20 words
    wrong = {"none": 0, "0–5 %": 1, "50–55 %": 11, "95–100 %": 20}
    rows = [
        row(name, judge="f", hits=20 - n, substitutions=n, deletions=0, insertions=0)
        for name, n in wrong.items()
    ]
    inserted = row("over", judge="f", hits=1, substitutions=0, deletions=0, insertions=9)
    empty = row("empty", judge="f", hits=0, substitutions=0, deletions=0, insertions=3)
    found = error_rates(frame(spark, *rows, inserted, empty, row("no score")))
    assert [ERROR_BINS[each.bin] for each in found.collect()] == [*wrong, "over 100 %"]


def test_the_funnel_tells_what_was_measured_from_what_was_not(spark):
    rows = frame(
        spark,
        row("a"),
        row("b", None),
        row("c", None, reason="decodes", duration_s=None, declared_ms=7200),
        row("d", None, reason="not_in_manifest", listed=False),
    )
    found = sorted(told(funnel(rows), "reason", "measured", "clips", "hours", "declared_hours"), key=repr)
    assert found == [
        ("decodes", False, 1, 0.0, 0.002),
        ("length", True, 1, 0.001, 0.001),
        (None, True, 1, 0.001, 0.001),
    ]


def test_rules_that_could_not_be_asked_are_counted_by_reason(spark):
    silent = verdict("error_rate", "not_applicable", why="few_units")
    rows = frame(
        spark, row("a", verdicts=[silent, verdict("length", "pass")]), row("b", None, verdicts=[silent])
    )
    assert told(not_applicable(rows), "rule", "reason", "clips", "hours") == [
        ("error_rate", "few_units", 2, 0.002)
    ]
