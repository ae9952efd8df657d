"""What a release keeps of each corpus and language."""

from __future__ import annotations

import pytest
from decided_rows import frame, row, told, verdict

from speechlake.questions.overview import bandwidths, first_reasons, hours_and_errors, native_rates, voices


def scored(**counts: int) -> dict[str, object]:
    """A score in words by judge f1."""
    kinds = dict.fromkeys(("hits", "substitutions", "deletions", "insertions"), 0)
    return {"judge": "f1", "unit": "word", **kinds, **counts}


def test_hours_are_counted_in_and_kept_and_errors_summed_over_what_was_scored(spark):
    rows = frame(
        spark,
        row("a", **scored(hits=8, substitutions=1, deletions=1)),
        row(
            "b",
            None,
            **scored(hits=5, insertions=2),
            verdicts=[verdict("r", "not_applicable", why="few_units")],
        ),
        row("c", None, duration_s=None, declared_ms=7200, verdicts=[verdict("r", "pass")]),
        row("d", "test", language=None),
        row("gone", None, listed=False),
    )
    found = {each.language: each for each in hours_and_errors(rows).collect()}
    en = found["en"]
    assert (en.clips, en.clips_kept, en.hours, en.hours_kept, en.declared_hours) == (
        3,
        1,
        0.002,
        0.001,
        0.004,
    )
    assert (en.hits, en.substitutions, en.deletions, en.insertions, en.unit) == (13, 1, 1, 2, "word")
    assert (en.hours_scored, en.judges, en.hours_not_applicable) == (0.002, ["f1"], 0.001)
    assert (found[None].hits, found[None].judges, found[None].hours_scored) == (None, [], 0.0)


def test_the_first_reason_told_is_the_one_that_takes_most_hours(spark):
    rows = frame(
        spark,
        row("a", None, reason="many", duration_s=1.0),
        row("b", None, reason="many", duration_s=1.0),
        row("c", None, reason="long", duration_s=36.0),
        row("kept"),
        row("gone", None, reason="not_in_manifest", listed=False, duration_s=99.0),
    )
    assert told(first_reasons(rows), "corpus", "language", "reason", "hours", "clips") == [
        ("c", "en", "long", 0.01, 1)
    ]


def test_voices_are_those_of_kept_rows_and_the_unknown_ones_are_no_speaker(spark):
    rows = frame(
        spark,
        row("a", speaker_id="s1", duration_s=6.0),
        row("b", speaker_id="s2", duration_s=2.0),
        row("c", speaker_id=None, duration_s=8.0),
        row("d", None, speaker_id="s3", duration_s=99.0),
    )
    assert told(voices(rows), "speakers", "top_speaker", "known") == [(2, 6 / 16, 8 / 16)]


def test_the_commonest_native_rates_are_told_by_hours(spark):
    rates = [(8000, 1.0), (8000, 1.0), (16000, 5.0), (44100, 0.5), (48000, 0.2)]
    rows = [row(str(i), sample_rate_hz=rate, duration_s=s) for i, (rate, s) in enumerate(rates)]
    (found,) = native_rates(frame(spark, *rows, row("x", None, duration_s=None))).collect()
    assert [rate.sample_rate_hz for rate in found.rates] == [16000, 8000, 44100]
    assert found.different == 4
    assert found.hours == pytest.approx(7.7 / 3600, abs=1e-6)


def test_half_of_the_hours_have_less_than_the_bandwidth_told(spark):
    rows = frame(
        spark,
        row("a", bandwidth_hz=3400.0, duration_s=8.0),
        row("b", bandwidth_hz=7900.0, duration_s=1.0),
        row("c", bandwidth_hz=7901.0, duration_s=1.0),
    )
    assert told(bandwidths(rows), "bandwidth_hz") == [(3250.0,)]
