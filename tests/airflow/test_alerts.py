"""Who is told, and what."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace

from speechlake_airflow.alerts import run_late, task_failed

FAILED = {
    "ti": SimpleNamespace(
        dag_id="speechlake_corpus", task_id="corpus.ingest", map_index=1, run_id="r1", try_number=1
    ),
    "exception": ValueError("ingest-manifests ended with 3"),
}
LATE = {
    "dag_run": {"dag_id": "speechlake_corpus", "dag_run_id": "r1"},
    "deadline": {"id": "1", "deadline_time": "2026-11-25T12:15:00Z"},
}


def heard(tmp_path, monkeypatch, tell, context):
    """What the alert's command gets on stdin."""
    monkeypatch.setenv("SPEECHLAKE_ALERT", f"tee '{tmp_path / 'an alert'}'")
    tell(context)
    return json.loads((tmp_path / "an alert").read_text())


def test_a_failure_tells_where_and_what_the_job_said(tmp_path, monkeypatch):
    assert heard(tmp_path, monkeypatch, task_failed, FAILED) == {
        "alert": "task failed",
        "dag": "speechlake_corpus",
        "task": "corpus.ingest[1]",
        "run": "r1",
        "try": 1,
        "said": "ingest-manifests ended with 3",
    }


def test_a_late_run_tells_when_it_should_have_ended(tmp_path, monkeypatch):
    assert heard(tmp_path, monkeypatch, run_late, LATE) == {
        "alert": "run late",
        "dag": "speechlake_corpus",
        "run": "r1",
        "deadline": "2026-11-25T12:15:00Z",
    }


def test_without_a_command_the_log_tells(caplog):
    with caplog.at_level(logging.ERROR):
        task_failed(FAILED)
    assert "ingest-manifests ended with 3" in caplog.text


def test_a_command_that_fails_hides_nothing_and_raises_nothing(monkeypatch, caplog):
    for command in ("false", "/no/such/command", "'"):
        monkeypatch.setenv("SPEECHLAKE_ALERT", command)
        with caplog.at_level(logging.ERROR):
            task_failed(FAILED)
        assert "could not be handed to SPEECHLAKE_ALERT" in caplog.text
        assert "ingest-manifests ended with 3" in caplog.text
        caplog.clear()
