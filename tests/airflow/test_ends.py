"""What the end of a job means to Airflow: done, again, or a person."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException


class Ti:
    """As much of a task instance as an operator sees."""

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture
def ended(fake_spark, tmp_path):
    """`ended(code)`: run a job that ends with `code`; its result, or the error."""

    def run(code: int = 0, *, ti: Ti | None = None, **more: Any) -> Any:
        from speechlake_airflow.submit import submit

        fake_spark({"job": "find-duplicates", "codes": [code], "says": {"counts": {"clusters": 3}}})
        task = submit("find-duplicates", "--lake", str(tmp_path), **more)
        task.properties_file = ""
        return task.execute({"ti": ti or Ti()})

    return run


def test_the_result_of_a_job_is_the_last_object_that_it_prints(ended):
    assert ended(0) == {"job": "find-duplicates", "outcome": "done", "counts": {"clusters": 3}}


@pytest.mark.parametrize(("code", "meaning"), [(2, "arguments or configuration"), (3, "a gate refused")])
def test_codes_that_need_a_person_fail_at_once_and_tell_what_the_job_said(ended, code, meaning):
    ti = Ti()
    with pytest.raises(AirflowFailException, match=f"find-duplicates ended with {code}, {meaning}"):
        ended(code, ti=ti)
    assert ti.pushed["refusal"].endswith(
        f"Refused: find-duplicates was told to end with {code} Do what the hint says."
    )


@pytest.mark.parametrize("code", [1, 4, 5, 130, 137, 143])
def test_all_other_codes_are_tried_again(ended, code):
    with pytest.raises(AirflowException, match=f"ended with {code}, .*a retry may help") as caught:
        ended(code)
    assert not isinstance(caught.value, AirflowFailException)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Cannot execute: spark-submit x. Error code is: 3.\nLast spark-submit output:", 3),
        ("Cannot execute: spark-submit x. Error code is: -9.", -9),
        ("something else", None),
    ],
)
def test_the_code_is_read_from_what_the_provider_says(message, code):
    from speechlake_airflow.submit import exit_code

    assert exit_code(message) == code


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            ["LeakFound: 3 speakers", "  Tell somebody.", "a table", '{"job": "x"}'],
            "LeakFound: 3 speakers Tell somebody.",
        ),
        (
            ["usage: speechlake x", "speechlake x: error: --lake is required"],
            "speechlake x: error: --lake is required",
        ),
        (["Caused by: java.lang", "killed", ""], "killed"),
        ([], ""),
    ],
)
def test_the_words_of_a_job_are_its_error_and_hint(lines, words):
    from speechlake_airflow.submit import last_words

    assert last_words(lines) == words


def test_a_job_that_is_not_asked_for_is_skipped_and_starts_nothing(ended, tmp_path):
    with pytest.raises(AirflowSkipException):
        ended(enabled=False)
    with pytest.raises(AirflowSkipException):
        ended(enabled="False")
    assert not (tmp_path / "commands.jsonl").exists()


def test_a_connection_that_is_not_there_is_no_cluster_of_yarn(ended, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_SPEECHLAKE_SPARK")
    with pytest.raises(AirflowFailException, match="no connection 'speechlake_spark'"):
        ended()


def test_cluster_mode_is_refused_because_it_loses_exit_codes(ended, monkeypatch):
    connection = {"conn_type": "spark", "host": "spark://there:7077", "extra": {"deploy-mode": "cluster"}}
    monkeypatch.setenv("AIRFLOW_CONN_SPEECHLAKE_SPARK", json.dumps(connection))
    with pytest.raises(AirflowFailException, match="use client"):
        ended()


def test_kubernetes_is_refused_because_the_provider_loses_exit_codes_there(ended, monkeypatch):
    connection = {"conn_type": "spark", "host": "k8s://https://there:443"}
    monkeypatch.setenv("AIRFLOW_CONN_SPEECHLAKE_SPARK", json.dumps(connection))
    with pytest.raises(AirflowFailException, match="Kubernetes"):
        ended()


def test_what_is_missing_on_the_machine_is_named_with_what_to_do(ended, monkeypatch, tmp_path):
    monkeypatch.setenv("SPEECHLAKE_HOME", str(tmp_path))
    with pytest.raises(AirflowFailException) as caught:
        ended()
    for said in ("make setup", "make dist", "older than its DAGs"):
        assert said in str(caught.value)


def test_a_library_that_is_older_than_its_sources_is_told(monkeypatch, tmp_path):
    from speechlake_airflow.installation import Installation

    monkeypatch.setenv("SPEECHLAKE_HOME", str(tmp_path))
    source, library = tmp_path / "lib" / "speechlake" / "decode.py", tmp_path / "dist" / "speechlake.zip"
    for file, written_s in ((source, 2_000), (library, 2_000)):
        file.parent.mkdir(parents=True)
        file.touch()
        os.utime(file, (written_s, written_s))
    assert "older than lib/" not in " ".join(Installation.here().missing("report"))
    os.utime(source, (2_001, 2_001))
    assert f"{library} is older than lib/ or schemas/: run `make dist`" in Installation.here().missing(
        "report"
    )


def test_lists_among_arguments_are_spliced_in_and_what_renders_to_nothing_is_left_out():
    from speechlake_airflow.submit import submit

    task = submit("x", "--a", ["--b", ["c"], 1.5], "{{ '--d' if no }}", "{{ yes }}")
    task.properties_file = ""
    task.render_template_fields({"yes": "e", "no": False, "ti": None, "run_id": "r"})
    assert task.application_args == ["--a", "--b", "c", "1.5", "e"]
