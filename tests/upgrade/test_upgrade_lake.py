"""Lakes of every version that ever was become lakes of this version, and the jobs go on from there."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from frozen_lake import POLICY, frozen, make_frozen_lake
from lake_tools import QUIET, ingest, says, tables, wav, write_lines

from speechlake.commands import build_splits, extract_signals, find_duplicates, upgrade_lake, verify_release
from speechlake.config import loads
from speechlake.contracts import struct_of
from speechlake.duplicates.step import current_audio, with_filed
from speechlake.errors import Busy, LakeMismatch, TableMismatch
from speechlake.lake import Lake
from speechlake.lake_version import mark, version_of
from speechlake.schemas import TABLES
from speechlake.schemas.contract import CONTRACT
from speechlake.signals.audio import Audio
from speechlake.signals.plan import wanted_of
from speechlake.splits.policy import Policy
from speechlake.terminal import console
from speechlake.upgrade import MIGRATIONS, to_3

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# From version 1: columns of one table, three that are filled and then never null, two properties.
CHANGES = 1 + 3 * 3 + 2
RELEASED = ("splits", "decisions", "assignments")


def test_there_is_a_migration_to_every_version_but_the_first():
    assert list(MIGRATIONS) == list(range(2, CONTRACT + 1))


def test_there_is_a_lake_of_this_version_and_its_tables_are_declared_as_in_the_contracts(spark):
    """Where this fails, a contract changed: raise CONTRACT (schemas/contract.py), write the migration, then freeze."""
    from pyspark.sql.types import StructType

    differing = []
    for name, table in frozen(CONTRACT).items():
        stored = {f.name: (f.dataType.simpleString(), f.nullable) for f in StructType.fromDDL(table["ddl"])}
        wanted = {f.name: (f.dataType.simpleString(), f.nullable) for f in struct_of(TABLES[name])}
        layout = (tuple(table["partition_by"]), tuple(table["cluster_by"]))
        if stored != wanted or layout != (TABLES[name].partition_by, TABLES[name].cluster_by):
            differing.append(name)
    assert differing == []


@pytest.fixture(scope="module")
def oldest(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of version 1, which every test copies."""
    root = tmp_path_factory.mktemp("oldest") / "lake"
    make_frozen_lake(spark, root, 1)
    return root


@pytest.fixture
def old(spark: SparkSession, oldest: Path, tmp_path: Path) -> Callable[[], Lake]:
    """Opens a copy of the lake of version 1 anew, by whoever may."""
    root = shutil.copytree(oldest, tmp_path / "lake")
    return lambda **said: Lake(spark, root, **said)


def upgraded(lake: Lake) -> Any:
    return upgrade_lake.run(lake, progress=QUIET)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.ci
def test_a_lake_from_before_versions_keeps_its_rows_and_its_release_and_jobs_go_on(old, tmp_path):
    with pytest.raises(TableMismatch, match=r"'duplicates'(.|\n)*upgrade-lake"):
        old().read("duplicates")
    before = {name: frozen(1)[name]["rows"] for name in frozen(1)}
    out = io.StringIO()
    planned = upgrade_lake.plan(old(any_version=True), out=console(out))
    assert version_of(old()) is None
    done = upgraded(old(any_version=True))
    assert (done.outcome, done.counts) == ("done", {"from": 1, "to": CONTRACT, "changes": CHANGES})
    assert planned.counts["changes"] == CHANGES
    lake = old()
    assert version_of(lake) == CONTRACT
    assert {name: lake.read(name).count() for name in before if name != "runs"} == {
        name: len(rows) for name, rows in before.items() if name != "runs"
    }
    found = tables(lake, ["duplicates", "manifests", "repeats"])
    assert all(row["overlap_id"] == row["cluster_id"] for row in found["duplicates"])
    parsers = {(row["corpus"], row["uri"]): row["parser_version"] for row in found["manifests"]}
    assert [row["parser_version"] for row in found["repeats"]] == [
        parsers[row["corpus"], row["uri"]] for row in found["repeats"]
    ]
    assert len(found["repeats"]) == 1
    for name in before:
        stored = lake.spark.read.format("delta").load(lake.path(name)).schema
        assert {f.name for f in stored if f.nullable} == {
            f.name for f in struct_of(TABLES[name]) if f.nullable
        }
    said = verify_release.run(lake, "r1", sample=0, out=console(out))
    assert said.refusal is None, out.getvalue()
    assert upgraded(old(any_version=True)).outcome == "nothing to do"
    _go_on(lake, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True], ids=["", "killed between its two changes"])
