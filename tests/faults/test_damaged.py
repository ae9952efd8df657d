"""A file of a table is gone: which table, at which version, and the way back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deltalake import DeltaTable
from fault_story import FaultStory
from lake_tools import QUIET, says, wav, write_lines
from lake_tools import ingest as ingested
from watched import copied, difference, forget_logs, values

from speechlake import job
from speechlake.commands import repair_table, sql
from speechlake.damage import damage_of
from speechlake.errors import Conflict, DiskFull, TableDamaged
from speechlake.lake import Lake
from speechlake.lost_files import lost_files

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow
REMADE = {
    "utterances": "ingest-manifests",
    "transcripts": "ingest-manifests",
    "manifests": "ingest-manifests",
    "signals_whisper": "extract-signals",
    "scores": "score-transcripts",
    "audio_pairs": "find-duplicates",
    "duplicates": "find-duplicates",
    "splits": "build-splits",
    "assignments": "build-splits",
}


def data_files(lake: Lake, name: str) -> list[Path]:
    """The files of the table's newest version."""
    return sorted(Path(uri.removeprefix("file://")) for uri in DeltaTable(lake.path(name)).file_uris())


@pytest.fixture(scope="module")
def whole(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One corpus of two clips, ingested."""
    folder = tmp_path_factory.mktemp("damaged")
    for name in ("one", "two"):
        wav(folder / f"{name}.wav")
    write_lines(folder / "m.jsonl", says("one.wav", "one"), says("two.wav", "two"))
    ingested(Lake(spark, folder / "lake"), folder / "m.jsonl")
    return folder / "lake"


@pytest.fixture
def small(whole: Path, spark: SparkSession, tmp_path: Path) -> Lake:
    """A copy of it, to be damaged."""
    return Lake(spark, copied(whole, tmp_path / "lake"))


def test_a_job_that_misses_a_file_names_table_version_and_file_and_a_scheduler_does_not_try_again(
    small: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(job, "open_lake", lambda root, app: Lake(small.spark, root))
    (gone, *_) = data_files(small, "transcripts")
    gone.unlink()
    assert sql.main(["--lake", small.root, "select text from transcripts"]) == 2
    said = capsys.readouterr()
    assert json.loads(said.out.splitlines()[-1])["outcome"] == "TableDamaged"
    version = small.version("transcripts")
    for part in ("'transcripts'", f"at version {version}", gone.name, "repair-table", "docs/reliability.md"):
        assert part in said.err
    assert "Traceback" not in said.err


def test_a_reader_of_an_older_version_whose_file_upkeep_deleted_may_try_again(small: Lake) -> None:
    (gone, *_) = data_files(small, "transcripts")
    reading = small.read("transcripts", version=small.version("transcripts"))
    DeltaTable(small.path("transcripts")).delete()
    gone.unlink()
    with pytest.raises(Exception, match=gone.name) as found:
        reading.collect()
    told = damage_of(small, found.value)
    assert isinstance(told, Conflict)
    assert gone.name in told.message


@pytest.mark.long
def test_a_log_that_lost_a_commit_is_named_too(small: Lake) -> None:
    Path(small.path("utterances"), "_delta_log", f"{0:020d}.json").unlink()
    forget_logs(small)
    with pytest.raises(Exception) as found:  # noqa: PT011 - whatever Delta says
        Lake(small.spark, small.root).read("utterances").collect()
    damage = damage_of(small, found.value)
    assert isinstance(damage, TableDamaged), str(found.value)[:2000]
    assert "'utterances'" in damage.message


def test_what_is_not_a_lost_file_is_told_as_it_is(small: Lake) -> None:
    assert damage_of(small, ValueError("does not exist")) is None
    # A file of somebody else, and a stage: not for a table to be mended.
    for place in ("/elsewhere/utterances/part-0.parquet", f"{small.root}/_staging/x/part-0.parquet"):
        assert damage_of(small, OSError(f"FAILED_READ_FILE.FILE_NOT_EXIST {place} does not exist")) is None


def test_a_full_disk_is_told_as_such(small: Lake) -> None:
    assert isinstance(damage_of(small, OSError(28, "No space left on device")), DiskFull)


def test_repair_says_what_is_missing_and_forgets_it(small: Lake) -> None:
    files = data_files(small, "transcripts")
    for file in files:
        file.unlink()
    before = small.versions()
    planned = repair_table.run(small, ["transcripts"], plan=True, progress=QUIET)
    assert (planned.counts, small.versions()) == ({"files_missing": {"transcripts": len(files)}}, before)
    done = repair_table.run(small, [], progress=QUIET)
    assert (done.outcome, done.counts) == ("done", planned.counts)
    assert small.read("transcripts").collect() == []
    assert repair_table.run(small, [], progress=QUIET).outcome == "nothing to do"


def test_a_file_that_is_cut_short_is_forgotten_as_one_that_is_gone(small: Lake) -> None:
    (cut, *_) = data_files(small, "transcripts")
    cut.write_bytes(cut.read_bytes()[:-1])
    assert [Path(file).name for file in lost_files(small, "transcripts")] == [cut.name]
    assert repair_table.run(small, ["transcripts"], progress=QUIET).outcome == "done"
    small.read("transcripts").collect()


@pytest.mark.long
@pytest.mark.parametrize("name", REMADE)
def test_after_a_repair_the_same_command_makes_the_lost_rows_again(
    story: FaultStory, tmp_path: Path, name: str
) -> None:
    done = story[REMADE[name]]
    lake = Lake(story.lake.spark, copied(done.left, tmp_path / "lake"))
    for file in data_files(lake, name):
        file.unlink()
    with pytest.raises(Exception, match=r"part-") as found:
        lake.read(name).collect()
    assert isinstance(damage_of(lake, found.value), TableDamaged)
    assert repair_table.run(lake, [name], progress=QUIET).outcome == "done"
    assert lake.read(name).collect() == []
    done.command(lake)
    assert difference(values(Path(lake.root)), done.after) == {}
    forget_logs(lake)
