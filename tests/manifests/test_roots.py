"""Where a corpus's sources and audio lie: absolute in every table, wherever the command was given."""

from __future__ import annotations

from pathlib import Path

import pytest
from lake_tools import says, write_lines

from speechlake.corpora import make_corpus
from speechlake.manifests.ingest import corpus_row


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
