"""Upkeep of a lake that was used: what is in nobody's use goes, and a release is what it was, whatever happens."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from frozen_lake import make_frozen_lake
from lake_tools import QUIET, Tables, tables

from speechlake.commands import maintain_tables, verify_release
from speechlake.errors import Conflict, DiskFull, SpeechlakeError, TableDamaged
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.lake_version import mark
from speechlake.ledger import unchanged
from speechlake.progress import Progress
from speechlake.schemas import ASSIGNMENTS, CONTENT_HASHES, DECISIONS, SPLITS
from speechlake.schemas.contract import CONTRACT
from speechlake.splits.verify import digest_now
from speechlake.staging import Left
from speechlake.terminal import console
from speechlake.upkeep import sweep
from speechlake.upkeep.sweep import unpublished_builds
from speechlake.upkeep.work import Upkeep, Work, upkeep_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow

# What a release and its verification read.
KEPT = (
    *("corpora", "recordings", "content_hashes", "utterances", "transcripts", "duplicates"),
    *("assignments", "splits", "decisions", "releases", "runs"),
)
# What is left when nothing is left to do, but for what runs did.
DATA = tuple(name for name in KEPT if name != "runs")
HOUR_S = 3600.0


def use(lake: Lake, rows: Callable[..., Any]) -> None:
    """What months do to a lake: runs die, audio changes, rows come in one by one."""
    known = tables(lake, ["content_hashes"])["content_hashes"][0]
    old = {**known, "listing_key": "as it was", "content_sha256": "old"}
    hashes = [(old.pop("recording_id"), old)]
    hashes += [(f"new{n}", {"corpus": "calls", "listing_key": "1"}) for n in range(5)]
    said = {"link_key": "k", "side": "train", "build_id": "dead"}
    with lake.hold("job", "lake", "r1") as hold:
        for one in hashes:
            hold.append_missing("content_hashes", rows(CONTENT_HASHES, one))
        hold.append_missing("splits", rows(SPLITS, ("u", {"build_id": "dead", "split": "train"})))
        hold.append_missing("decisions", rows(DECISIONS, ("v", {"build_id": "dead"})))
        hold.append_missing("assignments", rows(ASSIGNMENTS, ("main", said)))
    with lake.hold("extract-signals", "calls", "r2") as hold:
        hold.staging.write("complete", "r2", rows(CONTENT_HASHES, ("s", {})), {})
        dead = hold.staging.write("incomplete", "r2", rows(CONTENT_HASHES, ("t", {})), {})
    Path(dead.path, "_SUCCESS").unlink()
    Path(lake.root, "_staging", "extract-signals.plan", "calls", "r2").mkdir(parents=True)


class Used:
    """A copy of a lake with a release that was used for a while. `kept`: its rows before that."""

    def __init__(self, lake: Lake, kept: Tables) -> None:
        self.lake, self.kept, self.versions = lake, kept, lake.versions()
        staged = Path(lake.root, "_staging")
        self.complete = staged / "extract-signals" / "calls" / "complete" / "r2"
        self.incomplete = staged / "extract-signals" / "calls" / "incomplete" / "r2"
        self.plan_left = staged / "extract-signals.plan" / "calls" / "r2"

    def tidied(self, retention_s: float = 0.0) -> Report:
        return maintain_tables.run(self.lake, retention_s=retention_s, progress=QUIET)

    def release_is_what_it_was(self) -> bool:
        """By its digest, its rows, and all that verify-release asks of tables."""
        said = verify_release.run(self.lake, "r1", sample=0, out=console(io.StringIO()))
        rows = tables(self.lake, DATA)
        mine = {name: [row for row in rows[name] if row.get("build_id") != "dead"] for name in rows}
        named = ("splits", "decisions", "assignments", "releases")
        return said.refusal is None and {n: mine[n] for n in named} == {n: self.kept[n] for n in named}


@pytest.fixture(scope="module")
def original(
    spark: SparkSession, rows: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Tables]:
    """Where the lake lies that every test copies, and its rows before it was used."""
    root = tmp_path_factory.mktemp("original") / "lake"
    make_frozen_lake(spark, root, CONTRACT, only=KEPT)
    lake = Lake(spark, root)
    mark(lake)
    kept = tables(lake, DATA)
    use(lake, rows)
    return lake.root, kept


@pytest.fixture
def used(spark: SparkSession, original: tuple[str, Tables], tmp_path: Path) -> Used:
    root, kept = original
    return Used(Lake(spark, shutil.copytree(root, tmp_path / "lake")), kept)


def builds(lake: Lake, name: str) -> set[str]:
    return {row.build_id for row in lake.read(name).select("build_id").distinct().collect()}


@pytest.mark.long
def test_what_is_in_nobodys_use_goes_and_the_rest_is_as_it_was(used, capsys):
    planned = printed(lambda out: maintain_tables.plan(used.lake, retention_s=0.0, out=out))
    assert used.lake.versions() == used.versions, "a plan writes nothing"
    assert used.incomplete.exists()
    assert "content_hashes" in planned[0]
    done = used.tidied()
    assert done.outcome == "done"
    expected = {"stages_deleted": 2, "builds_swept": 1, "build_rows": 3, "hashes_deleted": 1}
    assert {name: done.counts[name] for name in expected} == expected
    assert {name: planned[1].counts[name] for name in expected} == expected
    # Stages: complete ones wait for the next run of their job.
    assert (used.complete / "_SUCCESS").exists()
    assert not used.incomplete.exists()
    assert not used.incomplete.with_suffix(".json").exists()
    assert not used.plan_left.exists()
    # Builds: those of releases stay.
    for name in ("splits", "decisions", "assignments"):
        assert "dead" not in builds(used.lake, name)
        assert len(builds(used.lake, name)) == 1
    # Hashes: those under a present listing key stay, and those of files that nothing else knows.
    found = tables(used.lake, ["content_hashes"])["content_hashes"]
    assert [row for row in found if not row["recording_id"].startswith("new")] == used.kept["content_hashes"]
    assert len(found) == len(used.kept["content_hashes"]) + 5
    # Files: few, and no others on disk.
    assert done.counts["files_compacted"] >= 5
    assert done.counts["files_deleted"] >= 6
    assert used.release_is_what_it_was()
    # Upkeep concerns no other job, and the ledger knows of it.
    assert all(unchanged(used.lake, name, used.versions[name], None) for name in DATA)
    last = used.lake.read("runs").where("job = 'maintain-tables'").collect()
    assert [(row.outcome, row.counts["builds_swept"]) for row in last] == [("done", 1)]


@pytest.mark.long
def test_a_second_run_finds_nothing_to_do_and_writes_nothing(used):
    used.tidied()
    versions = used.lake.versions()
    again = used.tidied()
    assert (again.outcome, again.counts) == (
        "nothing to do",
        {"left": 0, "unchanged": len(KEPT), "tables": {}},
    )
    assert used.lake.versions() == versions


def printed(call: Callable[[Any], Report]) -> tuple[str, Report]:
    out = io.StringIO()
    report = call(console(out))
    return out.getvalue(), report


@pytest.mark.long
def test_files_that_a_running_job_may_read_stay_until_it_has_ended(used):
    with used.lake.hold("extract-signals", "calls", "r3"):
        lazy = used.lake.read("content_hashes")
        files = set(lazy.inputFiles())
        done = used.tidied()
        assert done.counts["files_compacted"] >= 5
        assert "files_deleted" not in done.counts
        assert used.incomplete.exists(), "its holder may be at work on it"
        assert lazy.where("recording_id LIKE 'new%'").count() == 5
        assert used.complete.exists()
    assert all(Path(file.removeprefix("file://").removeprefix("file:")).exists() for file in files)
    done = used.tidied()
    assert done.counts["files_deleted"] >= 5
    assert not used.incomplete.exists()


@pytest.mark.long
def test_builds_stay_while_a_job_runs_that_may_publish_them(used):
    with used.lake.hold("build-splits", "other", "r3"):
        done = used.tidied()
        assert "builds_swept" not in done.counts
        assert done.counts["left"] >= 1
        assert "dead" in builds(used.lake, "splits")
    assert used.tidied().counts["builds_swept"] == 1


@pytest.mark.long
def test_a_build_that_is_published_after_it_was_found_dead_is_not_swept(used):
    from pyspark.sql import functions as F

    [work] = list(unpublished_builds(upkeep_of(used.lake, 0.0)))
    with used.lake.hold("build-splits", "main", "r3") as hold:
        late = used.lake.read("releases").withColumns({"release": F.lit("late"), "build_id": F.lit("dead")})
        hold.append_missing("releases", late)
    with used.lake.hold("maintain-tables", "lake", "r4") as hold:
        assert work.do(hold) == {"builds_swept": 0, "build_rows": 0}
    assert "dead" in builds(used.lake, "splits")


@pytest.mark.long
@pytest.mark.parametrize("works", [1, 2, 3, 4, 6])
def test_killed_after_any_piece_of_work_the_same_command_finishes(used, works):
    with pytest.raises(KeyboardInterrupt), killed_after(works):
        used.tidied()
    assert used.release_is_what_it_was()
    used.tidied()
    assert used.release_is_what_it_was()
    assert builds(used.lake, "splits") == {row["build_id"] for row in used.kept["splits"]}
    assert not used.incomplete.exists()
    assert used.tidied().outcome == "nothing to do"


@contextmanager
def killed_after(works: int) -> Iterator[None]:
    """The driver dies before it does the next piece of work."""
    done = 0
    make = Work.__init__

    def counted(work: Work, *args: Any, **more: Any) -> None:
        nonlocal done
        done += 1
        if done > works:
            raise KeyboardInterrupt
        make(work, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Work, "__init__", counted)
        yield


UPKEEP = """
import sys
from speechlake.commands import maintain_tables
from speechlake.lake import Lake
from speechlake.progress import Progress
from speechlake.session import spark_session
maintain_tables.run(Lake(spark_session("upkeep"), sys.argv[1]), retention_s=0.0, progress=Progress(quiet=True))
"""


@pytest.mark.long
@pytest.mark.parametrize("table", ["assignments", "content_hashes", "splits"])
def test_a_driver_killed_when_a_table_was_just_changed_leaves_what_the_same_command_completes(used, table):
    log = Path(used.lake.path(table), "_delta_log")
    moment = log / f"{used.versions[table] + 1:020d}.json"
    driver = subprocess.Popen([sys.executable, "-c", UPKEEP, used.lake.root], start_new_session=True)
    deadline = time.monotonic() + 300
    while driver.poll() is None and not moment.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert driver.poll() is None, "it ended before it could be killed"
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    assert used.release_is_what_it_was()
    assert used.tidied().outcome == "done"
    assert used.release_is_what_it_was()
    assert "dead" not in builds(used.lake, "splits") | builds(used.lake, "decisions")
    assert used.tidied().outcome == "nothing to do"


@pytest.mark.long
def test_whoever_reads_a_release_meanwhile_reads_it_whole(used):
    build = used.kept["releases"][0]["build_id"]
    recorded = used.kept["releases"][0]["rows_digest"]
    stop, found, errors = threading.Event(), [], []

    def read() -> None:
        mine = Lake(used.lake.spark.newSession(), used.lake.root)
        try:
            while not stop.is_set():
                found.append(digest_now(mine, build))
        except Exception as error:
            errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        done = used.tidied(HOUR_S)
    finally:
        stop.set()
        reader.join(300)
    assert done.outcome == "done"
    assert errors == []
    assert len(found) > 1
    assert set(found) == {recorded}


@pytest.mark.long
def test_where_no_locks_tell_who_runs_what_is_young_stays(used):
    used.lake.is_local = False  # as on an object store
    done = used.tidied(HOUR_S)
    assert "stages_deleted" not in done.counts
    assert "builds_swept" not in done.counts
    assert done.counts["hashes_deleted"] == 1
    done = used.tidied()
    assert done.counts["stages_deleted"] == 1
    assert done.counts["builds_swept"] == 1
    assert not used.incomplete.exists()
    assert used.complete.exists()
    assert used.plan_left.exists(), "the next run of the job makes it anew"
    assert used.release_is_what_it_was()


def test_where_no_locks_tell_who_runs_a_build_stays_while_its_stage_does_however_old(monkeypatch):
    monkeypatch.setattr(sweep, "unpublished", lambda _: ["dead"])
    left = Left(
        "/_staging/build-splits/main/d/r1", "build-splits", "main", "r1", complete=True, made_anew=False
    )
    lake = SimpleNamespace(is_local=False)
    upkeep: Any = SimpleNamespace(lake=lake, running=list, left_by_runs=lambda: [left], left=[])
    assert list(unpublished_builds(upkeep)) == []
    told = "1 unpublished build(s) stay: what run r1 of build-splits on main staged may publish them"
    assert upkeep.left == [told]


def test_what_was_erased_from_a_release_is_no_row_of_a_build():
    assert set(sweep.BUILT) == {"splits", "decisions", "assignments", "fixed_sets"}


@pytest.mark.long
def test_what_stands_in_the_way_of_one_table_is_told_and_the_others_are_done(used):
    for file in Path(used.lake.path("content_hashes")).glob("*.parquet"):
        file.unlink()
    used.lake.spark.catalog.clearCache()
    done = used.tidied()
    assert isinstance(done.refusal, TableDamaged)
    assert "content_hashes" in str(done.refusal)
    assert done.counts["stages_deleted"] == 2


@contextmanager
def held(*_: Any, **__: Any) -> Iterator[SimpleNamespace]:
    yield SimpleNamespace(lake=None)


LOST, FULL = TableDamaged("it is gone", hint="Put it back."), DiskFull("no room", hint="Make room.")


@pytest.mark.parametrize(
    ("errors", "kind", "code", "left"),
    [
        ({"utterances": LOST, "scores": LOST}, TableDamaged, 2, 0),
        ({"utterances": LOST, "scores": FULL}, SpeechlakeError, 5, 0),
        ({"utterances": LOST, "scores": None}, SpeechlakeError, 5, 0),
        ({"utterances": LOST, "scores": Conflict("others write")}, TableDamaged, 2, 1),
    ],
)
def test_upkeep_ends_with_what_a_person_must_mend_where_no_other_try_helps(
    monkeypatch, capsys, errors, kind, code, left
):
    def fails(upkeep, name):
        raise OSError(name)
        yield

    monkeypatch.setattr(maintain_tables, "LAKE_STEPS", ())
    monkeypatch.setattr(maintain_tables, "TABLE_STEPS", (fails,))
    monkeypatch.setattr(maintain_tables, "upkeep_of", lambda lake, retention_s: Upkeep(lake, retention_s))
    monkeypatch.setattr(maintain_tables, "damage_of", lambda lake, error: errors[str(error)])
    lake = SimpleNamespace(hold=held, versions=lambda: dict.fromkeys(errors, 1))
    done = maintain_tables.run(lake, progress=Progress())
    assert (type(done.refusal), done.refusal.exit_code, done.counts["left"]) == (kind, code, left)
    assert "utterances: TableDamaged: it is gone\n  Put it back." in capsys.readouterr().err


def test_files_are_spared_for_as_long_as_a_run_or_a_finished_run_may_need_them(monkeypatch):
    class Elsewhere(Upkeep):
        def running(self):
            return self.found

    def spared(retention_s, *, runs_since=None, running=(), kept_by_log_s=100.0):
        upkeep = Elsewhere(None, retention_s, runs_since)
        object.__setattr__(upkeep, "found", [type("R", (), {"since": since}) for since in running])
        return upkeep.spared_s(kept_by_log_s)

    monkeypatch.setattr("speechlake.upkeep.work.time.time", lambda: 1000.0)
    assert spared(10.0) == 10.0
    assert spared(10.0, runs_since=950.0) == 50.0  # a run that ended lately read what was there then
    assert spared(10.0, runs_since=0.0) == 100.0  # beyond what the log remembers, nobody can read it anyway
    assert spared(0.0, running=[980.0]) == 80.0  # with a margin for clocks
    assert spared(0.0, running=[900.0]) is None  # it may read files that the log has forgotten


def test_a_lake_where_nothing_was_ever_ingested_is_the_users_mistake(tmp_path, capsys):
    os.environ.pop("SPEECHLAKE_LAKE", None)
    assert maintain_tables.main(["--lake", str(tmp_path / "nowhere")]) == 2
    assert "there is no lake" in capsys.readouterr().err
    assert maintain_tables.main(["--lake", str(tmp_path / "nowhere"), "--retention", "7 weeks"]) == 2
    assert "36h or 7d" in capsys.readouterr().err
    assert maintain_tables.main(["--lake", str(tmp_path / "nowhere"), "--retention", "0h"]) == 2
    assert "expected 1h to 168h" in capsys.readouterr().err
