"""Every morning: compare the tables with what should have been measured, and start what is missing.

`status` asks the tables, not Airflow: a night that failed, a run that somebody marked as done, an event that was
lost, a model that was promoted, a failure that may pass. `incomplete` names the corpora of `corpora.yaml` with
anything missing, stale or left to try again, of what every night measures; `start` triggers `speechlake_corpus` for
these. While a manifest that the file leads to stands refused, that run cuts no release: the night did not either,
since a release never changes. With nothing to do, both are skipped. A corpus whose night ended with 2, its source not
being there, say, is complete where its tables are: no table tells of that, the run of the night does.

**When it fails**:

* `status` ended with 2: the lake or `corpora.yaml` is not where the Variables say;
* `start` says that a DAG is paused: unpause `speechlake_corpus`, and *Clear* the task;
* the run that it started failed: *Clear* what failed in that run of `speechlake_corpus`, or trigger a new one. To
  clear `start` does nothing: it finds the run that is there.

A corpus that turns up here every day fails every night: see the runs of `speechlake_corpus` whose id begins with
`reconcile`.

**Needs**: Variables `speechlake_lake`, `speechlake_corpora`; connection `speechlake_spark`; pool `spark_driver`.
Also starts after an erasure, by the asset `speechlake_erased`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, task
from speechlake_airflow.common import CORPORA, ERASED, LAKE, common
from speechlake_airflow.submit import submit


@task.short_circuit
def incomplete(status: dict[str, Any]) -> dict[str, Any]:
    """What to start: corpora with something left to do, and whether a release may follow. Nothing skips what follows."""
    names = list(status["incomplete"])
    return {"corpora": names, "build": not status["refused"]} if names else {}


with DAG(
    "speechlake_reconcile",
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("15 8 * * *", timezone="UTC"), assets=[ERASED]
    ),
    **common(__doc__, late_after=timedelta(hours=2)),
):
    status = submit("status", "--lake", LAKE, "--corpora", CORPORA)
    asked = incomplete(status.output)
    asked >> TriggerDagRunOperator(
        task_id="start",
        trigger_dag_id="speechlake_corpus",
        conf=asked,
        # A retry finds the run that the first try started.
        trigger_run_id="reconcile__{{ run_id }}",
        skip_when_already_exists=True,
        # Else it would wait, unseen, until somebody unpauses the DAG.
        fail_when_dag_is_paused=True,
    )
