"""What all DAGs of speechlake have in common: their settings, what they read, what they announce."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import Asset, Param
from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from speechlake_airflow.alerts import run_late, task_failed

# Airflow Variables, read when a task starts: another lake or file takes no deployment.
LAKE = "{{ var.value.speechlake_lake }}"
CORPORA = "{{ var.value.speechlake_corpora }}"
POLICY = "{{ params.policy or var.value.speechlake_policy }}"
# A release never changes, and so each run gives its own a name; a retry of the run finds it done.
RELEASE = "{{ params.release or dag_run.run_after.strftime('%Y-%m-%dT%H%M%S') }}"
# Another run of the same job and corpus may be about to end: a wait is cheaper than a retry.
WAIT = ("--wait", "600")

# Events for whoever likes to start by them. They are a convenience: an event is lost while its consumer is paused,
# so that what has to happen is decided by looking into the tables, daily (speechlake_reconcile).
MEASURED = Asset("speechlake_measured")
RELEASED = Asset("speechlake_released")
ERASED = Asset("speechlake_erased")

NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
RELEASE_NAME = r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$"


def common(doc: str | None, *, late_after: timedelta, **more: Any) -> dict[str, Any]:
    """Arguments of a DAG whose runbook is `doc`; an alert tells of a run that lasts longer than `late_after`."""
    return {
        "doc_md": doc,
        "description": (doc or "").strip().splitlines()[0],
        "start_date": pendulum.datetime(2026, 1, 1, tz="UTC"),
        # A missed night is made up for by the next: every run does what is not done.
        "catchup": False,
        # A second run would wait for the first one's locks, holding a driver.
        "max_active_runs": 1,
        "tags": {"speechlake"},
        "deadline": DeadlineAlert(
            reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=late_after, callback=SyncCallback(run_late)
        ),
        "default_args": {
            "retries": 3,
            "retry_delay": timedelta(minutes=5),
            "retry_exponential_backoff": True,
            "max_retry_delay": timedelta(hours=1),
            "on_failure_callback": task_failed,
        },
        **more,
    }


def policy_params() -> dict[str, Param]:
    """What may be said of a release when a run is triggered."""
    return {
        "policy": Param(
            None,
            type=["null", "string"],
            description="Path of a policy; none means the Variable speechlake_policy.",
        ),
        "release": Param(
            "",
            type="string",
            pattern=RELEASE_NAME,
            description="Name of the release, used once; empty means the run's date and time.",
        ),
    }
