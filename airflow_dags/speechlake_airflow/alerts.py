"""Who is told when a task fails for good or a run is late.

Every alert is one JSON object: in the log always, and on the stdin of the command in SPEECHLAKE_ALERT where there
is one, such as `mail -s speechlake data@example.org`.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)
COMMAND = "SPEECHLAKE_ALERT"


def task_failed(context: Context) -> None:
    """A task has failed, and no retry is left or would help."""
    ti = context["ti"]
    mapped = getattr(ti, "map_index", -1)
    tell(
        {
            "alert": "task failed",
            "dag": ti.dag_id,
            "task": ti.task_id if mapped < 0 else f"{ti.task_id}[{mapped}]",
            "run": ti.run_id,
            "try": ti.try_number,
            "said": str(context.get("exception") or ""),
        }
    )


def run_late(context: dict[str, Any]) -> None:
    """A run is not at its end when it should be; it goes on."""
    run = context["dag_run"]
    tell(
        {
            "alert": "run late",
            "dag": run["dag_id"],
            "run": run["dag_run_id"],
            "deadline": str(context["deadline"]["deadline_time"]),
        }
    )


def tell(message: dict[str, Any]) -> None:
    """Log an alert and hand it to the command; never an error, which would hide what it tells of."""
    line = json.dumps(message, ensure_ascii=False)
    log.error("%s", line)
    command = os.environ.get(COMMAND)
    if not command:
        return
    try:
        subprocess.run(shlex.split(command), input=line + "\n", text=True, timeout=60, check=True)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        log.error("the alert could not be handed to %s: %s", COMMAND, error)
