"""Airflow itself, as docs/operations.md sets it up: API server, scheduler and DAG processor, over SQLite."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from conftest import DAGS

COMPONENTS = ("api-server", "scheduler", "dag-processor")
CONNECTION = ("speechlake_spark", "--conn-type", "spark", "--conn-host", "local[*,4]")


class Airflow:
    """Started with `start`; speaks REST; `stop` ends all of its processes."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        port = _free_port()
        self.home, self.url = home, f"http://127.0.0.1:{port}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        self.environment = {
            **clean,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            # Whoever reaches 127.0.0.1 here is the test.
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__PARALLELISM": "2",
            # Unpausing a DAG would start the run of last night before the one that is asked for.
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
            **environment,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._token = ""

    def start(self, variables: Mapping[str, str]) -> None:
        """Set up the database and what the DAGs need, start the components, and wait until DAGs are known."""
        self.home.mkdir(parents=True)
        self.command("db", "migrate")
        self.command("pools", "import", str(DAGS / "pools.json"))
        self.command("connections", "add", *CONNECTION)
        for name, value in variables.items():
            self.command("variables", "set", name, value)
        for name in COMPONENTS:
            log = (self.home / f"{name}.log").open("wb")
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "airflow", name],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until(lambda: self._ready(), 180, "the API server answers")
        until(lambda: len(self.get("/api/v2/dags")["dags"]) == 5, 180, "all DAGs are read")

    def command(self, *arguments: str) -> str:
        """The command line of Airflow."""
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def stop(self) -> None:
        """End the components and whatever they started."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def get(self, path: str) -> Any:
        """What a page of the API says."""
        return self._ask("GET", path, None)

    def patch(self, path: str, said: Mapping[str, Any]) -> Any:
        """Change something."""
        return self._ask("PATCH", path, said)

    def trigger(self, dag_id: str, conf: Mapping[str, Any]) -> str:
        """Unpause a DAG and start a run of it; the run's id."""
        self.patch(f"/api/v2/dags/{dag_id}", {"is_paused": False})
        said = {"logical_date": None, "conf": dict(conf)}
        return str(self._ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", said)["dag_run_id"])

    def states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """The state of each task, mapped ones as `task[map index]`."""
        found = self.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=100")["task_instances"]
        return {
            task["task_id"] + (f"[{task['map_index']}]" if task["map_index"] >= 0 else ""): task["state"]
            for task in found
        }

    def ended(self, dag_id: str, run_id: str, within_s: float) -> str:
        """The state in which a run ends."""
        page = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"
        until(lambda: self.get(page)["state"] in ("success", "failed"), within_s, f"{dag_id} ends")
        return str(self.get(page)["state"])

    def _ready(self) -> bool:
        try:
            self._token = self._ask("GET", "/auth/token", None)["access_token"]
        except OSError:
            return False
        return True

    def _ask(self, method: str, path: str, said: Mapping[str, Any] | None) -> Any:
        request = urllib.request.Request(self.url + path, method=method)
        request.add_header("Authorization", f"Bearer {self._token}")
        request.add_header("Content-Type", "application/json")
        body = None if said is None else json.dumps(said).encode()
        try:
            with urllib.request.urlopen(request, body, timeout=60) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise OSError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from None


def until(true: Callable[[], bool], within_s: float, what: str) -> None:
    """Wait until something is true; AssertionError where it takes too long."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if true():
            return
        time.sleep(1)
    raise AssertionError(f"waited {within_s} s, and not: {what}")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
