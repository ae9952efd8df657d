"""Where a corpus's sources and audio lie: absolute in every table, wherever the command was given."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lake_tools import ingest, says, tables, wav, write_lines

from speechlake.commands.ingest_manifests import _warnings
from speechlake.corpora import make_corpus
from speechlake.errors import ConfigError, UsageError
from speechlake.hold import Hold
from speechlake.manifests.contract import Source
from speechlake.manifests.declared import corpus_row, newly_nested, refuse_contradictions, refuse_unrooted
from speechlake.manifests.ingest import IngestResult
from speechlake.manifests.references import Roots
from speechlake.manifests.relisting import _told

if TYPE_CHECKING:
    from speechlake.lake import Lake


@pytest.mark.parametrize("given", ["corp/m.jsonl", "./corp/m.jsonl", "corp/../corp/m.jsonl"])
def test_a_source_on_the_command_line_is_taken_from_the_present_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    source = write_lines(tmp_path / "corp" / "m.jsonl", says("a.wav"))
    monkeypatch.chdir(tmp_path)
    corpus = make_corpus(name="c", sources=(given,))
    assert corpus.sources == (str(source),)
    assert [root["uri"] for root in corpus_row(corpus, None)["roots"]] == [str(tmp_path / "corp")]


@pytest.mark.parametrize("given", ["corp", "corp/", "../here/corp"])
def test_a_root_on_the_command_line_is_taken_from_the_present_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    corpus = make_corpus(name="c", sources=("m.jsonl",), roots={"audio": given, "far": "s3://b/audio"})
    assert [root["uri"] for root in corpus_row(corpus, None)["roots"]] == [
        str(tmp_path / "here" / "corp"),
        "s3://b/audio",
    ]


NESTED = [
    # before, now, (inner, outer)
    ({"a": "/x"}, {"a": "/x", "b": "/x/y"}, [("b", "a")]),
    ({"a": "/x", "b": "/z"}, {"a": "/x", "b": "/x/y"}, [("b", "a")]),  # the inner one moved
    ({"a": "/z", "b": "/x/y"}, {"a": "/x", "b": "/x/y"}, [("b", "a")]),  # the outer one moved
    ({"a": "/x", "b": "/x/y"}, {"a": "/x", "b": "/x/y"}, []),  # as it always was
    ({"a": "/", "b": "/x"}, {"a": "/", "b": "/x", "c": "/x/y"}, [("c", "a"), ("c", "b")]),
    ({"a": "/x"}, {"a": "/x", "b": "/x"}, [("a", "b"), ("b", "a")]),
    ({"a": "/x"}, {"a": "/x", "b": "/xy"}, []),
    ({"a": "s3://b/x"}, {"a": "s3://b/x", "b": "s3://b/x/y"}, [("b", "a")]),
]


@pytest.mark.parametrize(("before", "now", "nested"), NESTED)
def test_roots_inside_others_are_found_when_one_of_them_is_new_or_moved(
    before: dict[str, str], now: dict[str, str], nested: list[tuple[str, str]]
) -> None:
    assert newly_nested(before, now) == nested


@pytest.mark.parametrize("name", ["audio", "far", "data_root", "calls-2026.05"])
def test_a_root_has_a_plain_name(name: str) -> None:
    assert make_corpus(name="c", sources=("m.jsonl",), roots={name: "/x"}).roots == {name: "/x"}


@pytest.mark.parametrize("name", ["", "a:b", "x'y\n", "a/b", "-a", "A", "x" * 65])
def test_a_root_of_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="--audio-root: expected 1-64 lower-case letters"):
        make_corpus(name="c", sources=("m.jsonl",), roots={name: "/x"})


def test_two_roots_of_one_place_are_refused() -> None:
    corpus = make_corpus(name="c", sources=("m.jsonl",), roots={"a": "/x", "b": "/x/", "c": "/y"})
    with pytest.raises(UsageError, match="roots a and b of corpus c are one place: /x"):
        refuse_contradictions(None, corpus_row(corpus, None), None)  # type: ignore[arg-type]


def test_a_folder_of_audio_that_lies_under_no_root_is_refused() -> None:
    roots = Roots.of({"audio": "/data/calls-05"})
    for source in (Source("/data/calls-05/x", "folder", 0), Source("/data/lists/m.jsonl", "nemo", 9)):
        refuse_unrooted("calls", [source], roots)
    with pytest.raises(
        UsageError, match=r"(?s)/data/calls-06 lies under no root.*--audio-root NAME=/data/ca"
    ):
        refuse_unrooted("calls", [Source("/data/calls-06", "folder", 0)], roots)


def test_a_root_under_which_nothing_is_that_should_be_is_told(tmp_path: Path) -> None:
    result = IngestResult(empty_roots={("audio", "/data/cals"): 3})
    assert [*_warnings(result)] == [
        "none of 3 recordings is under audio = /data/cals: is --audio-root right?"
    ]
    gone, there = str(tmp_path / "gone"), str(tmp_path)
    assert _told("audio", "", "UNREADABLE", {"audio": gone}) == f"root audio is not there: {gone}"
    assert _told("audio", "", "UNREADABLE", {"audio": there}) == f"root audio cannot be listed: {there}"
    assert _told("audio", "b/c", "UNREADABLE", {}) == "audio:'b/c' (UNREADABLE)"


@pytest.mark.slow
def test_a_second_folder_of_audio_is_not_taken_for_the_first(lake: Lake, tmp_path: Path) -> None:
    """001.wav of both would be one recording, and all else in the second missing."""
    for name in ("one", "two"):
        wav(tmp_path / name / "001.wav")
    ingest(lake, tmp_path / "one")
    before = lake.versions()
    with pytest.raises(UsageError, match="two lies under no root"):
        ingest(lake, tmp_path / "two")
    assert lake.versions() == before


@pytest.mark.slow
def test_a_root_that_moves_into_one_with_recordings_is_refused(lake: Lake, tmp_path: Path) -> None:
    manifest = write_lines(tmp_path / "m.jsonl", says(str(wav(tmp_path / "near" / "a.wav"))))
    roots = {"near": str(tmp_path / "near"), "far": str(tmp_path / "far")}
    ingest(lake, manifest, roots=roots)
    before = lake.versions()
    with pytest.raises(UsageError, match=r"root far .* lies inside root near"):
        ingest(lake, manifest, roots=roots | {"far": str(tmp_path / "near" / "deeper")})
    assert lake.versions() == before


@pytest.mark.slow
def test_an_empty_root_whose_audio_was_there_is_a_mount_that_is_absent(lake: Lake, tmp_path: Path) -> None:
    audio = wav(tmp_path / "disk" / "a.wav")
    manifest = write_lines(tmp_path / "m.jsonl", says(str(audio)))
    roots = {"audio": str(tmp_path / "disk")}
    ingest(lake, manifest, roots=roots)
    before = lake.versions()
    audio.unlink()
    with pytest.raises(UsageError, match=r"root audio of corpus c is empty.*\n  Mount it"):
        ingest(lake, manifest, roots=roots)
    assert lake.versions() == before
    # Whoever deleted the audio says so by any file.
    (tmp_path / "disk" / "DELETED").touch()
    ingest(lake, manifest, roots=roots)
    assert [row["state"] for row in tables(lake, ("recordings",))["recordings"]] == ["missing"]


@pytest.fixture
def killed(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The manifest of a corpus of one clip in `here`; its first run was killed when its parse was staged."""
    audio = wav(tmp_path / "here" / "a.wav")
    manifest = write_lines(tmp_path / "m.jsonl", says(str(audio), "one"))

    def dies(*said: Any, **more: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Hold, "append_missing", dies)
    with pytest.raises(KeyboardInterrupt):
        ingest(lake, manifest, roots={"audio": str(tmp_path / "here")})
    monkeypatch.undo()
    assert lake.versions() == {}
    return manifest


@pytest.mark.slow
@pytest.mark.long
def test_audio_that_moves_between_a_killed_run_and_the_next_keeps_its_former_place(
    lake: Lake, tmp_path: Path, killed: Path
) -> None:
    shutil.move(tmp_path / "here", tmp_path / "there")
    ingest(lake, killed, roots={"audio": str(tmp_path / "there")})
    found = tables(lake, ("corpora", "recordings", "utterances"))
    assert found["corpora"][0]["roots"] == [
        {"name": "audio", "uri": str(tmp_path / "there"), "former_uris": [str(tmp_path / "here")]}
    ]
    assert [(row["path"], row["state"]) for row in found["recordings"]] == [("a.wav", "present")]
    assert len(found["utterances"]) == 1


@pytest.mark.slow
@pytest.mark.long
def test_what_a_killed_run_staged_binds_the_next_run(lake: Lake, tmp_path: Path, killed: Path) -> None:
    with pytest.raises(UsageError, match="ids=interval"):
        ingest(lake, killed, roots={"audio": str(tmp_path / "here")}, ids="source")
    assert lake.read("utterances").count() == 1
