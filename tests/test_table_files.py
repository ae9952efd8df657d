"""Files and logs of tables: gathered and cleared, with the rows as they were."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from speechlake.schemas import CONTENT_HASHES, RECORDINGS
from speechlake.table_files import (
    checkpoint,
    compact,
    delete_rows,
    log_of,
    scattered,
    stored_files,
    unused_files,
    vacuum,
)

CLUSTERED, PARTITIONED = "content_hashes", "recordings"
FIVE = ["a", "b", "c", "d", "e"]


def append(lake, rows, name, key, **said):
    table = {CLUSTERED: CONTENT_HASHES, PARTITIONED: RECORDINGS}[name]
    with lake.hold("job", "x", f"run of {key}") as hold:
        hold.append_missing(name, rows(table, (key, {"corpus": "x", **said})))


def keys(lake, name):
    return sorted(row.recording_id for row in lake.read(name).select("recording_id").collect())


def data_files(lake, name):
    return {path.name for path in Path(lake.path(name)).rglob("*.parquet") if "_delta_log" not in path.parts}


@pytest.mark.slow
def test_many_small_files_become_one_that_is_clustered_and_then_nothing_is_left_to_do(lake, rows):
    for key in FIVE:
        append(lake, rows, CLUSTERED, key, listing_key="1")
    [part] = scattered(lake, CLUSTERED)
    assert (part.value, part.files) == (None, 5)
    with lake.hold("tidy", "lake", "r") as hold:
        done = compact(hold, CLUSTERED)
        assert hold.versions_written == {CLUSTERED: lake.version(CLUSTERED)}
    assert (done["files_before"], done["files_after"]) == (5, 1)
    assert keys(lake, CLUSTERED) == FIVE
    assert [row.clustered for row in stored_files(lake, CLUSTERED).collect()] == [True]
    assert scattered(lake, CLUSTERED) == []


@pytest.mark.slow
@pytest.mark.long
def test_only_the_partitions_that_are_named_are_compacted(lake, rows):
    for corpus in ("x", "y"):
        for key in FIVE[:4]:
            append(lake, rows, PARTITIONED, corpus + key, corpus=corpus, state="present")
    assert [(part.value, part.files) for part in scattered(lake, PARTITIONED)] == [("x", 4), ("y", 4)]
    with lake.hold("tidy", "lake", "r") as hold:
        compact(hold, PARTITIONED, ["y"])
    assert [(part.value, part.files) for part in scattered(lake, PARTITIONED)] == [("x", 4)]
    assert len(keys(lake, PARTITIONED)) == 8


@pytest.mark.slow
def test_rows_that_are_deleted_leave_files_that_only_a_vacuum_past_their_retention_deletes(lake, rows):
    for key in ("a", "b"):
        append(lake, rows, PARTITIONED, key, state="present")
    version, before = lake.version(PARTITIONED), data_files(lake, PARTITIONED)
    with lake.hold("tidy", "lake", "r") as hold:
        assert delete_rows(hold, PARTITIONED, "recording_id = 'b'") == 1
        assert delete_rows(hold, PARTITIONED, "recording_id = 'b'") == 0
    assert lake.version(PARTITIONED) == version + 1
    assert unused_files(lake, PARTITIONED, 3600) == (0, 0)
    vacuum(lake, PARTITIONED, 3600)
    assert data_files(lake, PARTITIONED) == before
    files, size = unused_files(lake, PARTITIONED, 0)
    assert (files, size > 0) == (1, True)
    vacuum(lake, PARTITIONED, 0)
    assert len(data_files(lake, PARTITIONED)) == 1
    assert unused_files(lake, PARTITIONED, 0) == (0, 0)
    assert lake.version(PARTITIONED) == version + 1, "a vacuum writes no version"
    assert keys(lake, PARTITIONED) == ["a"]


@pytest.mark.slow
def test_a_checkpoint_writes_no_version_and_lets_old_commits_go(lake, rows):
    append(lake, rows, CLUSTERED, "a", listing_key="1")
    log = Path(lake.path(CLUSTERED), "_delta_log")
    with lake.hold("tidy", "lake", "r") as hold:
        checkpoint(hold, CLUSTERED)
    first = lake.version(CLUSTERED)
    assert log_of(lake, CLUSTERED).commits == 0
    append(lake, rows, CLUSTERED, "b", listing_key="1")
    assert log_of(lake, CLUSTERED).commits == 1
    for file in log.iterdir():
        if file.name[:20].isdigit() and int(file.name[:20]) <= first:
            os.utime(file, (10**9, 10**9))
    with lake.hold("tidy", "lake", "r") as hold:
        checkpoint(hold, CLUSTERED)
        assert hold.versions_written == {}
    assert (log / f"{first + 1:020d}.json").exists()
    assert not (log / f"{first:020d}.json").exists()
    assert log_of(lake, CLUSTERED).expired == 0
    assert keys(lake, CLUSTERED) == ["a", "b"]
