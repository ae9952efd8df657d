"""What the doctor finds in a lake, and what it leaves as it is."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from sample_lake import write_rows

from speechlake.health import examined
from speechlake.health.finding import Patient
from speechlake.health.holders import locks, stages
from speechlake.health.stored import files, tables, version
from speechlake.lake import PROPERTIES
from speechlake.schemas import CORPORA, Column, Table
from speechlake.schemas.contract import CONTRACT

HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def lock_file(root: Path, name: str) -> Path:
    path = root / "_locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"who": f"run r1 of {name}", "pid": 1, "host": "h"}))
    return path


@pytest.fixture
def held(tmp_path: Path):
    """A lake's folder with two locks, of which another process holds the first."""
    first, _ = lock_file(tmp_path, "extract-signals.calls"), lock_file(tmp_path, "table.runs")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(first)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield tmp_path, process.pid
        process.kill()


def test_a_held_lock_is_told_with_its_holder_and_a_file_that_nobody_holds_is_not(held):
    root, pid = held
    found = locks(Patient(str(root)))
    assert found.state == "fine"
    assert found.found == f"held now: extract-signals.calls: run r1 of extract-signals.calls (pid {pid})"


def test_asking_leaves_the_lock_with_its_holder(held):
    root, _ = held
    locks(Patient(str(root)))
    with (
        (root / "_locks" / "extract-signals.calls.lock").open("r+") as file,
        pytest.raises(OSError, match=r".*"),
    ):
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_lock_that_is_held_for_more_than_a_day_is_worth_a_look(held):
    root, _ = held
    path = root / "_locks" / "extract-signals.calls.lock"
    os.utime(path, (0, 0))
    found = locks(Patient(str(root)))
    assert found.state == "look"
    assert "more than a day: extract-signals.calls" in found.found


def staged(root: Path, job: str, scope: str) -> None:
    path = root / "_staging" / job / scope / "digest" / "run" / "part-0.parquet"
    path.parent.mkdir(parents=True)
    path.touch()


def test_a_stage_without_a_run_was_left_by_a_kill_and_one_with_a_run_was_not(held):
    root, _ = held
    staged(root, "extract-signals", "calls")
    staged(root, "extract-signals.plan", "calls")
    assert stages(Patient(str(root))).state == "fine"
    staged(root, "ingest-manifests", "books")
    found = stages(Patient(str(root)))
    assert found.state == "look"
    assert found.found == "a run of ingest-manifests on books was ended before its work was committed"
    assert "same command" in found.fix


@pytest.mark.slow
def test_a_lake_that_our_own_code_wrote_is_fine(lake, rows):
    with lake.hold("job", "calls", "r1") as hold:
        hold.append_missing("corpora", rows(CORPORA, ("calls", {"role": "training", "ids": "interval"})))
        found = {each.check: each for each in examined(Patient(lake.root))}
    assert found["tables"].state == "fine", found["tables"]
    assert found["tables"].found == "1 at versions: corpora 1"
    assert found["files"].found == "1 data files are there"
    # The JVM's own lock is seen from Python.
    assert "job.calls: run r1 of job on calls" in found["locks"].found


@pytest.mark.slow
def test_the_sample_lake_has_no_drift_of_columns(sample):
    found = tables(Patient(sample.root))
    assert found.state in ("fine", "look")
    assert "contract" not in found.found


def other(*columns: Column) -> Table:
    return Table("corpora", "Another version's.", (*CORPORA.columns, *columns), key=("corpus",))


@pytest.mark.slow
def test_a_column_that_no_contract_knows_is_to_be_mended(spark, tmp_path):
    write_rows(
        spark, tmp_path, other(Column("later", "string", "Of a newer version.")), [{"corpus": "calls"}]
    )
    found = tables(Patient(str(tmp_path)))
    assert found.state == "mend"
    assert "corpora.later is string, the contract says nothing" in found.found


@pytest.mark.slow
def test_a_setting_that_other_readers_do_not_understand_is_worth_a_look(spark, tmp_path, monkeypatch):
    monkeypatch.setitem(PROPERTIES, "delta.checkpointInterval", "7")
    write_rows(spark, tmp_path, CORPORA, [{"corpus": "calls"}])
    monkeypatch.setitem(PROPERTIES, "delta.checkpointInterval", "100")
    found = tables(Patient(str(tmp_path)))
    assert found.state == "look"
    assert "corpora: delta.checkpointInterval is '7', set was '100'" in found.found


@pytest.mark.slow
def test_a_data_file_that_was_removed_by_hand_is_told_with_table_and_version(spark, tmp_path):
    write_rows(spark, tmp_path, CORPORA, [{"corpus": "calls"}])
    (gone,) = (tmp_path / "corpora").glob("*.parquet")
    gone.unlink()
    found = files(Patient(str(tmp_path)))
    assert found.state == "mend"
    assert found.found.startswith("corpora at version 0 lacks 1 of 1 files")


def test_a_data_file_that_is_cut_short_is_told(tmp_path):
    write_deltalake(
        tmp_path / "corpora",
        pa.table({"corpus": ["calls", "books"], "role": ["training"] * 2}),
        partition_by=["corpus"],
    )
    assert files(Patient(str(tmp_path))).state == "fine"
    file = next((tmp_path / "corpora").rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-1])
    found = files(Patient(str(tmp_path)))
    assert found.state == "mend"
    assert found.found.startswith("corpora at version 0 lacks 1 of 2 files, or parts of them")


def test_a_log_that_cannot_be_read_is_told(tmp_path):
    log = tmp_path / "corpora" / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020d}.json").write_text("not a log\n")
    found = tables(Patient(str(tmp_path)))
    assert found.state == "mend"
    assert found.found.startswith("corpora cannot be read")


@pytest.mark.parametrize(
    ("markers", "state", "told"),
    [
        ((), "fine", ""),
        ((1, CONTRACT), "fine", ""),
        ((CONTRACT, CONTRACT + 1), "mend", "Install the version"),
        ((CONTRACT - 1,), "mend", "upgrade-lake"),
    ],
)
def test_a_lake_of_another_contract_than_jobs_take_is_to_be_mended(tmp_path, markers, state, told):
    for marker in markers:
        (tmp_path / "_contract").mkdir(exist_ok=True)
        (tmp_path / "_contract" / str(marker)).touch()
    found = version(Patient(str(tmp_path)))
    assert (found.state, told in found.fix) == (state, True)


def test_a_folder_that_is_no_lake_is_told(tmp_path):
    found = tables(Patient(str(tmp_path)))
    assert (found.state, found.found) == ("mend", f"there is no lake at {tmp_path}")