def test_what_was_looked_up_before_version_3_stays_so_without_samples(spark, tmp_path, killed):
    make_frozen_lake(spark, tmp_path / "lake", 2)
    mark(Lake(spark, tmp_path / "lake", any_version=True), 2)
    if killed:
        anyone = Lake(spark, tmp_path / "lake", any_version=True)
        with anyone.hold("upgrade-lake", "lake", "r1") as hold:
            next(to_3.changes(anyone)).make(hold)
    done = upgraded(Lake(spark, tmp_path / "lake", any_version=True))
    assert done.counts["changes"] == 2 - killed
    lake = Lake(spark, tmp_path / "lake")
    rows = [json.loads(row) for row in frozen(2)["key_buckets"]["rows"]]
    kept = [{name: row[name] for name in TABLES["key_buckets"].column_names} for row in rows]
    assert tables(lake, ["key_buckets"])["key_buckets"] == sorted(kept, key=str)
    stored = lake.spark.read.format("delta").load(lake.path("key_buckets")).schema
    assert not any(field.nullable for field in stored)
    assert stored["utterance_id"].metadata == {"comment": "Key of the utterance."}
    detail = lake.spark.sql(f"DESCRIBE DETAIL delta.`{lake.path('key_buckets')}`").first()
    assert (detail.partitionColumns, detail.properties) == (
        ["corpus"],
        frozen(2)["key_buckets"]["properties"],
    )
    keyed = with_filed(lake, current_audio(lake)).where("fingerprint IS NOT NULL")
    assert [row.is_filed for row in keyed.collect()] == [True] * len(rows)


def _go_on(lake: Lake, folder: Path) -> None:
    """Jobs of today, on what was there and on a new corpus."""
    before = tables(lake, RELEASED)
    lines = [says(f"n{n}.wav", f"new {n}", id=f"n{n}", speaker=f"n{n}", lang="en") for n in range(3)]
    for n in range(3):
        wav(folder / "new" / f"n{n}.wav", seed=50 + n, seconds=0.5)
    ingest(lake, write_lines(folder / "new" / "m.jsonl", *lines), corpus="new")
    extract_signals.run(lake, wanted_of([Audio()]), corpus="new", progress=QUIET)
    find_duplicates.run(lake, progress=QUIET)
    build_splits.run(lake, loads(POLICY, "p", Policy), POLICY, release="r2", progress=QUIET)
    found = tables(lake, RELEASED)
    assert all(row in found[name] for name in RELEASED for row in before[name])
    for release in ("r1", "r2"):
        assert verify_release.run(lake, release, sample=0, out=console(io.StringIO())).refusal is None


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("changes", [0, 1, 2, 3, CHANGES - 1])
def test_killed_between_two_changes_jobs_refuse_the_lake_and_the_same_command_goes_on(
    old, changes, monkeypatch
):
    made = []
    original = MIGRATIONS[2]

    def dies(lake):
        for change in original(lake):
            if len(made) == changes:
                raise KeyboardInterrupt
            made.append(change.table)
            yield change

    monkeypatch.setitem(MIGRATIONS, 2, dies)
    with pytest.raises(KeyboardInterrupt):
        upgraded(old(any_version=True))
    monkeypatch.undo()
    with pytest.raises(LakeMismatch, match="upgrade-lake"):
        old().read("utterances")
    done = upgraded(old(any_version=True))
    assert done.counts["changes"] == CHANGES - changes
    assert version_of(old()) == CONTRACT
    assert old().read("releases").count() == 1


def test_a_lake_of_this_version_needs_nothing_and_a_newer_one_is_refused(lake):
    mark(lake)
    assert upgraded(Lake(lake.spark, lake.root, any_version=True)).outcome == "nothing to do"
    assert lake.versions() == {}
    mark(lake, CONTRACT + 1)
    with pytest.raises(LakeMismatch, match="Install the version"):
        upgraded(Lake(lake.spark, lake.root, any_version=True))


@pytest.mark.parametrize("version", [1, None])
def test_a_lake_in_which_a_job_runs_is_left_alone(lake, version):
    if version is not None:
        mark(lake, version)
    anyone = Lake(lake.spark, lake.root, any_version=True)
    with anyone.hold("extract-signals", "c", "r1"), pytest.raises(Busy, match="run r1 of extract-signals"):
        upgraded(anyone)
    assert version_of(lake) == version, "without a number, every job still starts"
    assert upgraded(anyone).outcome == "done"
