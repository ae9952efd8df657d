"""What every DAG keeps to, whatever it does."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from typing import Any

import pytest
from conftest import DAGS, PYTHON

IDS = {
    "speechlake_corpus",
    "speechlake_erase",
    "speechlake_maintenance",
    "speechlake_reconcile",
    "speechlake_splits",
}
# Their end is decided by what they read: a retry reads the same. Reading itself may fail.
RETRIES = {"corpora": 1, "outcome": 0, "approve": 0}
HEAVY = {"speechlake", "pyspark", "pandas", "pyarrow", "torch", "faster_whisper", "ctranslate2"}


def test_these_are_the_dags(dags):
    assert set(dags) == IDS


def test_every_dag_is_in_a_file_of_its_name(dags):
    assert {dag_id: dag.fileloc for dag_id, dag in dags.items()} == {
        dag_id: str(DAGS / f"{dag_id}.py") for dag_id in IDS
    }


@pytest.mark.parametrize("dag_id", sorted(IDS))
def test_every_dag_has_a_tag_a_runbook_and_a_line_that_describes_it(dags, dag_id):
    dag = dags[dag_id]
    assert "speechlake" in dag.tags
    assert "**When it fails**" in dag.doc_md or "**When `verify` fails**" in dag.doc_md
    assert "**Needs**" in dag.doc_md
    assert dag.doc_md.startswith(dag.description)


@pytest.mark.parametrize("dag_id", sorted(IDS))
def test_a_missed_night_is_not_made_up_for_and_runs_do_not_meet(dags, dag_id):
    assert not dags[dag_id].catchup
    assert dags[dag_id].max_active_runs == 1 or dag_id == "speechlake_erase"


def test_requests_are_planned_and_answered_side_by_side_and_erased_one_by_one(dags):
    dag = dags["speechlake_erase"]
    assert dag.max_active_runs > 1
    assert {
        task.task_id: task.max_active_tis_per_dag for task in dag.tasks if task.max_active_tis_per_dag
    } == {"erase": 1}


@pytest.mark.parametrize("dag_id", sorted(IDS))
def test_what_a_retry_can_help_is_tried_four_times_and_a_failure_is_told(dags, dag_id):
    from speechlake_airflow.alerts import task_failed

    for task in dags[dag_id].tasks:
        assert task.retries == RETRIES.get(task.task_id, 3), task.task_id
        assert list(task.on_failure_callback) == [task_failed], task.task_id


@pytest.mark.parametrize("dag_id", sorted(IDS))
def test_a_late_run_is_told_by_a_function_that_every_component_can_import(dags, dag_id):
    (deadline,) = dags[dag_id].deadline
    assert deadline.callback.path == "speechlake_airflow.alerts.run_late"


def jobs(dags: dict[str, Any]) -> list[Any]:
    """Every task that submits."""
    from speechlake_airflow.submit import SpeechlakeJob

    return [task for dag in dags.values() for task in dag.tasks if isinstance(task, SpeechlakeJob)]


def test_drivers_and_devices_are_taken_from_the_pools_that_are_set_up(dags):
    pools = json.loads((DAGS / "pools.json").read_text())
    assert {task.pool for task in jobs(dags)} == set(pools)


def test_only_whisper_takes_a_device(dags):
    takes = {(task.job, task.task_id) for task in jobs(dags) if task.pool == "gpu"}
    assert takes == {("extract-signals", "corpus.extract_gpu")}


def test_the_dags_name_exactly_the_extractors_that_the_library_runs_by_default(dags):
    code = "import json; from speechlake.signals import DEFAULT_EXTRACTORS as D; print(json.dumps(sorted(D)))"
    done = subprocess.run([PYTHON, "-c", code], check=True, capture_output=True, text=True)
    named = {
        flag.removeprefix("--extractor=")
        for task in jobs(dags)
        for argument in task.application_args
        if isinstance(argument, list)
        for flag in argument
    }
    assert sorted(named) == json.loads(done.stdout)


def test_reading_the_dags_loads_nothing_heavy():
    code = (
        "import sys; from airflow.dag_processing.dagbag import BundleDagBag as Bag;"
        f"bag = Bag({str(DAGS)!r}, bundle_path={str(DAGS)!r}, bundle_name='dags-folder');"
        "print(bag.import_errors or sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(json.loads(done.stdout.strip().splitlines()[-1].replace("'", '"')))
    assert "speechlake_airflow" in loaded
    assert loaded & HEAVY == set()


def test_a_dag_reads_the_same_at_every_parse(dags):
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.serialization.serialized_objects import DagSerialization

    again = BundleDagBag(DAGS, bundle_path=DAGS, bundle_name="dags-folder").dags
    for dag_id, dag in dags.items():
        # Else Airflow would store a new version of it every minute.
        assert DagSerialization.to_dict(dag) == DagSerialization.to_dict(again[dag_id])


@pytest.mark.parametrize(
    ("dag_id", "said"),
    [
        ("speechlake_corpus", {"corpora": ["Not A Name"]}),
        ("speechlake_corpus", {"corpora": "calls"}),
        ("speechlake_corpus", {"corpora": ["a", "a"]}),
        ("speechlake_corpus", {"device": "tpu"}),
        ("speechlake_corpus", {"build": "perhaps"}),
        ("speechlake_splits", {"release": "a name"}),
        ("speechlake_splits", {"release": "../elsewhere"}),
        ("speechlake_erase", {"request": "relative.yaml"}),
        ("speechlake_erase", {}),
    ],
)
def test_wrong_parameters_are_refused_before_anything_runs(dags, dag_id, said):
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        validate(dags[dag_id], said)


def validate(dag: Any, said: dict[str, Any]) -> None:
    """As a trigger with these parameters does."""
    params = copy.copy(dag.params)
    for name, value in said.items():
        params[name] = value
    params.validate()
