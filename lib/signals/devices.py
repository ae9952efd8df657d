"""Where models run: the CPU, or an accelerator that CTranslate2 sees.

Spark cannot hand out devices in local mode (its settings hang `local[N]`), so there a device is held by an
OS lock for as long as a task measures on it. On a cluster Spark's resource scheduling names the device.
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib.util
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from speechlake import logs
from speechlake.errors import UsageError
from speechlake.session import on_this_machine

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SCHEDULED = "spark.task.resource.gpu.amount"
CUBLAS = "libcublas.so.12"

_held: list[int] = []


def device_named(asked: str, spark: SparkSession) -> str:
    """cpu or cuda. A missing device is an error, never a silent CPU run, unless `auto` was asked.

    In local mode devices are looked for here, with what it takes to use them; on a cluster the executors have
    them, and count where Spark schedules them.
    """
    if asked == "cpu":
        return "cpu"
    if on_this_machine(spark):
        missing = "CTranslate2 sees no CUDA device" if device_count() == 0 else lacking_for_cuda()
        hint = "Use --device cpu, or --device auto."
        if asked == "auto" and missing and device_count() > 0:
            logs.say(f"--device auto takes the CPU, though there is a CUDA device: {missing}", "WARNING")
    else:
        scheduled = spark.sparkContext.getConf().contains(SCHEDULED)
        missing = None if scheduled else f"{SCHEDULED} is not set"
        hint = "Schedule GPUs: docs/cluster.md has the settings. Or use --device cpu."
    if asked == "cuda" and missing:
        raise UsageError(f"--device cuda, but {missing}", hint=hint)
    return "cpu" if missing else "cuda"


def device_count() -> int:
    """CUDA devices that this process may use."""
    import ctranslate2

    return int(ctranslate2.get_cuda_device_count())


def compute_types(device: str) -> frozenset[str]:
    """What CTranslate2 computes in on cpu or cuda, on this machine."""
    import ctranslate2

    return frozenset(ctranslate2.get_supported_compute_types(device))


def lacking_for_cuda() -> str | None:
    """What this installation lacks to use a CUDA device, without which every clip would fail; None for nothing."""
    if importlib.util.find_spec("torch") is None:
        return "torch, which computes features there, is not installed (extra [torch])"
    try:
        ctypes.CDLL(CUBLAS)
    except OSError:
        return f"{CUBLAS}, which CTranslate2 needs, cannot be loaded: is it on LD_LIBRARY_PATH?"
    return None


def visible_index() -> int:
    """The device this process measures on: Spark's, else the one it holds, else the first."""
    named = _from_spark()
    if named is not None:
        return named
    return _held[0] if _held else 0


@contextmanager
def held_device(devices: int, *, poll_s: float = 0.2) -> Iterator[int]:
    """Hold one of `devices` alone among the processes of this machine and user; waits, and says so, until one is free.

    UsageError where there is none.
    """
    named = _from_spark()
    if named is not None:
        yield named
        return
    if devices == 0:
        raise UsageError(
            "CTranslate2 sees no CUDA device where it is to measure",
            hint="See that the device's driver still does; or use --device cpu.",
        )
    fd, index = _locked(devices, poll_s)
    _held.append(index)
    try:
        yield index
    finally:
        _held.remove(index)
        os.close(fd)


def _locked(devices: int, poll_s: float) -> tuple[int, int]:
    # The first device of a list of visible ones is the physical one that the list names.
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    told = False
    while True:
        for index in range(devices):
            # Slices of a device have slashes in their names: MIG-GPU-<uuid>/1/0.
            name = quote(visible[index] if index < len(visible) else str(index), safe="")
            path = Path(tempfile.gettempdir()) / f"speechlake-device-{os.getuid()}-{name}.lock"
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                continue
            return fd, index
        if not told:
            logs.say(f"Waiting: each of {devices} device(s) is held by another task of this machine", "INFO")
            told = True
        time.sleep(poll_s)


def _from_spark() -> int | None:
    """The device that Spark's scheduler gave to this task; None where it schedules none."""
    from pyspark import TaskContext

    context = TaskContext.get()
    resources = context.resources() if context is not None else {}
    if "gpu" not in resources:
        return None
    address = str(resources["gpu"].addresses[0])
    # Where the executor sees only its own devices, they are counted from 0.
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return visible.index(address) if address in visible else int(address)
