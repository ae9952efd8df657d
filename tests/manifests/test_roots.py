"""Where a corpus's sources and audio lie: absolute in every table, wherever the command was given."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lake_tools import ingest, says, tables, wav, write_lines

from speechlake.corpora import make_corpus
from speechlake.errors import UsageError
from speechlake.hold import Hold
from speechlake.manifests.declared import corpus_row, newly_nested

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
