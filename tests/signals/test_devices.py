"""Where models run: asked for, found, held by one task at a time, and how chunks are spread over it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from speechlake.errors import UsageError
from speechlake.signals import Audio, devices
from speechlake.signals.devices import SCHEDULED, device_named, held_device, visible_index
from speechlake.signals.plan import Wanted, wanted_of
from speechlake.signals.spread import spread_of
from speechlake.signals.whisper import Whisper


def session(master: str, cores: int = 2, **conf: str) -> Any:
    """What is asked of a Spark session."""
    said = {name.replace("_", "."): value for name, value in conf.items()}
    settings = SimpleNamespace(contains=said.__contains__, get=said.get)
    context = SimpleNamespace(master=master, defaultParallelism=cores, getConf=lambda: settings)
    return SimpleNamespace(sparkContext=context)


GPUS = {SCHEDULED: "1"}


@pytest.mark.parametrize(
    ("asked", "master", "conf", "found", "device"),
    [
        ("cpu", "local[2]", {}, 1, "cpu"),
        ("auto", "local[2]", {}, 0, "cpu"),
        ("auto", "local[2]", {}, 1, "cuda"),
        ("cuda", "local[2]", {}, 2, "cuda"),
        ("auto", "local", {}, 1, "cuda"),
        ("auto", "local-cluster[2,1,1024]", {}, 1, "cpu"),  # its executors are handed devices, or have none
        ("auto", "spark://host:7077", {}, 1, "cpu"),  # the driver's own device is of no use
        ("auto", "spark://host:7077", GPUS, 0, "cuda"),
        ("cuda", "yarn", GPUS, 0, "cuda"),
    ],
)
def test_devices_count_where_they_are_used(
    monkeypatch: pytest.MonkeyPatch, asked: str, master: str, conf: dict[str, str], found: int, device: str
) -> None:
    monkeypatch.setattr(devices, "device_count", lambda: found)
    monkeypatch.setattr(devices, "lacking_for_cuda", lambda: None)
    assert device_named(asked, session(master, **conf)) == device


@pytest.mark.parametrize("master", ["local[2]", "spark://host:7077"])
def test_a_missing_device_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, master: str
) -> None:
    monkeypatch.setattr(devices, "device_count", lambda: 0)
    with pytest.raises(UsageError, match="--device cpu"):
        device_named("cuda", session(master))


@pytest.mark.parametrize(
    ("torch", "cublas", "missing"),
    [(None, True, "torch"), ("there", False, "libcublas.so.12")],
)
def test_a_device_that_cannot_be_used_is_named_with_what_is_missing_and_auto_takes_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    torch: str | None,
    cublas: bool,
    missing: str,
) -> None:
    def load(name: str) -> None:
        if not cublas:
            raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(devices, "device_count", lambda: 1)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: torch)
    monkeypatch.setattr("ctypes.CDLL", load)
    assert device_named("auto", session("local[2]")) == "cpu"
    assert missing in capsys.readouterr().err
    with pytest.raises(UsageError, match=missing):
        device_named("cuda", session("local[2]"))


@pytest.fixture
def locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_each_device_is_held_by_one_and_the_next_waits_until_it_is_let_go(locks: None) -> None:
    order: list[str] = []

    def second() -> None:
        with held_device(2, poll_s=0.01) as index:
            order.append(f"second on {index}")

    with held_device(2) as first, held_device(2) as other:
        assert (first, other) == (0, 1)
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.1)
        order.append("held")
    waiting.join(5)
    assert order[0] == "held"
    assert order[1] in ("second on 0", "second on 1")
    assert visible_index() == 0


def test_a_device_is_free_again_when_its_holder_is_killed(locks: None, tmp_path: Any) -> None:
    code = (
        "import sys, tempfile, time; tempfile.gettempdir = lambda: sys.argv[1]\n"
        "from speechlake.signals.devices import held_device\n"
        "with held_device(1):\n    print('held', flush=True)\n    time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
    with held_device(1, poll_s=0.01) as index:
        assert index == 0


def test_to_wait_for_a_device_of_another_job_is_said_once(
    locks: None, capsys: pytest.CaptureFixture[str]
) -> None:
    def second() -> None:
        with held_device(1, poll_s=0.01):
            pass

    with held_device(1):
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.1)
    waiting.join(5)
    assert capsys.readouterr().err.count("Waiting") == 1


def test_where_there_is_no_device_nobody_waits_for_one() -> None:
    with pytest.raises(UsageError, match="sees no CUDA device"), held_device(0):
        pass


def test_a_slice_of_a_device_is_held_by_its_name(
    locks: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-GPU-8a7b/1/0,GPU-9c")
    with held_device(2) as index, held_device(2) as other:
        assert (index, other) == (0, 1)
        assert len(list(tmp_path.iterdir())) == 2


def on_cuda() -> list[Wanted]:
    whisper = Whisper(model="whisper-tiny.en", device="cuda")
    return [Wanted(whisper, whisper.identity())]


@pytest.mark.parametrize(
    ("spark", "wanted", "found", "tasks", "readers"),
    [
        (session("local[2]"), wanted_of([Audio()]), 0, 12, 1),
        (session("local[16]", 16), on_cuda(), 1, 1, 8),
        (session("local[16]", 16), on_cuda(), 4, 4, 3),
        (session("spark://h:1", 32, spark_task_cpus="8"), on_cuda(), 0, 8, 7),
        (session("local-cluster[2,8,1024]", 16, spark_task_cpus="8"), on_cuda(), 4, 4, 7),
    ],
)
def test_a_chunk_is_spread_over_cores_or_over_devices(
    monkeypatch: pytest.MonkeyPatch, spark: Any, wanted: list[Wanted], found: int, tasks: int, readers: int
) -> None:
    monkeypatch.setattr(devices, "device_count", lambda: found)
    spread = spread_of(spark, wanted)
    assert (spread.tasks, spread.readers) == (tasks, readers)
