"""What becomes of a run when a job of it does not end well; Spark is replaced, Airflow is not."""

from __future__ import annotations

import pytest


def failed(run):
    return {task for task, state in run.states.items() if state == "failed"}


def test_a_corpus_that_is_refused_is_left_behind_alone_and_the_run_says_so(lake, fake_spark, run_dag):
    fake_spark({"job": "ingest-manifests", "has": "--corpus=calls", "codes": [3]})
    run = run_dag("speechlake_corpus")
    assert run.state == "failed"
    assert failed(run) == {"corpus.ingest[0]", "outcome"}
    # The other goes its way, and the lake is searched for copies; nothing is released without the first.
    assert run.states["corpus.score[1]"] == run.states["find_duplicates"] == "success"
    assert run.states["corpus.score[0]"] == run.states["build_splits"] == "upstream_failed"
    assert len([said for said in run.commands if "--corpus=calls" in said["arguments"]]) == 1


def test_the_outcome_names_the_corpus_the_task_and_what_the_job_said(
    lake, fake_spark, run_dag, tmp_path, monkeypatch
):
    monkeypatch.setenv("SPEECHLAKE_ALERT", f"tee -a '{tmp_path}/alerts'")
    fake_spark({"job": "ingest-manifests", "has": "--corpus=calls", "codes": [3]})
    run_dag("speechlake_corpus")
    told = (tmp_path / "alerts").read_text()
    assert "1 of 2 corpora done; no release was cut" in told
    assert "calls: corpus.ingest: ingest-manifests ended with 3, a gate refused: Refused:" in told


def test_a_corpus_is_segmented_where_the_file_asks_for_it(lake, fake_spark, run_dag):
    run = run_dag("speechlake_corpus")
    assert run.state == "success"
    assert run.states["corpus.segment[0]"] == "skipped"
    assert run.states["corpus.segment[1]"] == "success"
    assert run.states["corpus.score[0]"] == "success"


def test_a_job_that_was_in_the_way_is_tried_again_with_the_same_command(lake, fake_spark, run_dag):
    fake_spark({"job": "find-duplicates", "codes": [4, 5, 0]})
    run = run_dag("speechlake_corpus", {"corpora": ["calls"]})
    assert run.state == "success"
    tries = [said["arguments"] for said in run.commands if any("find_dup" in a for a in said["arguments"])]
    assert len(tries) == 3
    assert tries[0] == tries[1] == tries[2]


def test_a_corpus_that_the_file_does_not_have_ends_the_run_before_any_job(lake, fake_spark, run_dag):
    run = run_dag("speechlake_corpus", {"corpora": ["nobody"]})
    assert run.state == "failed"
    assert run.commands == []
    assert failed(run) == {"corpora", "outcome"}


def test_a_gate_that_refuses_is_seen_in_the_task_and_nothing_is_verified(lake, fake_spark, run_dag):
    fake_spark({"job": "build-splits", "codes": [3]})
    run = run_dag("speechlake_splits")
    assert (run.state, failed(run)) == ("failed", {"build"})
    assert run.states["verify"] == "upstream_failed"
    assert "build-splits ended with 3, a gate refused" in run.results["build.refusal"]


def test_a_retry_of_a_release_has_the_name_of_the_first_try(lake, fake_spark, run_dag):
    fake_spark({"job": "build-splits", "codes": [5, 0]})
    run = run_dag("speechlake_splits")
    names = [
        said["arguments"][said["arguments"].index("--release") + 1]
        for said in run.commands
        if "--release" in said["arguments"]
    ]
    assert len(names) == 2
    assert len(set(names)) == 1


@pytest.mark.parametrize("refused", [[], ["calls"]])
def test_what_is_incomplete_is_started_and_cuts_a_release_only_where_nothing_is_refused(
    lake, fake_spark, run_dag, refused
):
    fake_spark({"job": "status", "says": {"incomplete": ["meetings"], "refused": refused}})
    unpause("speechlake_corpus")
    run = run_dag("speechlake_reconcile")
    assert run.state == "success", run.states
    (started,) = runs_of("speechlake_corpus", f"reconcile__{run.run_id}")
    assert started.conf == {"corpora": ["meetings"], "build": not refused}


def test_with_nothing_incomplete_nothing_is_started(lake, fake_spark, run_dag):
    fake_spark({"job": "status", "says": {"incomplete": [], "refused": []}})
    run = run_dag("speechlake_reconcile")
    assert run.state == "success"
    assert run.states["start"] == "skipped"


def test_a_request_that_was_edited_after_its_plan_is_not_carried_out(lake, fake_spark, run_dag, monkeypatch):
    request = lake / "request.yaml"
    request.write_text("speakers: [a]\n")
    # Whoever approves looks at the plan; meanwhile the file changes.
    monkeypatch.setenv("FAKE_SPARK_APPENDS", str(request))
    run = run_dag("speechlake_erase", {"request": str(request)}, mark="approve")
    assert (run.state, failed(run)) == ("failed", {"unchanged"})
    assert run.states["erase"] == "upstream_failed"
    assert all("--plan" in said["arguments"] for said in run.commands)


def test_a_variable_that_is_not_set_fails_at_once(lake, fake_spark, run_dag, monkeypatch):
    monkeypatch.delenv("AIRFLOW_VAR_SPEECHLAKE_LAKE")
    run = run_dag("speechlake_maintenance")
    assert (run.state, run.commands) == ("failed", [])


def unpause(dag_id):
    """As a person does before the first run."""
    from airflow import settings
    from airflow.models.dag import DagModel

    session = settings.Session()
    session.query(DagModel).filter_by(dag_id=dag_id).update({"is_paused": False})
    session.commit()


def runs_of(dag_id, run_id):
    from airflow import settings
    from airflow.models.dagrun import DagRun

    return settings.Session().query(DagRun).filter_by(dag_id=dag_id, run_id=run_id).all()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No alert leaves the tests unless one of them says where to."""
    monkeypatch.delenv("SPEECHLAKE_ALERT", raising=False)
