"""The report on the terminal, of lakes that hold less than a release."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast
from unittest.mock import Mock

import pytest
from lake_tools import ingest, says, wav, write_lines

from speechlake import questions
from speechlake.commands import report
from speechlake.terminal import console

if TYPE_CHECKING:
    from speechlake.lake import Lake


@pytest.mark.slow
def test_of_a_lake_whose_first_ingestion_was_refused_the_report_says_why(lake: Lake, tmp_path: Path) -> None:
    wav(tmp_path / "audio" / "a.wav")
    manifest = write_lines(tmp_path / "m.jsonl", says("a.wav", "one"), b"not a line", b"nor this")
    refused = ingest(lake, manifest, roots={"audio": str(tmp_path / "audio")}, max_reject=0.1)
    assert refused.refusal is not None
    out = io.StringIO()
    assert report.run(lake, release=None, out=console(out)).counts == {"utterances": 0}
    assert "Quarantined, by reason" in out.getvalue()
    assert "m.jsonl:2" in out.getvalue()


@pytest.mark.parametrize(
    ("hours", "told"),
    [
        (0.1801, "Measured 0.18 h of audio in 108 s (6.0 x real time)"),
        (1.0, "1.00 h of audio, 0.18 h of them"),
    ],
    ids=["every run ended", "some were interrupted"],
)
def test_hours_without_a_time_are_told_apart_only_where_there_are_some(
    monkeypatch: pytest.MonkeyPatch, hours: float, told: str
) -> None:
    used = {"cpu_hours": 0.05, "cores_used": 1.5, "device_hours": 0.0, "model_loads": 4, "price": None}
    row = SimpleNamespace(hours=hours, wall_s=108.0, times_real_time=6.0, **used)
    monkeypatch.setattr(questions, "extraction_cost", lambda *_: SimpleNamespace(collect=lambda: [row]))
    out, no_lake = io.StringIO(), SimpleNamespace()
    report._cost(console(out), cast("Lake", no_lake), None)
    assert told in out.getvalue()


def test_a_warning_of_a_release_runs_nothing_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("questions", "show_frame"):
        monkeypatch.setattr(report, name, Mock())
    out = io.StringIO()
    row = dict.fromkeys(("release", "build_id", "rows_digest", "known_speaker_hours_ratio"))
    report._release(console(out), Mock(), {**row, "rules": [], "warnings": ["stratum \x1b[2J\u202e"]})
    assert "note: stratum \\x1b[2J\\u202e" in out.getvalue()
