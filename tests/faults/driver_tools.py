"""Drivers as processes: started, found in parts, ended, and the tables of a run that nobody disturbed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from process_tools import of_session

from speechlake.locks import held_locks

DRIVER = Path(__file__).with_name("fault_driver.py")
# What a driver consists of, by a word of the command lines of its processes.
PARTS: Mapping[str, str] = {
    "python": "fault_driver.py",
    "java": "org.apache.spark.deploy.SparkSubmit",
    "worker": "pyspark.daemon",
    "child": "speechlake.audio.child",
}
LIMIT_S = 900
Process = subprocess.Popen[bytes]


def command(root: Path, corpora: Mapping[str, Path], *more: str) -> list[str]:
    """The command line of a driver."""
    said = ",".join(f"{name}={folder}" for name, folder in corpora.items())
    return [sys.executable, str(DRIVER), "--lake", str(root), "--corpora", said, *more]


def environment(**more: str) -> dict[str, str]:
    """Of a driver: a small heap, because several run beside the session of the tests, and our modules."""
    said = os.environ.get("SPEECHLAKE_SPARK_CONF", "")
    # Test modules of this folder and the one above, as pytest has them on its path.
    folders = [str(DRIVER.parent), str(DRIVER.parent.parent), os.environ.get("PYTHONPATH", "")]
    small = {"SPEECHLAKE_SPARK_CONF": f"{said};spark.driver.memory=1g".lstrip(";")}
    return os.environ | small | {"PYTHONPATH": os.pathsep.join(filter(None, folders))} | more


def started(root: Path, corpora: Mapping[str, Path], *more: str, log: Path, **variables: str) -> Process:
    """A driver in a process group of its own; what it says goes to `log`."""
    with log.open("ab") as out:
        return subprocess.Popen(
            command(root, corpora, *more),
            env=environment(**variables),
            start_new_session=True,
            stdout=out,
            stderr=out,
        )


def finished(root: Path, corpora: Mapping[str, Path], *more: str, log: Path, **variables: str) -> int:
    """The exit code of a driver that nobody disturbs."""
    process = started(root, corpora, *more, log=log, **variables)
    try:
        return process.wait(timeout=LIMIT_S)
    finally:
        end(process, root)


def end(process: Process, root: Path) -> None:
    """Kill whatever is left of a driver on the lake `root`, and wait until its locks are free."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    kill(processes(process, PARTS["worker"]))
    process.wait()
    deadline = time.monotonic() + 30
    # Java gives its memory back before its locks, so that there is no other sign.
    while held_locks(str(root)) and time.monotonic() < deadline:
        time.sleep(0.05)


def processes(process: Process, words: str) -> list[int]:
    """Ids of the processes of a driver's session whose command line holds `words`, sorted."""
    return of_session(process.pid, words)


def kill(pids: Sequence[int]) -> int:
    """SIGKILL; how many were still there."""
    killed = 0
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
            killed += 1
        except ProcessLookupError:
            continue
    return killed
