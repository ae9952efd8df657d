"""Structured logs: what stands on stderr when a machine reads it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from speechlake import job, logs
from speechlake.errors import UsageError
from speechlake.job import Report
from speechlake.progress import Progress


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a job whose work is `call`, on a lake that nobody opens."""
    monkeypatch.setattr(job, "open_lake", lambda root, app: root)
    monkeypatch.delenv(logs.LOG, raising=False)

    def main(call: Callable[[], Report], *argv: str) -> int:
        return job.main("try", job.parser("A job."), lambda lake, parsed: call(), ["--lake", "x", *argv])

    return main


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def says(*messages: str) -> Callable[[], Report]:
    def call() -> Report:
        for message in messages:
            Progress().say(message)
        return Report("try")

    return call


def test_every_message_is_one_object_with_time_level_job_and_run(run, capsys):
    def call() -> Report:
        Progress().say("before any run")
        logs.note_run("extract-signals", "calls", "r1")
        Progress().say("calls: ж", done_s=2.5)
        return Report("try")

    assert run(call, "--log-json") == 0
    first, second = lines(capsys.readouterr().err)
    assert first.pop("time") <= second.pop("time")
    assert first == {
        "level": "INFO",
        "job": "try",
        "scope": None,
        "run_id": None,
        "message": "before any run",
    }
    assert second == {
        "level": "INFO",
        "job": "extract-signals",
        "scope": "calls",
        "run_id": "r1",
        "message": "calls: ж",
        "done_s": 2.5,
    }


def test_an_error_and_its_hint_are_one_line(run, capsys):
    def call() -> Report:
        raise UsageError("there is no corpus 'x'", hint="Corpora: a, b.")

    assert run(call, "--log-json") == 2
    (line,) = lines(capsys.readouterr().err)
    assert (line["level"], line["message"]) == (
        "ERROR",
        "UsageError: there is no corpus 'x'\n  Corpora: a, b.",
    )


def test_a_stack_trace_is_one_line(run, capsys):
    assert run(lambda: 1 / 0, "--log-json") == 5
    (line,) = lines(capsys.readouterr().err)
    assert line["message"].endswith("ZeroDivisionError: division by zero")


def test_what_libraries_print_is_json_too(run, capsys):
    def call() -> Report:
        print("printed", 1, file=sys.stderr)
        print("without an end", end="", file=sys.stderr)
        return Report("try")

    run(call, "--log-json")
    told = [line["message"] for line in lines(capsys.readouterr().err)]
    assert told == ["printed 1", "without an end"]


def test_the_environment_asks_for_json_too_also_for_wrong_arguments(run, monkeypatch, capsys):
    monkeypatch.setenv(logs.LOG, "json")
    assert run(says("a"), "--nonsense") == 2
    assert any("--nonsense" in line["message"] for line in lines(capsys.readouterr().err))


def test_another_form_is_a_users_mistake(run, monkeypatch, capsys):
    monkeypatch.setenv(logs.LOG, "xml")
    assert run(says("a")) == 2
    assert "SPEECHLAKE_LOG is 'xml'" in capsys.readouterr().err


def test_the_last_line_of_stdout_stays_as_it_is(run, capsys):
    assert run(says("a"), "--log-json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["job"] == "try"


def test_without_the_flag_lines_are_for_people_and_stderr_is_given_back(run, capsys):
    before = sys.stderr
    run(says("a"), "--log-json")
    assert sys.stderr is before
    capsys.readouterr()
    run(says("for people"))
    assert capsys.readouterr().err.endswith(" for people\n")


def test_a_line_that_is_not_ended_waits_for_its_end():
    out = io.StringIO()
    stream = logs.JsonLines(out, "try")
    stream.write("half ")
    assert out.getvalue() == ""
    stream.write("a line\n")
    assert lines(out.getvalue())[0]["message"] == "half a line"
