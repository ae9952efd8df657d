"""Two drivers on one machine, one lake: nothing is lost, whoever commits first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lake_tools import column, says, tables, wav, write_lines

if TYPE_CHECKING:
    from speechlake.lake import Lake

COMMITS = 4
# Appends, and merges of the same rows, under a scope of its own; begins when the other one is ready too.
WRITER = """
import sys, time
from pathlib import Path
from pyspark.sql import functions as F
from speechlake.contracts import struct_of
from speechlake.lake import Lake
from speechlake.schemas import RECORDINGS
from speechlake.session import spark_session

root, me, other, commits = *sys.argv[1:4], int(sys.argv[4])
lake = Lake(spark_session("writer"), root)
schema = struct_of(RECORDINGS)

def recording(n, state):
    said = {"corpus": me, "recording_id": f"{me}{n}", "root": "audio", "path": f"{n}.wav", "state": state}
    return lake.spark.createDataFrame([tuple(said.get(field.name) for field in schema.fields)], schema)

with lake.hold("job", me, f"run-{me}") as hold:
    Path(f"{root}.{me}").touch()
    while not Path(f"{root}.{other}").exists():
        time.sleep(0.01)
    for n in range(commits):
        assert hold.append_missing("recordings", recording(n, "present"), within=F.col("corpus") == me) == 1
        assert hold.merge("recordings", recording(n, "missing"), corpus=me) == 1
"""


def at_once(*commands: list[str]) -> None:
    """Run all commands at the same time; each must end with 0."""
    short = os.environ.get("SPEECHLAKE_SPARK_CONF", "")
    environment = os.environ | {"SPEECHLAKE_SPARK_CONF": f"{short};spark.driver.memory=1g"}
    running = [
        subprocess.Popen([sys.executable, *command], env=environment, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    try:
        ended = [(process.communicate(timeout=900)[1], process.returncode) for process in running]
    finally:
        for process in running:
            process.kill()
    assert [code for _, code in ended] == [0] * len(running), [said[-2000:] for said, _ in ended]


@pytest.mark.slow
@pytest.mark.long
def test_two_processes_that_write_one_table_at_once_lose_nothing(lake: Lake) -> None:
    at_once(*(["-c", WRITER, lake.root, *who, str(COMMITS)] for who in (("a", "b"), ("b", "a"))))
    found = {row.recording_id: row.state for row in lake.read("recordings").collect()}
    assert found == {f"{who}{n}": "missing" for who in "ab" for n in range(COMMITS)}
    assert lake.version("recordings") == 2 * 2 * COMMITS  # version 0 made the table
    writers = [row.userMetadata[:40] for row in lake.history("recordings").orderBy("version").collect()[1:]]
    assert writers != sorted(writers), "one process wrote after the other: nothing was shown"


@pytest.mark.long
@pytest.mark.slow
def test_two_corpora_that_are_ingested_at_once_both_land(lake: Lake, tmp_path: Path) -> None:
    for name in ("a", "b"):
        lines = [says(str(wav(tmp_path / name / f"{n}.wav", seed=n)), f"text {n}") for n in range(20)]
        write_lines(tmp_path / name / "m.jsonl", *lines)
    job = ["-m", "speechlake.commands.ingest_manifests", "--lake", lake.root, "--corpus"]
    at_once(*([*job, name, str(tmp_path / name / "m.jsonl")] for name in ("a", "b")))
    (first, second) = (row.asDict() for row in lake.read("runs").collect())
    assert first["started_at"] < second["finished_at"]
    assert second["started_at"] < first["finished_at"], "one ended before the other began: nothing was shown"
    for name in ("a", "b"):
        found = tables(lake, ("recordings", "utterances", "transcripts", "manifests"), corpus=name)
        assert {table: len(rows) for table, rows in found.items()} == {
            "recordings": 20,
            "utterances": 20,
            "transcripts": 20,
            "manifests": 1,
        }
        assert set(column(found["recordings"], "path", "state").values()) == {"present"}
