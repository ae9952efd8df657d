"""What scripts/cluster ships: settings with reasons, sums that hold, and devices told as Spark wants it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from speechlake.audio.limits import Limits
from speechlake.signals.reading import MAX_AHEAD_BYTES
from speechlake.signals.spread import MOST_READERS

FOLDER = Path(__file__).resolve().parent.parent.parent / "scripts" / "cluster"
GIB = 1 << 30


def settings(name: str) -> dict[str, str]:
    lines = (FOLDER / f"{name}.conf").read_text("utf-8").splitlines()
    pairs = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    return {key: value.strip() for key, value in pairs}


def gib(value: str) -> int:
    assert value.endswith("g")
    return int(value[:-1]) * GIB


@pytest.mark.parametrize("name", ["decode", "inference"])
def test_every_setting_stands_below_its_reason(name: str) -> None:
    blocks = (FOLDER / f"{name}.conf").read_text("utf-8").split("\n\n")
    bare = [block for block in blocks if re.search(r"^spark\.", block, re.M) and not block.startswith("#")]
    assert bare == []
    assert len(settings(name)) > 8


@pytest.mark.parametrize(("name", "worker"), [("decode", 1 * GIB), ("inference", 8 * GIB)])
def test_the_overhead_has_room_for_workers_and_decode_children(name: str, worker: int) -> None:
    said = settings(name)
    tasks = int(said["spark.executor.cores"]) // int(said["spark.task.cpus"])
    children = max(1, min(MOST_READERS, int(said["spark.task.cpus"]) - 1))
    limits = Limits()
    needed = tasks * (worker + MAX_AHEAD_BYTES + children * limits.memory_bytes) + limits.max_decoded_bytes
    assert needed <= gib(said["spark.executor.memoryOverhead"]) <= 1.1 * needed


def test_one_task_has_one_device_and_all_cores_of_its_executor() -> None:
    said = settings("inference")
    assert said["spark.task.cpus"] == said["spark.executor.cores"]
    assert said["spark.task.resource.gpu.amount"] == said["spark.executor.resource.gpu.amount"] == "1"


@pytest.mark.parametrize(
    ("listed", "visible", "addresses"),
    [
        ("0\n1\n2\n", None, ["0", "1", "2"]),
        ("0\n", None, ["0"]),
        # What is visible is counted from 0, as CUDA counts it, whatever it is called.
        ("0\n1\n2\n3\n", "2,3", ["0", "1"]),
        ("0\n", "GPU-2f0c,MIG-77aa", ["0", "1"]),
        ("0\n", "", []),
        ("0\n", "-1", []),
    ],
)
def test_devices_are_told_by_their_index(
    tmp_path: Path, listed: str, visible: str | None, addresses: list[str]
) -> None:
    assert json.loads(discovered(tmp_path, f"printf '{listed}'", visible).stdout) == {
        "name": "gpu",
        "addresses": addresses,
    }


@pytest.mark.parametrize("script", [None, "echo 'Driver/library version mismatch'; exit 18"])
def test_a_machine_without_a_working_driver_is_told_apart_from_one_without_devices(
    tmp_path: Path, script: str | None
) -> None:
    done = discovered(tmp_path, script, None)
    assert done.returncode == 1
    assert "nvidia-smi" in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
def test_the_log_store_for_s3_compiles_against_the_jars_that_spark_and_delta_bring(tmp_path: Path) -> None:
    jar = tmp_path / "out" / "speechlake-s3.jar"
    script = FOLDER.parent / "s3_log_store.py"
    subprocess.run([sys.executable, str(script), str(jar)], check=True, capture_output=True, timeout=120)
    with zipfile.ZipFile(jar) as packed:
        (name,) = packed.namelist()
        assert name == "speechlake/ConditionalS3LogStore.class"
        assert packed.read(name)[:4] == bytes.fromhex("cafebabe")


def discovered(folder: Path, smi: str | None, visible: str | None) -> subprocess.CompletedProcess[str]:
    """What gpus.sh says where nvidia-smi is `smi` (None: absent) and CUDA_VISIBLE_DEVICES `visible`."""
    tools = folder / "bin"
    tools.mkdir()
    for name in ("sh", "grep", "tr"):
        (tools / name).symlink_to(
            next(p for p in (Path("/bin") / name, Path("/usr/bin") / name) if p.exists())
        )
    if smi is not None:
        (tools / "nvidia-smi").write_text(f"#!/bin/sh\n{smi}\n")
        (tools / "nvidia-smi").chmod(0o755)
    environment = {"PATH": str(tools)} | ({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})
    command = [os.fspath(FOLDER / "gpus.sh")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
