"""A release is rows: it outlives OPTIMIZE, VACUUM and a move of the audio, and two commands look back at it."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lake_tools import QUIET, ingest, says, tables, wav, write_lines

from speechlake.commands import build_splits, diff_releases, extract_signals, verify_release
from speechlake.config import loads
from speechlake.errors import LeakFound, ReleaseDiffers, UsageError
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.signals.audio import Audio
from speechlake.signals.plan import wanted_of
from speechlake.splits.policy import Policy, read_policy
from speechlake.splits.verify import files_read
from speechlake.terminal import console

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.slow, pytest.mark.long]

POLICY = """
name: releases
text: {prefer: [manifest]}
keep: [{rule: length, signal: audio.duration_s, at_least: 0.4}]
splits: {scheme: main, salt: 3, test: {hours: 1, max_share: 0.4}}
"""
FIRST = {**{f"u{n}": f"text of clip {n}" for n in range(6)}, "short": "no"}
# u0 is gone, u1 says something else, u6 is new.
SECOND = {**{name: text for name, text in FIRST.items() if name != "u0"}, "u1": "another text", "u6": "new"}


class Kept:
    """Two releases of one corpus: between them the lake was optimised, vacuumed, and its audio moved."""

    def __init__(self, lake: Lake, folder: Path) -> None:
        self.lake, self.folder = lake, folder
        for n in range(7):
            wav(folder / "here" / f"u{n}.wav", seed=n, seconds=0.5)
        wav(folder / "here" / "short.wav", seed=7, seconds=0.2)
        self.say(FIRST, "here")
        self.release("r1")
        self.before = tables(lake, ["splits", "decisions", "releases"])
        self.verified = [self.verify("r1")]
        _tidied(lake)
        (folder / "here").rename(folder / "there")
        self.say(SECOND, "there")
        self.verified.append(self.verify("r1"))
        self.after = tables(lake, ["splits", "decisions", "releases"])
        self.release("r2")
        names = {row.utterance_id: row.source_id for row in lake.read("utterances").collect()}
        self.ids = {Path(name).stem: key for key, name in names.items()}

    def say(self, texts: dict[str, str], where: str) -> None:
        """Ingest and measure clips, whose audio lies in a folder."""
        lines = [says(f"{name}.wav", text, id=name, speaker=name, lang="en") for name, text in texts.items()]
        manifest = write_lines(self.folder / "m.jsonl", *lines)
        ingest(self.lake, manifest, roots={"audio": str(self.folder / where)}, relative_to="root")
        extract_signals.run(self.lake, wanted_of([Audio()]), corpus=None, progress=QUIET)

    def release(self, name: str) -> None:
        build_splits.run(self.lake, loads(POLICY, "p", Policy), POLICY, release=name, progress=QUIET)

    def verify(self, name: str, sample: int = 9) -> tuple[str, Report]:
        return printed(lambda out: verify_release.run(self.lake, name, sample=sample, out=out))

    def diff(self) -> tuple[str, Report]:
        return printed(lambda out: diff_releases.run(self.lake, "r1", "r2", out=out))


def printed(call: Callable[..., Report]) -> tuple[str, Report]:
    out = io.StringIO()
    done = call(out=console(out))
    return out.getvalue(), done


def _tidied(lake: Lake) -> None:
    """What upkeep does, without waiting for a week."""
    from delta.tables import DeltaTable

    lake.spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    try:
        for name in ("splits", "decisions", "releases"):
            table = DeltaTable.forPath(lake.spark, lake.path(name))
            table.optimize().executeCompaction()
            table.vacuum(0)
    finally:
        lake.spark.conf.unset("spark.databricks.delta.retentionDurationCheck.enabled")


@pytest.fixture(scope="module")
def kept(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    folder = tmp_path_factory.mktemp("releases")
    return Kept(Lake(spark, folder / "lake"), folder)


def test_a_release_is_identical_and_readable_after_upkeep_and_a_move_of_its_audio(kept):
    assert kept.before == kept.after
    for told, done in kept.verified:
        assert done.refusal is None
        assert "as recorded" in told
        assert "nothing leaks" in told
        assert "files: 6 read, 0 differ" in told


def test_a_diff_tells_what_was_added_removed_and_said_otherwise_and_that_nothing_moved(kept):
    told, done = kept.diff()
    assert done.refusal is None
    assert done.counts == {
        "added": 1,
        "removed": 1,
        "moved": 0,
        "audio_changed": 0,
        "text_changed": 1,
        "same": 4,
    }
    lines = [line.split() for line in told.splitlines()]
    assert any(line[1:3] == ["not_in_manifest", "1"] for line in lines)  # removed
    assert any(line[1:6] == ["not", "known", "to", "it", "1"] for line in lines)  # added
    assert "Moved" not in told
    with pytest.raises(UsageError, match="no release 'r3'"):
        diff_releases.run(kept.lake, "r1", "r3")


def test_a_diff_writes_every_row_that_differs_and_why(kept, tmp_path):
    file = tmp_path / "changes.csv"
    diff_releases.run(kept.lake, "r1", "r2", csv_file=file, out=console(io.StringIO()))
    with file.open(newline="") as lines:
        rows = {row["utterance_id"]: (row["change"], row["reason"]) for row in csv.DictReader(lines)}
    assert rows == {
        kept.ids["u0"]: ("removed", "not_in_manifest"),
        kept.ids["u1"]: ("text changed", ""),
        kept.ids["u6"]: ("added", "not known to it"),
    }


def test_other_bytes_and_missing_files_are_found_by_the_sample(kept):
    folder = kept.folder / "there"
    shutil.move(folder / "u2.wav", folder / "away.wav")
    shutil.copy(folder / "u3.wav", kept.folder / "u3.wav")
    wav(folder / "u3.wav", seed=99, seconds=0.5)
    told, done = kept.verify("r2")
    shutil.move(folder / "away.wav", folder / "u2.wav")
    shutil.move(kept.folder / "u3.wav", folder / "u3.wav")
    assert isinstance(done.refusal, ReleaseDiffers)
    assert "2 of 6 files that were read differ" in str(done.refusal)
    lines = [line.split() for line in told.splitlines()]
    assert ["u2.wav", "MISSING"] in [line[:2] for line in lines]
    assert ["u3.wav", "other", "bytes"] in [line[:3] for line in lines]
    assert kept.verify("r2", sample=0)[1].refusal is None


def test_another_seed_draws_other_files(kept):
    build = kept.lake.read("releases").where("release = 'r1'").collect()[0].build_id
    drawn = [
        {row.path for row in files_read(kept.lake, build, 3, seed=seed).collect()} for seed in (1, 1, 2, 3)
    ]
    assert drawn[0] == drawn[1]
    assert len(set.union(*drawn)) > 3


def test_rows_that_somebody_changed_are_found_by_digest_gate_and_diff(kept):
    from delta.tables import DeltaTable

    build: Any = kept.lake.read("releases").where("release = 'r2'").collect()[0].build_id
    trained = kept.lake.read("splits").where(f"build_id = '{build}' AND split = 'train'")
    victim = (
        trained.orderBy("utterance_id").where(f"utterance_id != '{kept.ids['u6']}'").collect()[0].utterance_id
    )
    table, row = DeltaTable.forPath(kept.lake.spark, kept.lake.path("splits")), f"utterance_id = '{victim}'"
    table.update(f"build_id = '{build}' AND {row}", {"split": "'dev'"})
    _, verified = kept.verify("r2", sample=0)
    told, differing = kept.diff()
    table.update(f"build_id = '{build}' AND {row}", {"split": "'train'"})
    assert isinstance(verified.refusal, ReleaseDiffers)
    assert f"moved {victim} on dev, train" in str(verified.refusal)
    assert "was recorded" in str(verified.refusal)
    assert isinstance(differing.refusal, LeakFound)
    assert f"1 rows moved between sides within scheme 'main', which must never happen: {victim}" in str(
        differing.refusal
    )
    assert "Moved between sides" in told
    assert kept.verify("r2", sample=0)[1].refusal is None


def test_lists_of_evaluation_sets_are_asked_again_by_what_the_release_read(kept):
    from delta.tables import DeltaTable

    policy, ids = kept.folder / "listed.yaml", kept.folder / "test.txt"
    policy.write_text(
        "name: listed\ntext: {prefer: [manifest]}\nlists: {test: test.txt}\nsplits: {scheme: listed, salt: 3}\n"
    )
    ids.write_text("# chosen by hand\nu2\nu3\n")
    build_splits.run(kept.lake, *read_policy(policy), release="r-listed", progress=QUIET)
    rows = tables(kept.lake, ["fixed_sets"])["fixed_sets"]
    assert {(row["utterance_id"], row["side"], row["file"]) for row in rows} == {
        (kept.ids[name], "test", str(ids)) for name in ("u2", "u3")
    }
    # Lost by hand, they are put back by the same command.
    DeltaTable.forPath(kept.lake.spark, kept.lake.path("fixed_sets")).delete("side = 'test'")
    build_splits.run(kept.lake, *read_policy(policy), release="r-listed", progress=QUIET)
    assert tables(kept.lake, ["fixed_sets"])["fixed_sets"] == rows
    told, done = kept.verify("r-listed", sample=0)
    assert "list of test: 2 utterances, list unchanged" in told
    ids.write_text("u2\nu4\n")
    assert f"list changed since: {ids}" in kept.verify("r-listed", sample=0)[0]
    ids.unlink()
    told, done = kept.verify("r-listed", sample=0)
    assert f"list absent: {ids}" in told
    assert done.refusal is None
    # One of them in dev, as if it were nobody's list: the list is gone, and the release knows what it said.
    DeltaTable.forPath(kept.lake.spark, kept.lake.path("splits")).update(
        f"build_id = '{done.counts['build_id']}' AND utterance_id = '{kept.ids['u3']}'", {"split": "'dev'"}
    )
    assert f"listed {kept.ids['u3']} on dev" in str(kept.verify("r-listed", sample=0)[1].refusal)
