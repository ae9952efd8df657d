"""A driver does not outlive its task."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Like the real one: a shell that becomes another program, which starts more. The second one hears no SIGTERM.
SUBMIT = """\
#!/bin/bash
echo $$ >"$1/driver"
(trap '' TERM; echo $BASHPID >"$1/worker"; exec 0</dev/null; while :; do sleep 0.05; done) &
[ -z "$2" ] || exit "$2"
exec sleep 300
"""


@pytest.fixture
def submit(tmp_path):
    """A spark-submit that lasts, and the command of a task that runs it through the wrapper."""
    from speechlake_airflow.installation import BOUND_SUBMIT

    binary = tmp_path / "spark" / "bin" / "spark-submit"
    binary.parent.mkdir(parents=True)
    binary.write_text(SUBMIT)
    binary.chmod(0o755)
    yield [str(BOUND_SUBMIT), str(tmp_path)], os.environ | {"SPARK_HOME": str(tmp_path / "spark")}
    for name in ("driver", "worker"):
        try:
            os.kill(int((tmp_path / name).read_text()), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            continue


def pid(file: Path) -> int:
    """A process id that is written there sooner or later."""
    for _ in range(400):
        if file.exists() and file.read_text().strip():
            return int(file.read_text())
        time.sleep(0.05)
    raise AssertionError(f"{file} was never written")


def gone(process: int, within_s: float) -> bool:
    """Whether a process ends in time; a zombie has ended."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def task(submit, tmp_path):
    """A process that waits for spark-submit, as Airflow's task does."""
    command, environment = submit
    code = f"import subprocess; subprocess.run({command!r})"
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    yield process
    process.kill()
    process.wait()


def test_kill_9_of_the_task_ends_the_driver_and_all_that_it_started(task, tmp_path):
    driver, worker = pid(tmp_path / "driver"), pid(tmp_path / "worker")
    task.send_signal(signal.SIGKILL)
    assert gone(driver, 20)
    # It hears no SIGTERM; it is killed once the driver is gone.
    assert gone(worker, 20)


def test_kill_9_of_the_wrapper_itself_ends_the_driver(task, tmp_path):
    driver = pid(tmp_path / "driver")
    parent = int(Path(f"/proc/{driver}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    assert gone(driver, 20)


@pytest.mark.parametrize("code", [0, 3, 5])
def test_the_code_of_spark_submit_is_passed_on(submit, tmp_path, code):
    command, environment = submit
    assert subprocess.run([*command, str(code)], env=environment).returncode == code


def test_a_driver_that_a_signal_ended_is_told_as_a_shell_tells_it(submit, tmp_path):
    command, environment = submit
    process = subprocess.Popen(command, env=environment)
    os.kill(pid(tmp_path / "driver"), signal.SIGKILL)
    assert process.wait(20) == 128 + signal.SIGKILL


def test_a_task_that_ends_before_the_wrapper_is_up_leaves_no_driver(submit, tmp_path):
    command, environment = submit
    code = f"import os, subprocess; subprocess.Popen({command!r}); os._exit(0)"
    # Returns once nobody holds the pipe any more.
    subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        start_new_session=True,
        timeout=20,
    )
    assert not (tmp_path / "driver").exists()
