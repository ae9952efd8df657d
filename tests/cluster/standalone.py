"""A standalone cluster on this machine's loopback addresses: a master, two workers, and what is submitted to it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyspark

ROOT = Path(__file__).resolve().parent.parent.parent
SPARK_HOME = Path(pyspark.__file__).parent
HERE = Path(__file__).resolve().parent
START_S = 120.0
# For runs of minutes on two shared cores: compiling less, small heaps, few tasks for tiny tables.
SMALL = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC"
SETTINGS = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.driver.memory": "1g",
    "spark.driver.extraJavaOptions": SMALL,
    "spark.executor.memory": "1g",
    "spark.executor.cores": "1",
    "spark.executor.extraJavaOptions": SMALL,
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.eventLog.rolling.enabled": "false",
    "spark.eventLog.compress": "false",
}
# Tasks get a device each, whatever they do: for runs that ask for one, and for runs that say `--device cpu`.
GPU = {"spark.executor.resource.gpu.amount": "1", "spark.task.resource.gpu.amount": "1"}


@dataclass
class Cluster:
    """The running daemons, and where they write."""

    folder: Path
    zip: Path
    url: str = ""
    master: subprocess.Popen[bytes] | None = None
    workers: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self) -> None:
        """Master and workers 0 and 1, each worker with the fake device of its number."""
        self.master = self._daemon("master", "master", "127.0.0.1", "0")
        self.url = self._said("master", re.compile(r"Starting Spark master at (spark://\S+)"))
        for number in (0, 1):
            self.start_worker(number)

    def start_worker(self, number: int) -> None:
        """Start a worker that is not running, on a loopback address of its own."""
        name, work = f"worker{number}", self.folder / f"work{number}"
        options = ("--cores", "1", "--memory", "1g", "--work-dir", str(work))
        host = f"127.0.0.{number + 2}"
        gpus = {"GPU_DISCOVERY": str(HERE / "fake_gpus.sh"), "FAKE_GPUS": str(number)}
        self.workers[number] = self._daemon(name, "worker", self.url, host, *options, **gpus)
        self._said(name, re.compile(r"Successfully registered with master (\S+)"))

    def kill_worker(self, number: int) -> list[int]:
        """End a worker and its executors with SIGKILL, as a power cut does; the executors' process ids."""
        worker = self.workers.pop(number)
        executors = [
            pid for pid in _descendants(worker.pid) if b"CoarseGrainedExecutorBackend" in _command(pid)
        ]
        for pid in (worker.pid, *executors):
            os.kill(pid, signal.SIGKILL)
        worker.wait()
        return executors

    def stop(self) -> None:
        """End all daemons; executors end with their worker."""
        for daemon in (*self.workers.values(), *([self.master] if self.master else ())):
            daemon.terminate()
            daemon.wait(timeout=30)

    def submitted(
        self, script: Path, *arguments: str, **settings: Mapping[str, str]
    ) -> subprocess.Popen[str]:
        """spark-submit of a script with the shipped settings for decoding; `settings`: conf, env."""
        events = self.folder / "events"
        events.mkdir(exist_ok=True)
        conf = {**SETTINGS, "spark.eventLog.dir": events.as_uri(), **settings.get("conf", {})}
        files = [str(self.zip), *([str(script)] if script.parent == HERE else [])]
        command = [str(SPARK_HOME / "bin" / "spark-submit"), "--master", self.url]
        command += ["--properties-file", str(ROOT / "scripts" / "cluster" / "decode.conf")]
        command += ["--py-files", ",".join(files)]
        for name, value in conf.items():
            command += ["--conf", f"{name}={value}"]
        environment = {name: value for name, value in os.environ.items() if name != "SPARK_SUBMIT_OPTS"}
        environment |= {
            "SPARK_HOME": str(SPARK_HOME),
            "PYSPARK_PYTHON": sys.executable,
            **settings.get("env", {}),
        }
        out = subprocess.PIPE
        return subprocess.Popen(
            [*command, str(script), *arguments],
            env=environment,
            cwd=self.folder,
            text=True,
            stdout=out,
            stderr=out,
        )

    def run(
        self, script: Path, *arguments: str, **settings: Mapping[str, str]
    ) -> tuple[dict[str, object], str]:
        """Submit and wait; the job's last line of stdout as an object (empty where it prints none), and its stderr."""
        return ended(self.submitted(script, *arguments, **settings))

    def events(self) -> Iterator[dict[str, object]]:
        """What the newest application's event log holds."""
        newest = max((self.folder / "events").iterdir(), key=lambda file: file.stat().st_mtime)
        for line in newest.read_text("utf-8").splitlines():
            yield json.loads(line)

    def _daemon(self, name: str, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        environment = {key: value for key, value in os.environ.items() if key != "SPARK_SUBMIT_OPTS"}
        environment |= {
            "PYTHON": sys.executable,
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_DAEMON_JAVA_OPTS": SMALL,
        }
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [str(ROOT / "scripts" / "cluster" / "standalone.sh"), *arguments],
                env=environment | more,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )

    def _said(self, name: str, words: re.Pattern[str]) -> str:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            log = (self.folder / f"{name}.log").read_text("utf-8", "replace")
            found = words.search(log)
            if found:
                return found[1]
            time.sleep(0.2)
        raise AssertionError(f"{name} did not come up: {log[-3000:]}")


def ended(process: subprocess.Popen[str]) -> tuple[dict[str, object], str]:
    """Wait for a submission; its last line as an object (empty where it is none), and its stderr; it must end with 0."""
    out, said = process.communicate(timeout=1200)
    assert process.returncode == 0, f"{out[-2000:]}\n{said[-5000:]}"
    last = (out.strip().splitlines() or [""])[-1]
    return (json.loads(last) if last.startswith('{"job"') else {}), said


def _descendants(pid: int) -> list[int]:
    found = []
    for child in Path(f"/proc/{pid}/task").glob("*/children"):
        for number in map(int, _told(child).split()):
            found += [number, *_descendants(number)]
    return found


def _command(pid: int) -> bytes:
    return _told(Path(f"/proc/{pid}/cmdline"))


def _told(file: Path) -> bytes:
    """What a file of a process says; nothing where the process ends meanwhile, as decode children do all the time."""
    try:
        return file.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
