"""Where models run: the CPU, or an accelerator that CTranslate2 sees.

A task holds an OS lock on its device for as long as it measures. The lock is named after the physical card, so that
no two processes of a machine use one card at once, whatever their users and CUDA_VISIBLE_DEVICES. On a cluster
Spark's resource scheduling names the device, and the task waits for the lock of that one. In local mode Spark cannot
hand out devices (its settings hang `local[N]`), and the task takes the first device that is free.
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib.metadata
import importlib.util
import os
import subprocess
import tempfile
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import quote

from speechlake import logs
from speechlake.errors import UsageError
from speechlake.session import on_this_machine

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SCHEDULED = "spark.task.resource.gpu.amount"
CUBLAS = "libcublas.so.12"
# libcublas needs libcublasLt of the same release: loaded first, so that none is found on LD_LIBRARY_PATH instead.
CUBLAS_FILES = ("libcublasLt.so.12", CUBLAS)
CUBLAS_PACKAGE = "nvidia-cublas-cu12"
INSTALL = "run pip install 'speechlake[jobs,cuda]'"
# Not TMPDIR, which users and schedulers set for each job.
LOCK_FOLDER = Path("/tmp")
# What to do about an error of CUDA, by a part of its message.
REMEDIES = (
    ("no nvidia driver", "install the NVIDIA driver"),
    ("driver version is insufficient", "install an NVIDIA driver for CUDA 13, 580 or newer"),
    ("driver on your system is too old", "install an NVIDIA driver for CUDA 13, 580 or newer"),
    ("invalid device ordinal", "check CUDA_VISIBLE_DEVICES and the addresses that Spark hands out"),
    ("invalid cuda device", "check CUDA_VISIBLE_DEVICES and the addresses that Spark hands out"),
    ("no kernel image", "use another card, or install a torch that is built for this one"),
    ("out of memory", "end the process that fills its memory, which nvidia-smi lists"),
)

_held: list[int] = []
_loaded: list[ctypes.CDLL] = []


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


def compute_types(device: str, index: int = 0) -> frozenset[str]:
    """What CTranslate2 computes in on cpu or cuda, on this machine."""
    import ctranslate2

    return frozenset(ctranslate2.get_supported_compute_types(device, index))


def preload_cublas() -> None:
    """Load cuBLAS 12, by path from its Python package, else by name. Raises OSError if neither works.

    CTranslate2 opens `libcublas.so.12` by name at its first operation on a device. Python packages are not where the
    loader looks, but a library that is loaded already is found by its name. Further calls do nothing.
    """
    if _loaded:
        return
    folder = _cublas_folder()
    names = [CUBLAS] if folder is None else [str(folder / name) for name in CUBLAS_FILES]
    _loaded.extend([ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL) for name in names])


def _cublas_folder() -> Path | None:
    """Return the folder of the libraries of the package nvidia-cublas-cu12, None if it is not installed."""
    try:
        package = importlib.metadata.distribution(CUBLAS_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None
    folder = Path(str(package.locate_file("nvidia/cublas/lib")))
    return folder if (folder / CUBLAS).exists() else None


def lacking_for_cuda() -> str | None:
    """What this installation lacks to use a CUDA device, without which every clip would fail; None for nothing.

    Loads cuBLAS. Runs nothing on a device: see `check_device`.
    """
    if importlib.util.find_spec("torch") is None:
        return f"torch, which computes features on the device, is not installed: {INSTALL}"
    try:
        preload_cublas()
    except OSError as error:
        return f"{CUBLAS}, which CTranslate2 needs, cannot be loaded ({_first_line(error)}): {INSTALL}"
    return None


def check_device(index: int) -> str | None:
    """Run one tiny operation on a CUDA device. Returns a sentence on what is missing and what to do, or None."""
    missing = lacking_for_cuda()
    if missing is not None:
        return missing
    try:
        import torch

        if torch.version.cuda is None:
            return f"torch {torch.__version__} is built without CUDA: run pip install --force-reinstall torch==2.11.0"
        compute_types("cuda", index)
        ones = torch.ones((8, 8), device=f"cuda:{index}")
        float((ones @ ones).sum())
    except (ImportError, OSError, RuntimeError, ValueError, AssertionError) as error:
        message = str(error).lower()
        remedies = (remedy for part, remedy in REMEDIES if part in message)
        remedy = next(remedies, "check the device with nvidia-smi, then restart its driver or the machine")
        return f"CUDA device {index} does not work ({_first_line(error)}): {remedy}"
    return None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else type(error).__name__


def free_memory(index: int) -> int | None:
    """Return the bytes that are free on a CUDA device, None if neither torch nor nvidia-smi can tell."""
    try:
        import torch

        return int(torch.cuda.mem_get_info(index)[0])
    except (ImportError, OSError, RuntimeError, ValueError, AssertionError):
        pass
    card = card_uuid(index)
    query = ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    query += ["-i", _visible_name(index) if card is None else f"GPU-{card}"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
        return int(answer.stdout.strip()) << 20
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def card_uuid(index: int) -> str | None:
    """Return the UUID of the card, or slice of a card, that CUDA counts as `index` in this process.

    The driver itself numbers the cards, by CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER. Returns None if there is no
    driver or no such card. Allocates nothing on the card.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        card, found = ctypes.c_int(), (ctypes.c_ubyte * 16)()
        failed = (
            driver.cuInit(0)
            or driver.cuDeviceGet(ctypes.byref(card), index)
            or driver.cuDeviceGetUuid_v2(ctypes.byref(found), card)
        )
    except (OSError, AttributeError):
        return None
    return None if failed else str(uuid.UUID(bytes=bytes(found)))


