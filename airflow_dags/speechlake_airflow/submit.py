"""The factory of every Spark submission, and what its end means to Airflow.

`submit("find-duplicates", "--lake", LAKE)` is a task that runs the job as an operator would by hand. Its XCom is
the job's result, the JSON object on the last line of its stdout. Exit codes are those of README.md:

* 0: done, or nothing to do;
* 2, 3: arguments or configuration, a gate refused: the task fails at once, since a retry would end alike;
* 4, 5, a signal, anything else: the task is retried.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowRuntimeError,
    AirflowSkipException,
    ErrorType,
)

from speechlake_airflow.installation import BOUND_SUBMIT, Installation

if TYPE_CHECKING:
    from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
    from airflow.sdk import Context

CONNECTION = "speechlake_spark"
# Pools, because it is machines that are short: memory for drivers, and devices.
DRIVERS, GPUS = "spark_driver", "gpu"
PERMANENT = {2: "arguments or configuration", 3: "a gate refused"}
RETRIABLE = {4: "another run is in the way", 5: "an error or an interrupt"}

# `TooManyRejected: …`, as lib/speechlake/errors.py spells errors, or argparse's own.
ERROR = re.compile(r"[A-Z][A-Za-z]+: |speechlake [a-z-]+: error: ")

CONF = {
    # Thousands of redrawn lines in a log that nobody watches live.
    "spark.ui.showConsoleProgress": "false",
    # spark-submit tells its whole start on stderr before the job's own settings are read.
    "spark.log.level": "ERROR",
    # A cluster's default may be true: a second copy of a slow task would hear the same hours of audio again.
    "spark.speculation": "false",
}


class SpeechlakeJob(SparkSubmitOperator):
    """One job of speechlake through spark-submit; made by `submit`."""

    template_fields = (*SparkSubmitOperator.template_fields, "enabled")
    ui_color = "#dbeafe"

    def __init__(self, *, job: str, enabled: Any = True, **more: Any) -> None:
        super().__init__(**more)
        self.job = job
        self.enabled = enabled

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Render, then splice lists into the arguments and drop what rendered to nothing."""
        try:
            super().render_template_fields(context, jinja_env)
        except AirflowRuntimeError as error:
            if error.error.error != ErrorType.VARIABLE_NOT_FOUND:
                raise
            raise AirflowFailException(f"{error}: see docs/operations.md for the Variables") from None
        self.application_args = list(_flat(self.application_args or ()))

    def execute(self, context: Context) -> Any:
        """Submit and wait; the job's result, or an error that says whether a retry can help."""
        if str(self.enabled) == "False":
            raise AirflowSkipException(f"{self.job} is not asked for")
        self._require()
        self._heard: deque[str] = deque(maxlen=200)
        try:
            super().execute(context)
        except AirflowException as error:
            told = self._judged(error)
            context["ti"].xcom_push("refusal", str(told))
            raise told from None
        return result_of(self._heard)

    def _require(self) -> None:
        """AirflowFailException where the machine or Airflow lacks something that no retry brings."""
        lacking = list(Installation.here().missing(self.job))
        try:
            connection = BaseHook.get_connection(self._conn_id)
        except AirflowNotFoundException:
            # Spark's provider would submit to YARN instead, without a word.
            lacking.append(f"there is no connection {self._conn_id!r}: see docs/operations.md")
        else:
            if "k8s" in f"{connection.conn_type} {connection.host}":
                # It reports 0 for every end of a client driver there, and keeps the driver's environment from it.
                lacking.append(f"{self._conn_id} names Kubernetes, where Airflow's provider loses exit codes")
            if connection.extra_dejson.get("deploy-mode") == "cluster":
                lacking.append(f"{self._conn_id} has deploy mode cluster, which loses exit codes: use client")
        if lacking:
            raise AirflowFailException("; ".join(lacking))

    def _get_hook(self) -> SparkSubmitHook:
        hook = super()._get_hook()
        logged = hook._process_spark_submit_log

        def heard(lines: Iterable[str]) -> Iterator[str]:
            for line in lines:
                self._heard.append(line.rstrip("\n"))
                yield line

        hook._process_spark_submit_log = lambda itr: logged(heard(itr))  # type: ignore[method-assign]
        return hook

    def _judged(self, error: AirflowException) -> AirflowException:
        code = exit_code(str(error))
        words = last_words(self._heard)
        if code in PERMANENT:
            return AirflowFailException(f"{self.job} ended with {code}, {PERMANENT[code]}: {words}")
        meaning = RETRIABLE.get(code or 0, "by a signal or Spark's own failure")
        return AirflowException(f"{self.job} ended with {code}, {meaning}; a retry may help: {words}")


def submit(job: str, *arguments: Any, pool: str = DRIVERS, enabled: Any = True, **more: Any) -> SpeechlakeJob:
    """A task that runs `job` with `arguments`; named like the job unless `task_id` is among `more`.

    Arguments are templates. A list among them is spliced in, and what renders to '' is left out. `enabled` is a
    template too: where it renders to False, the task is skipped.
    """
    here = Installation.here()
    properties = "speechlake_gpu_properties" if pool == GPUS else "speechlake_properties"
    return SpeechlakeJob(
        job=job,
        enabled=enabled,
        pool=pool,
        task_id=more.pop("task_id", job.replace("-", "_")),
        application=str(here.job(job)),
        application_args=list(arguments),
        py_files=str(here.library),
        conf=dict(CONF),
        # A cluster's own settings, such as its GPUs, are a file of Spark's: none in local mode, where they hang.
        properties_file=f"{{{{ var.value.get({properties!r}, '') }}}}",
        # Not a setting: by the time that settings are read, the driver's JVM runs.
        driver_memory="4g",
        env_vars=dict(here.environment()),
        spark_binary=str(BOUND_SUBMIT),
        conn_id=CONNECTION,
        # What the cluster's pages show; finds the task of a driver.
        name=f"speechlake {job} {{{{ ti.dag_id }}}} {{{{ run_id }}}}",
        **more,
    )


def exit_code(message: str) -> int | None:
    """The code in the message of Spark's provider."""
    found = re.search(r"Error code is: (-?\d+)", message)
    return int(found[1]) if found else None


def result_of(lines: Iterable[str]) -> dict[str, Any] | None:
    """The job's result among the last lines of its output: one JSON object with `job`."""
    return next((found for found in map(_result, reversed(list(lines))) if found), None)


def last_words(lines: Iterable[str]) -> str:
    """The error that a job told people, with its hint; else the last line that is not the result.

    Stdout is buffered, so that tables may follow what was said on stderr before.
    """
    said = [line.rstrip() for line in lines if line.strip() and _result(line) is None]
    at = next((n for n in reversed(range(len(said))) if ERROR.match(said[n])), len(said) - 1)
    hint = [line.strip() for line in said[at + 1 : at + 2] if line.startswith("  ")]
    return " ".join([*said[at : at + 1], *hint])


def _result(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line) if line.lstrip().startswith("{") else None
    except ValueError:
        return None
    return found if isinstance(found, dict) and "job" in found else None


def _flat(arguments: Iterable[Any]) -> Iterator[str]:
    for argument in arguments:
        if isinstance(argument, list | tuple):
            yield from _flat(argument)
        elif str(argument) != "":
            # The provider joins them into a line of log, and numbers raise there.
            yield str(argument)
