"""What the doctor finds on a machine, without Spark."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from speechlake.commands import doctor
from speechlake.health import examined, machine, software, weights
from speechlake.health.finding import Finding, Patient, fine, look, mend, together
from speechlake.models import here
from speechlake.signals import devices
from speechlake.terminal import console

ANYWHERE = Patient()


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A Java on PATH that says this of itself."""

    def make(said: str) -> None:
        command = tmp_path / "java"
        command.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
        command.chmod(0o755)
        monkeypatch.delenv("JAVA_HOME", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))

    return make


JAVAS = [
    ('openjdk version "17.0.15" 2025-04-15', "fine"),
    ('openjdk version "21" 2023-09-19', "fine"),
    ('java version "1.8.0_392"', "mend"),
    ('openjdk version "24.0.1"', "mend"),
    ("what a machine", "mend"),
]


@pytest.mark.parametrize(("said", "state"), JAVAS)
def test_a_java_of_another_version_is_to_be_mended(java, said, state):
    java(said)
    assert software.java(ANYWHERE).state == state


def test_no_java_is_told_with_what_to_install(monkeypatch, tmp_path):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = software.java(ANYWHERE)
    assert (found.state, found.found) == ("mend", "no Java on PATH")
    assert "openjdk-17-jre-headless" in found.fix


def test_where_set_up_left_a_java_that_fits_it_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(software.sys, "prefix", str(tmp_path / ".venv"))
    left = tmp_path / "build" / "java"
    left.mkdir(parents=True)
    assert software.java(ANYWHERE).fix.endswith(f": export JAVA_HOME={left}")
    monkeypatch.setenv("JAVA_HOME", str(left))
    assert "export" not in software.java(ANYWHERE).fix


def test_a_java_home_without_a_java_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert software.java(ANYWHERE) == mend("java", f"no Java in {tmp_path}", software.java(ANYWHERE).fix)


JARS = [
    (["delta-spark_4.2_2.13-4.4.0.jar", "delta-storage-4.4.0.jar"], "fine", "Delta 4.4.0"),
    (["delta-spark_4.2_2.13-4.4.0.jar"], "mend", "lacks delta-storage"),
    (
        ["delta-spark_4.2_2.13-4.3.0.jar", "delta-storage-4.4.0.jar"],
        "mend",
        "4.3.0.jar, the package is 4.4.0",
    ),
    ([], "mend", "no jars of Delta"),
]


@pytest.mark.parametrize(("names", "state", "told"), JARS)
def test_jars_of_delta_must_be_both_there_and_of_one_version(monkeypatch, tmp_path, names, state, told):
    for name in names:
        (tmp_path / name).touch()
    monkeypatch.setattr(software, "_spark_jars", lambda: tmp_path)
    monkeypatch.setattr(software, "_installed", lambda _: "4.4.0")
    monkeypatch.delenv("SPEECHLAKE_JARS", raising=False)
    monkeypatch.chdir(tmp_path)
    found = software.delta(ANYWHERE)
    assert found.state == state
    assert told in found.found


def test_a_spark_home_of_another_version_is_told(monkeypatch, tmp_path):
    (tmp_path / "jars").mkdir()
    (tmp_path / "jars" / "spark-core_2.13-3.5.1.jar").touch()
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    found = software.spark(ANYWHERE)
    assert found.state == "mend"
    assert found.found.startswith(f"Spark 3.5.1 in {tmp_path}, but pyspark 4.2")


def test_what_is_missing_among_packages_is_named(monkeypatch):
    required = ["numpy>=2", "no-such-package>=1", "pandas<1", 'torch==2; extra == "torch"']
    monkeypatch.setattr(software.importlib.metadata, "requires", lambda _: required)
    found = software.packages(ANYWHERE)
    assert found.state == "mend"
    assert "no-such-package is not installed" in found.found
    assert "pandas is" in found.found
    assert "torch" not in found.found
    assert "numpy" not in found.found


@pytest.mark.parametrize(("free_gib", "state"), [(500, "fine"), (5, "look"), (0.5, "mend")])
def test_room_on_disks_is_looked_at(monkeypatch, tmp_path, free_gib, state):
    usage = type("usage", (), {"free": int(free_gib * machine.GIB)})
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage)
    found = machine.disk(Patient(str(tmp_path / "not made yet")))
    assert found.state == state
    assert str(tmp_path) in found.found


def commit_at(lake: Path, seconds: float) -> None:
    log = lake / "utterances" / "_delta_log"
    log.mkdir(parents=True)
    said = {"commitInfo": {"timestamp": int(seconds * 1000)}}
    (log / f"{0:020d}.json").write_text(json.dumps(said, separators=(",", ":")) + "\n")


@pytest.mark.parametrize(("ahead_s", "state"), [(-3600, "fine"), (3600, "mend")])
def test_a_clock_that_went_back_is_seen_by_the_lakes_newest_commit(monkeypatch, tmp_path, ahead_s, state):
    monkeypatch.setattr(machine, "_kept", lambda: True)
    commit_at(tmp_path, time.time() + ahead_s)
    assert machine.clock(Patient(str(tmp_path))).state == state


