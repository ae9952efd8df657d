"""This machine: cores and memory, accelerators, disks, the clock."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from speechlake.health.finding import Finding, Patient, fine, look, mend, together
from speechlake.models.files import cache_folder
from speechlake.this_machine import usable_memory

GIB = 1 << 30
# The driver asks for 4 GB of Java and more, and every worker holds a model beside it.
LEAST_MEMORY_GIB = 6
# Below the first a chunk's stage may not fit; the second holds some hours of stages and shuffles.
FULL_GIB, NARROW_GIB = 1, 10
FEWEST_INODES = 10_000
# Commits of a machine whose clock is this far ahead are no fault of this one.
CLOCK_S = 60


def memory(_: Patient) -> Finding:
    """Cores and memory that this process may use."""
    cores = len(os.sched_getaffinity(0))
    total = usable_memory()
    told = f"{cores} cores, {total / GIB:.1f} GiB of memory"
    if total < LEAST_MEMORY_GIB * GIB:
        fix = (
            "Set spark.driver.memory lower in SPEECHLAKE_SPARK_CONF (4g is asked for), or measure elsewhere."
        )
        return look("memory", told, fix)
    return fine("memory", told)


def devices(_: Patient) -> Finding:
    """Accelerators that CTranslate2 sees, each tried with one tiny operation; none is fine, unless there is one."""
    try:
        from speechlake.signals.devices import check_device, device_count, lacking_for_cuda

        count = device_count()
    except (ImportError, OSError, RuntimeError) as error:
        return mend(
            "devices", f"ctranslate2 does not load: {error}", "pip install -c constraints.txt ctranslate2"
        )
    if count:
        on_cpus = "To measure on CPUs: --device cpu, and an empty CUDA_VISIBLE_DEVICES."
        missing = lacking_for_cuda()
        if missing:
            return mend(
                "devices", f"{count} CUDA device(s), but models would run on CPUs: {missing}", on_cpus
            )
        failures = [failure for failure in map(check_device, range(count)) if failure]
        if failures:
            # One that is of the installation is the same for all devices.
            found = "; ".join(dict.fromkeys(failures))
            return mend("devices", f"{count} CUDA device(s), but models would fail: {found}", on_cpus)
        return fine("devices", f"{count} CUDA device(s)")
    if Path("/dev/nvidia0").exists():
        fix = (
            "Check that nvidia-smi lists it, that its driver is for CUDA 13 (580 or newer), and that"
            " CUDA_VISIBLE_DEVICES does not hide it."
        )
        return look("devices", "an NVIDIA device is there, but CTranslate2 sees none", fix)
    return fine("devices", "no accelerator: models run on CPUs")


def disk(patient: Patient) -> Finding:
    """Room and leave to write where the lake, Spark's temporary files and models lie."""
    places = {"temporary files": _temporary(), "models": cache_folder()}
    if patient.folder is not None:
        places = {"the lake": patient.folder, **places}
    found = [_room(what, path) for what, path in places.items()]
    return together("disk", found, "; ".join(each.found for each in found))


def _room(what: str, path: Path) -> Finding:
    """One disk. A folder that is not there yet lies where its nearest parent does."""
    here = next(each for each in (path, *path.parents) if each.exists())
    free = shutil.disk_usage(here).free / GIB
    told = f"{free:.0f} GiB free for {what} ({path})"
    if not os.access(here, os.W_OK):
        return mend("disk", f"{what}: {here} may not be written", "Run as its owner, or name another folder.")
    if free < FULL_GIB:
        return mend("disk", told, "Make room.")
    inodes = os.statvfs(here)
    if inodes.f_files > 0 and inodes.f_favail < FEWEST_INODES:
        return mend("disk", f"{inodes.f_favail} inodes left for {what} ({path})", "Remove small files.")
    return look("disk", told, "Make room.") if free < NARROW_GIB else fine("disk", told)


def _temporary() -> Path:
    said = os.environ.get("SPARK_LOCAL_DIRS") or tempfile.gettempdir()
    return Path(said.split(",")[0])


def clock(patient: Patient) -> Finding:
    """Is the clock kept, and not behind what the lake's tables say?"""
    now = time.time()
    found = []
    newest = _newest_commit(patient.folder)
    if newest is not None and newest > now + CLOCK_S:
        told = f"it is {newest - now:.0f} s behind the lake's newest commit"
        found.append(mend("clock", told, "Set this machine's clock: run ids and Delta's log go by it."))
    if _kept() is False:
        found.append(look("clock", "no time server keeps it", "timedatectl set-ntp true"))
    return together("clock", found, f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S} UTC")


def _newest_commit(folder: Path | None) -> float | None:
    """Time of the newest commit of the tables in `folder`, by the logs' own words, in seconds."""
    if folder is None:
        return None
    newest = [max(log.glob("*.json"), default=None) for log in folder.glob("*/_delta_log")]
    return max((_said_time(commit) for commit in newest if commit is not None), default=None)


def _said_time(commit: Path) -> float:
    for line in commit.read_text(encoding="utf-8").splitlines():
        if line.startswith('{"commitInfo"'):
            return float(json.loads(line)["commitInfo"].get("timestamp", 0)) / 1000
    return 0.0


def _kept() -> bool | None:
    """Whether a time server keeps the clock; None where nobody says."""
    if shutil.which("timedatectl") is None:
        return None
    ask = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    said = subprocess.run(ask, capture_output=True, text=True, timeout=20, check=False)
    return {"yes": True, "no": False}.get(said.stdout.strip())
