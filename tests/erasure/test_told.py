"""What the report of an erasure says where there is more than it lists, and where it may lie."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from erasure_story import request

from speechlake.commands import erase_speakers
from speechlake.erasure import report
from speechlake.errors import UsageError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NOWHERE: Any = None
ASKED: Any = {
    "reference": "r",
    "requested_by": "Zoë",
    "date": "2026-11-27",
    "lake": "/lake",
    "asked": ["corpus 'c'"],
    "rows": {},
    "redacted": {},
    "releases": [],
    "mentions": [],
}


def test_what_is_not_listed_is_counted_with_its_roots(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "FILES_TOLD", 2)
    few = spark.createDataFrame([("a",), ("b",), ("b",)], "place string")
    many = spark.createDataFrame([(name,) for name in "dcba"], "place string")
    said = {
        **ASKED,
        "roots": ["/audio", "s3://calls"],
        **report._told("files", many),
        **report._told("shared_files", many),
        **report._told("manifests", few),
    }
    report.write_report(tmp_path / "r.md", said, report.DONE, "run")
    text = (tmp_path / "r.md").read_text(encoding="utf-8")
    assert "* `a`\n* `b`\n* and 2 more\n" in text
    assert "Of the files 2 are listed; 2 more lie under /audio, s3://calls." in text
    assert "4 recordings stay because others speak in them" in text
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["more_manifests"] == 0


def test_a_place_where_no_report_can_be_written_is_refused_at_the_start_and_another_is_left_as_it_was(
    tmp_path: Path,
) -> None:
    lake: Any = SimpleNamespace(root=str(tmp_path / "lake"), is_local=True)
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "file" / "r.md"):
        with pytest.raises(UsageError, match=r"--report .* cannot be written"):
            report.require_place(place, lake)
    report.require_place(tmp_path / "new" / "r.md", lake)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_report_does_not_take_the_place_of_the_json_beside_it(tmp_path: Path) -> None:
    lake: Any = SimpleNamespace(root=str(tmp_path / "lake"), is_local=True)
    (tmp_path / "link.md").symlink_to("link.json")
    for name in ("r.json", "link.md"):
        with pytest.raises(UsageError, match="is the file of the JSON"):
            report.require_place(tmp_path / name, lake)
    report.require_place(tmp_path / "json", lake)


def test_the_terminal_is_told_how_much_is_left_to_look_at_and_no_name() -> None:
    said: list[str] = []
    progress: Any = SimpleNamespace(say=said.append)
    for account in (None, ASKED, {**ASKED, "mentions": ["speaker ns:zoe stays", "corpus zoe"]}):
        erase_speakers._say_what_is_left(request(), account, progress)
    assert said == ["p-17: 2 left to look at, which --report tells"]


@pytest.mark.parametrize("asked", ["r.json", "r.md", "../{folder}/r.md"])
def test_a_report_does_not_take_the_place_of_its_request(tmp_path: Path, asked: str) -> None:
    file = tmp_path / asked.format(folder=tmp_path.name)
    with pytest.raises(UsageError, match="is the file of the --request"):
        erase_speakers._read(argparse.Namespace(report=tmp_path / "r.md", request=file, sha256=None))
    report.require_apart(tmp_path / "r.md", tmp_path / "r.yaml")
    report.require_apart(None, file)


@pytest.mark.parametrize("state", [report.UNDER_WAY, report.DONE])
def test_a_plan_made_again_takes_no_answers_place_and_another_requests_does(
    tmp_path: Path, state: str
) -> None:
    path = tmp_path / "r.md"
    said = {**ASKED, "roots": [], "files": ["a.wav"], "shared_files": [], "manifests": []}
    emptied = {**said, "files": []}
    report.write_report(path, said, state, "run")
    answer = path.read_text(encoding="utf-8")
    report.write_report(path, emptied, report.PLANNED, "none")
    assert path.read_text(encoding="utf-8") == answer
    assert (report.begun_report(path, "r") or {}).get("files") == (
        ["a.wav"] if state == report.UNDER_WAY else None
    )
    report.write_report(path, {**emptied, "reference": "other"}, report.PLANNED, "none")
    assert "Plan of an erasure: other" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("fails", ["r.json", "r.md"])
def test_an_account_whose_last_writing_fails_is_still_the_one_that_was_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    path = tmp_path / "r.md"
    said = {**ASKED, "roots": [], "files": ["a.wav"], "shared_files": [], "manifests": []}
    report.write_report(path, said, report.UNDER_WAY, "run")
    path.chmod(0o600)

    def full(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name == f".{fails}.new":
            raise OSError("no space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space"):
            report.write_report(path, said, report.DONE, "run")
    assert report.begun_report(path, "r") == json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert "* `a.wav`" in path.read_text(encoding="utf-8")
    report.write_report(path, said, report.DONE, "run")
    assert "Erasure done" in path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == ["r.json", "r.md"]