@pytest.mark.parametrize(
    ("count", "lacking", "fails", "state"),
    [
        (1, None, None, "fine"),
        (1, "torch is not installed", None, "mend"),
        (2, None, "CUDA device 1 does not work", "mend"),
        (0, "torch", None, "fine"),
    ],
)
def test_a_device_that_models_would_not_use_is_to_be_mended(monkeypatch, count, lacking, fails, state):
    monkeypatch.setattr(devices, "device_count", lambda: count)
    monkeypatch.setattr(devices, "lacking_for_cuda", lambda: lacking)
    monkeypatch.setattr(devices, "check_device", lambda index: fails if index == 1 else None)
    found = machine.devices(ANYWHERE)
    assert found.state == state
    assert ("--device cpu" in found.fix) == (state == "mend")
    assert fails is None or fails in found.found


def test_a_clock_that_nobody_keeps_is_worth_a_look(monkeypatch):
    monkeypatch.setattr(machine, "_kept", lambda: False)
    assert machine.clock(ANYWHERE).state == "look"


def test_a_model_with_other_weights_is_to_be_mended(monkeypatch, tmp_path):
    folder = tmp_path / "models" / "whisper-base"
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(b"not the weights")
    monkeypatch.setenv("SPEECHLAKE_CACHE", str(tmp_path))
    found = weights.models(ANYWHERE)
    assert found.state == "mend"
    assert "whisper-base has sha256" in found.found


def test_weights_that_come_in_parts_are_digested_without_being_joined(monkeypatch, tmp_path):
    import hashlib

    entry = here.REGISTRY["whisper-base"]
    for package, part, text in zip(entry.packages, entry.parts, (b"one ", b"two"), strict=True):
        (tmp_path / package / entry.folder).mkdir(parents=True)
        (tmp_path / package / entry.folder / part).write_bytes(text)
    monkeypatch.setattr(here, "package_folder", lambda name: tmp_path / name)
    monkeypatch.setenv("SPEECHLAKE_CACHE", str(tmp_path / "cache"))
    assert here.weights_here("whisper-base") == hashlib.sha256(b"one two").hexdigest()
    assert not (tmp_path / "cache").exists()


def test_a_model_that_is_not_here_is_not_fetched(monkeypatch, tmp_path):
    monkeypatch.setenv("SPEECHLAKE_CACHE", str(tmp_path))
    monkeypatch.setattr(here, "package_folder", lambda name: None)
    monkeypatch.setattr(here, "_from_hub", lambda hub_id: None)
    assert here.weights_here("whisper-large-v3") is None
    assert here.weights_here("nobody/nothing") is None
    assert here.weights_here(str(tmp_path)) is None


def test_findings_together_show_the_worst_and_each_fix_once():
    both = [look("disk", "narrow", "Make room."), fine("disk", "wide"), mend("disk", "full", "Make room.")]
    assert together("disk", both, "all wide") == Finding("disk", "mend", "narrow; full", "Make room.")
    assert together("disk", both[1:2], "all wide") == fine("disk", "all wide")


def test_a_check_that_breaks_does_not_stop_the_others(monkeypatch):
    def breaks(_: Patient) -> Finding:
        raise OSError("no such device")

    monkeypatch.setattr("speechlake.health.CHECKS", (breaks, lambda _: fine("after", "looked at")))
    broken, after = examined(ANYWHERE)
    assert (broken.check, broken.state) == ("breaks", "look")
    assert "no such device" in broken.found
    assert after.check == "after"


@pytest.mark.parametrize(
    ("findings", "outcome", "refused"),
    [
        ([fine("a", "x"), look("b", "y", "Look.")], "done", False),
        ([fine("a", "x"), mend("b", "y", "Mend it.")], "to be mended", True),
    ],
)
def test_the_report_is_refused_with_2_where_anything_is_to_be_mended(monkeypatch, findings, outcome, refused):
    monkeypatch.setattr(doctor, "examined", lambda patient: findings)
    out = io.StringIO()
    report = doctor.run(None, out=console(out))
    assert (report.outcome, report.refusal is not None) == (outcome, refused)
    assert report.refusal is None or report.refusal.exit_code == 2
    lines = out.getvalue().splitlines()
    assert len(lines) == len(findings)
    assert lines[1].endswith(findings[1].fix)


@pytest.mark.slow
def test_the_doctor_works_where_there_is_no_java_and_says_so_by_its_exit_code(tmp_path):
    command = [sys.executable, "-m", "speechlake.commands.doctor"]
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    *lines, last = done.stdout.splitlines()
    assert "java" in json.loads(last)["counts"]["to_mend"]
    (java,) = [line for line in lines if line.split()[:2] == ["mend", "java"]]
    assert "openjdk-17-jre-headless" in java