def visible_index() -> int:
    """The device this process measures on: Spark's, else the one it holds, else the first."""
    named = _from_spark()
    if named is not None:
        return named
    return _held[0] if _held else 0


def held_device(devices: int, *, poll_s: float = 0.2) -> HeldDevice:
    """Hold one of `devices`, or the one that Spark names, alone among the processes of this machine.

    Waits, and logs that it does, until one is free. UsageError where there is none.
    """
    return HeldDevice(devices, poll_s)


class HeldDevice:
    """The lock of a device: taken on entry, which returns the index, and released on exit or when the process ends.

    No generator: those also end when nothing refers to them any more, and a device that hangs must stay locked.
    """

    def __init__(self, devices: int, poll_s: float) -> None:
        self._devices = devices
        self._poll_s = poll_s
        self._lock: tuple[int, int] | None = None

    def __enter__(self) -> int:
        named = _from_spark()
        if named is None and self._devices == 0:
            raise UsageError(
                "CTranslate2 sees no CUDA device where it is to measure",
                hint="See that the device's driver still does; or use --device cpu.",
            )
        self._lock = _locked(range(self._devices) if named is None else [named], self._poll_s)
        _held.append(self._lock[1])
        return self._lock[1]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._lock is not None:
            (fd, index), self._lock = self._lock, None
            _held.remove(index)
            os.close(fd)


def _locked(indices: Sequence[int], poll_s: float) -> tuple[int, int]:
    """Wait for one of the devices; return the descriptor of its lock and its index."""
    paths = {index: _lock_path(index) for index in indices}
    announced = False
    while True:
        for index, path in paths.items():
            fd = _try_lock(path)
            if fd is not None:
                return fd, index
        if not announced:
            logs.say(
                f"Waiting: each of {len(paths)} device(s) is held by another task of this machine", "INFO"
            )
            announced = True
        time.sleep(poll_s)


def _lock_path(index: int) -> Path:
    folder = LOCK_FOLDER if os.access(LOCK_FOLDER, os.W_OK) else Path(tempfile.gettempdir())
    # Without a driver to ask, the name that CUDA_VISIBLE_DEVICES gives to the card.
    # Slices of a device have slashes in their names: MIG-GPU-<uuid>/1/0.
    name = quote(card_uuid(index) or _visible_name(index), safe="")
    return folder / f"speechlake-device-{name}.lock"


def _try_lock(path: Path) -> int | None:
    """Return the descriptor of the locked file, None if another process holds the lock."""
    try:
        fd = _open_shared(path)
    except OSError as error:
        raise UsageError(
            f"The lock of a device cannot be opened: {error}; every user of this machine must be able to read it",
            hint=f"Delete {path} as its owner while no job runs on a device, then run the same command again.",
        ) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever cleans the folder may have deleted the file meanwhile: others would lock a new one.
        if os.path.samestat(os.fstat(fd), path.lstat()):
            # Recent files are not cleaned away. Refused where the file is not ours to write.
            with suppress(PermissionError):
                os.utime(fd)
            return fd
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(fd)
    return None


def _open_shared(path: Path) -> int:
    """Open a lock file that all users share: no link is followed, and reading is enough for the lock.

    The file is created apart from being opened: many systems refuse O_CREAT on another user's file in a shared folder.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    while True:
        with suppress(FileNotFoundError):
            return os.open(path, flags)
        with suppress(FileExistsError):
            fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
            os.fchmod(fd, 0o666)  # whatever the umask
            return fd


def _visible() -> list[str]:
    """The names in CUDA_VISIBLE_DEVICES."""
    return [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]


def _visible_name(index: int) -> str:
    """The name of a device in CUDA_VISIBLE_DEVICES, else its index."""
    visible = _visible()
    return visible[index] if index < len(visible) else str(index)


def _from_spark() -> int | None:
    """The device that Spark's scheduler gave to this task; None where it schedules none."""
    from pyspark import TaskContext

    context = TaskContext.get()
    resources = context.resources() if context is not None else {}
    if "gpu" not in resources:
        return None
    address = str(resources["gpu"].addresses[0])
    # Where the executor sees only its own devices, they are counted from 0.
    visible = _visible()
    if address in visible:
        return visible.index(address)
    if address.isdecimal():
        return int(address)
    # By its UUID, GPU-<uuid>, while CUDA_VISIBLE_DEVICES lists indices or nothing.
    for index in range(device_count()):
        if card_uuid(index) == address.partition("-")[2].lower():
            return index
    raise UsageError(
        f"Spark hands out the device {address!r}, which this executor does not see",
        hint="Have the discovery script print indices, as scripts/cluster/gpus.sh does.",
    )
