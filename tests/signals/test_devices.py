"""Where models run: asked for, found, held by one task at a time, and how chunks are spread over it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
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
    def load(name: str, mode: int = 0) -> None:
        if not cublas:
            raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(devices, "device_count", lambda: 1)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: torch)
    monkeypatch.setattr("ctypes.CDLL", load)
    monkeypatch.setattr(devices, "_loaded", [])
    assert device_named("auto", session("local[2]")) == "cpu"
    assert missing in capsys.readouterr().err
    with pytest.raises(UsageError, match=missing):
        device_named("cuda", session("local[2]"))


@pytest.fixture
def locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(devices, "LOCK_FOLDER", tmp_path)
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
        "import pathlib, sys, time\n"
        "from speechlake.signals import devices\n"
        "from speechlake.signals.devices import held_device\n"
        "devices.LOCK_FOLDER = pathlib.Path(sys.argv[1])\n"
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


def test_held_device_is_one_card_whatever_its_name(locks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers that call one card by its index and by its UUID never hold it at once."""
    card = "8a7b0000-0000-0000-0000-000000000001"
    monkeypatch.setattr(devices, "card_uuid", lambda index: card)
    order: list[str] = []

    def second() -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"GPU-{card}")
        with held_device(1, poll_s=0.01):
            order.append("second")

    with held_device(1):
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.1)
        order.append("first")
    waiting.join(5)
    assert order == ["first", "second"]


def test_held_device_waits_for_the_one_that_spark_names(
    locks: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Spark's scheduler counts devices of its own application only: the lock holds on a cluster, too."""
    monkeypatch.setattr(devices, "_from_spark", lambda: 3)
    with held_device(0) as index:
        assert (index, [path.name for path in tmp_path.iterdir()]) == (3, ["speechlake-device-3.lock"])


def test_held_device_refuses_a_lock_that_is_a_link(locks: None, tmp_path: Path) -> None:
    """The folder is shared: a link that another user left there is not followed."""
    (tmp_path / "speechlake-device-0.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="lock of a device cannot be opened"), held_device(1):
        pass
    assert not (tmp_path / "elsewhere").exists()


def fake_torch(error: Exception | None = None, cuda: str | None = "13.0") -> ModuleType:
    """A torch whose one operation succeeds, or raises `error`."""
    import numpy as np

    def ones(shape: tuple[int, int], device: str) -> Any:
        if error is not None:
            raise error
        return np.ones(shape)

    fake: Any = ModuleType("torch")
    fake.ones, fake.version, fake.__version__ = ones, SimpleNamespace(cuda=cuda), "2.11.0"
    fake.cuda = SimpleNamespace(mem_get_info=lambda index: (7 << 30, 80 << 30))
    return fake


CHECKS = [
    # torch, what the sentence names
    (fake_torch(), None),
    (fake_torch(cuda=None), "without CUDA"),
    (fake_torch(RuntimeError("Found no NVIDIA driver on your system.")), "install the NVIDIA driver"),
    (fake_torch(RuntimeError("CUDA error: invalid device ordinal\nmore")), "check CUDA_VISIBLE_DEVICES"),
    (
        fake_torch(RuntimeError("CUDA error: uncorrectable ECC error encountered")),
        "check the device with nvidia-smi",
    ),
]


@pytest.mark.parametrize(("torch", "names"), CHECKS)
def test_check_device_names_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, torch: ModuleType, names: str | None
) -> None:
    """One tiny operation; one sentence on what failed and what to do."""
    monkeypatch.setattr(devices, "lacking_for_cuda", lambda: None)
    monkeypatch.setattr(devices, "compute_types", lambda device, index=0: frozenset({"float16"}))
    monkeypatch.setitem(sys.modules, "torch", torch)
    found = devices.check_device(0)
    if names is None:
        assert found is None
    else:
        assert names in str(found)
        assert "\n" not in str(found)


def test_free_memory_asks_torch_then_nvidia_smi(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are free; None where neither can tell."""
    monkeypatch.setitem(sys.modules, "torch", fake_torch())
    assert devices.free_memory(0) == 7 << 30
    monkeypatch.setitem(sys.modules, "torch", None)
    answer = SimpleNamespace(stdout="1024\n")
    monkeypatch.setattr(devices.subprocess, "run", lambda *_, **__: answer)
    assert devices.free_memory(0) == 1 << 30
    answer.stdout = "[N/A]"
    assert devices.free_memory(0) is None


def test_preload_cublas_loads_the_package_by_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """cuBLASLt first, then cuBLAS, each by its path, once per process."""
    folder = tmp_path / "nvidia" / "cublas" / "lib"
    folder.mkdir(parents=True)
    (folder / "libcublas.so.12").touch()
    loaded: list[str] = []
    package = SimpleNamespace(locate_file=lambda name: tmp_path / name)
    monkeypatch.setattr("importlib.metadata.distribution", lambda name: package)
    monkeypatch.setattr(devices.ctypes, "CDLL", lambda name, mode: loaded.append(Path(name).name))
    monkeypatch.setattr(devices, "_loaded", [])
    devices.preload_cublas()
    devices.preload_cublas()
    assert loaded == ["libcublasLt.so.12", "libcublas.so.12"]
