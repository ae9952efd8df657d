"""An Airflow of its own in a folder that is thrown away, and runs of DAGs against a recorded or a real Spark."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
DAGS = PROJECT / "airflow_dags"
FAKE_SPARK = Path(__file__).with_name("fake_spark")
PYTHON = PROJECT / ".venv" / "bin" / "python"
# Airflow reads its settings when it is imported, which the tests do.
SCRATCH = Path(tempfile.mkdtemp(prefix="speechlake-airflow-"))
os.environ |= {
    "AIRFLOW_HOME": str(SCRATCH),
    "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{SCRATCH}/airflow.db",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    "AIRFLOW_CONN_SPEECHLAKE_SPARK": json.dumps({"conn_type": "spark", "host": "local[2,4]"}),
    "AIRFLOW_VAR_SPEECHLAKE_POLICY": str(PROJECT / "lib" / "speechlake" / "policies" / "small-corpus.yaml"),
    "SPEECHLAKE_HOME": str(PROJECT),
}
for name in ("SPEECHLAKE_ALERT", "SPEECHLAKE_SPARK_HOME", "SPEECHLAKE_PYTHON"):
    os.environ.pop(name, None)
sys.path.append(str(DAGS))

CORPORA = """\
corpora:
  - name: calls
    sources: [calls/2026-10.jsonl, "s3://there/2026-11.jsonl"]
    roots: {audio: calls/audio}
    licence: CC-BY-4.0
    language: "no"
    max_reject: 0.1
  - name: meetings
    sources: [meetings]
    single_speaker: true
    segment: {min_s: 1}
"""


@dataclass
class Run:
    """What became of a run: `states` by task, and by `task[map index]`; `commands` as spark-submit got them."""

    state: str
    states: dict[str, str]
    commands: list[dict[str, Any]]
    results: dict[str, Any] = field(default_factory=dict)
    run_id: str = ""

    def command(self, job: str, *has: str) -> list[str]:
        """The arguments of the one command for `job` with all of `has` among them."""
        (found,) = [
            said["arguments"]
            for said in self.commands
            if any(argument.endswith(f"/{job.replace('-', '_')}.py") for argument in said["arguments"])
            and set(has) <= set(said["arguments"])
        ]
        return list(found)


@pytest.fixture(scope="session")
def airflow_db() -> Path:
    """Airflow's database, made once."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
    return SCRATCH


@pytest.fixture(scope="session")
def dags() -> dict[str, Any]:
    """All DAGs by id, as the DAG processor reads them."""
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(DAGS, bundle_path=DAGS, bundle_name="dags-folder")
    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Variables, with files of their own; the lake is not made."""
    (tmp_path / "corpora.yaml").write_text(CORPORA)
    monkeypatch.setenv("AIRFLOW_VAR_SPEECHLAKE_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("AIRFLOW_VAR_SPEECHLAKE_CORPORA", str(tmp_path / "corpora.yaml"))
    return tmp_path


@pytest.fixture
def fake_spark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace Spark; call it with how jobs shall end, as fake_spark/bin/spark-submit says."""
    monkeypatch.setenv("SPEECHLAKE_SPARK_HOME", str(FAKE_SPARK))
    monkeypatch.setenv("FAKE_SPARK_LOG", str(tmp_path / "commands.jsonl"))

    def ends(*said: dict[str, Any]) -> None:
        monkeypatch.setenv("FAKE_SPARK_ENDS", json.dumps(said))

    ends()
    return ends


@pytest.fixture(scope="session")
def run_dag(airflow_db: Path) -> Callable[..., Run]:
    """`run_dag(id, conf)`: a run from start to end in this process, without waiting for retries.

    `mark` names a task that is taken for done.
    """
    from airflow.dag_processing.dagbag import BundleDagBag

    def run(dag_id: str, conf: dict[str, Any] | None = None, *, mark: str | None = None) -> Run:
        # Read anew: where speechlake lies is read when DAGs are parsed.
        dag = BundleDagBag(DAGS, bundle_path=DAGS, bundle_name="dags-folder").dags[dag_id]
        for task in dag.tasks:
            task.retry_delay, task.retry_exponential_backoff = task.retry_delay * 0, False
        # dag.test() looks for alerts in the database, where only a DAG processor puts them.
        dag.deadline = None
        found = dag.test(run_conf=conf, mark_success_pattern=mark)
        log = Path(os.environ.get("FAKE_SPARK_LOG", "none"))
        commands = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return Run(str(found.state), *_tasks(found, commands))

    return run


def _tasks(found: Any, commands: list[dict[str, Any]]) -> tuple[Any, ...]:
    from airflow import settings
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    session = settings.Session()

    def name(row: Any) -> str:
        return row.task_id if row.map_index < 0 else f"{row.task_id}[{row.map_index}]"

    where = {"dag_id": found.dag_id, "run_id": found.run_id}
    tasks = session.scalars(select(TaskInstance).filter_by(**where))
    states = {name(task): str(task.state) for task in tasks}
    xcoms = session.scalars(select(XComModel).filter_by(**where)).all()
    results = {f"{name(xcom)}.{xcom.key}": XComModel.deserialize_value(xcom) for xcom in xcoms}
    return states, commands, results, found.run_id
