"""The page of a release filled with hostile values everywhere: shown, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from html_seen import Seen
from test_release_rows import found, hours, leaves

from speechlake.page.charts import Bar, histogram
from speechlake.page.release_examples import examples_of
from speechlake.page.release_rows import corpora, funnel, rules
from speechlake.page.render import rendered

EVIL = "<script>alert(1)</script>\"onerror='x'\u202e{{ 7 * 7 }}</title>"
SHOWN = "<script>alert(1)</script>\"onerror='x'⟨U+202E⟩{{ 7 * 7 }}</title>"
AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def said(*heard: dict[str, Any]) -> dict[str, Any]:
    """All that the template needs, with every text that may come from elsewhere hostile."""
    rule = {"rule": EVIL, "passed": 1, "failed": 1, "not_applicable": 1, "hours_alone": 0.5}
    release = {
        **dict.fromkeys(("release", "policy", "policy_sha256", "scheme", "build_id", "rows_digest"), EVIL),
        "warnings": [EVIL], "versions_read": {EVIL: -1}, "known_speaker_hours_ratio": 0.5, "published_at": AT,
        "rules": [rule],
    }  # fmt: skip
    key = {"corpus": EVIL, "language": EVIL}
    part = hours(EVIL, EVIL, judges=[EVIL], unit="char", hits=1, substitutions=1, hours_scored=1.0)
    size = {"clips": 2, "kept": 1, "hours": 1.0, "kinds": ["exact"], "corpora": [EVIL], "splits": ["train"]}
    texts = {
        "u": {
            **dict.fromkeys(
                ("corpus", "language", "heard_language", "judge", "text", "heard", "speaker_id", "root"), EVIL
            )
        }
    }
    example = {"utterance_id": "u", "value": EVIL, "threshold": EVIL}
    nearest = [{"rule": EVIL, "kept": kept, "examples": [example]} for kept in (True, False)]
    chart = histogram([Bar(1, 1, "x")], label="x", unit="h", ticks=[])
    reasons = [{**key, "reason": EVIL, "hours": 1.0, "clips": 1}]
    published = {f"hours_{side}": 1.0 for side in ("train", "dev", "test", "excluded")}
    return {
        "release": release, "policy_name": EVIL, "understood": False, "changed": [EVIL], "asked": {EVIL: EVIL}, "lake": EVIL,
        "version": "0", "bins": [EVIL], "corpora": corpora(found(part, reasons=reasons), {EVIL: EVIL}, 9),
        "funnel": funnel([leaves(EVIL, 1, 1.0), leaves(None, 1, 1.0)], []),
        "rules": rules([rule], [{"rule": EVIL, "reason": EVIL, "clips": 1}], [*heard]),
        "charts": {"durations": chart, "errors": chart},
        "examples": examples_of(nearest, [EVIL], texts, {}, {EVIL: EVIL}),
        "duplicates": [{"kind": "exact", "clusters": 1, "clips": 2, "hours": 1.0}],
        "superfluous": {"clips": 1, "hours": 0.5},
        "clusters": [{**size, "id": EVIL, "text": EVIL}],
        "speakers": [{**size, "speaker_id": EVIL}], "recordings": [{**size, "place": EVIL}],
        "speaker_sizes": [{"bin": 0, "speakers": 1, "hours": 1.0}],
        "sides": [{"split": "train", "clips": 1, "hours": 1.0, "speakers": 1}],
        "lines": [{"corpus": EVIL, "lines": 1, "utterances": 1, "repeats": 0, "quarantined": 1}],
        "quarantine": [
            {"reason": EVIL, "lines": 1, "detail": EVIL, "corpus": EVIL, "uri": EVIL, "line_number": 1, "line": EVIL}
        ],
        "releases": [
            {**dict.fromkeys(("release", "scheme", "rows_digest"), EVIL), **published, "build_s": 1.5, "published_at": AT}
        ],
        "measured_by": [dict.fromkeys(("name", "fingerprint", "model_id", "licence"), EVIL)],
        "cost": {
            "hours": 1.0, "wall_s": 60.0, "times_real_time": 60.0, "cpu_hours": 0.1, "device_hours": 0.2,
            "devices_used": 1.0, "cores_used": 2.0, "model_loads": 1, "price": 3.5,
        },
        "price": 2.0,
        "prices": [{"release": EVIL, "hours_kept": 1.0, "price": 3.5, "price_per_hour_kept": None}],
    }  # fmt: skip


@pytest.fixture(scope="module")
def page() -> str:
    return rendered("report.html", **said())


def test_foreign_text_is_shown_and_makes_no_tag_and_runs_nothing(page):
    seen = Seen(page)
    assert (seen.named("script"), seen.handlers()) == ([], [])
    assert seen.text.count(SHOWN) > 20
    assert "49" not in page  # a template of a template


def test_nothing_unseen_is_left_in_the_page(page):
    assert "\u202e" not in page


def test_the_page_fetches_nothing(page):
    assert Seen(page).fetched() == []


def test_rules_have_a_column_for_what_reviewers_said_where_any_did(page):
    assert "Right" not in Seen(page).text
    sides = {"removed_heard": 10, "precision": 0.8, "low": 0.4902, "high": 0.9433}
    only_kept = {"removed_heard": 0, "precision": None, "low": None, "high": None}
    both = Seen(rendered("report.html", **said({"rule": EVIL, **sides, "kept_heard": 4, "kept_bad": 0.25})))
    assert "80.0 %49.0 % – 94.3 %10 heard" in both.text.replace("\n", "")
    assert "of kept 25.0 % bad, 4 heard" in both.text
    kept = Seen(
        rendered("report.html", **said({"rule": EVIL, **only_kept, "kept_heard": 4, "kept_bad": 0.0}))
    )
    assert "of kept 0 % bad, 4 heard" in kept.text
    assert "None" not in kept.text


def test_audio_that_cannot_be_had_says_why(page):
    assert "No audio: its corpus has no root" in Seen(page).text


def test_no_rate_is_told_where_no_run_that_measured_ended():
    def told(**cost: Any) -> str:
        return Seen(rendered("report.html", **{**said(), "cost": {**said()["cost"], **cost}})).text

    assert "1.00 h of audio measured in 1.0 min, 60.0 × real time" in told()
    assert "2.00 h of audio measured, 1.00 h of them in 1.0 min" in told(hours=2.0)
    assert "real time" not in told(times_real_time=None, wall_s=0.0)
