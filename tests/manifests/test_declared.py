"""What is declared of a corpus stays until something else is said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lake_tools import ingest, says, write_lines

from speechlake.jobs.ingest_manifests import arguments, corpus_of
from speechlake.manifests.declared import known_corpus
from speechlake.splits.candidates import links

if TYPE_CHECKING:
    from speechlake.lake import Lake

SAID: dict[str, Any] = {
    "role": "evaluation",
    "licence": "CC0-1.0",
    "speaker_namespace": "librivox",
    "single_speaker": True,
    "text_tags": ["read"],
    "channels": "mix",
}


def told(lake: Lake) -> dict[str, Any]:
    row = known_corpus(lake, "c")
    assert row is not None
    return {name: row[name] for name in SAID}


@pytest.mark.slow
def test_a_command_that_names_manifests_alone_takes_back_nothing(lake: Lake, tmp_path: Path) -> None:
    """Else a benchmark would become training data, and a speaker another person."""
    write_lines(tmp_path / "a.jsonl", says("a.wav", "a", speaker="7"))
    ingest(lake, tmp_path, **SAID)
    assert told(lake) == SAID
    write_lines(tmp_path / "b.jsonl", says("b.wav", "b", speaker="7"))
    ingest(lake, tmp_path)
    assert told(lake) == SAID
    speakers = lake.read("utterances").select("speaker_id").distinct().collect()
    assert [row.speaker_id for row in speakers] == ["librivox:7"]
    ingest(lake, tmp_path, role="training", single_speaker=False)
    assert told(lake) == SAID | {"role": "training", "single_speaker": False}


def test_the_command_line_says_only_what_is_given() -> None:
    def said(*flags: str) -> set[str]:
        parsed = arguments().parse_args(["--lake", "x", "--corpus", "c", *flags, "m.jsonl"])
        return corpus_of(parsed).model_fields_set & {*SAID, "language", "ids"}

    assert said() == set()
    assert said("--role", "training", "--no-single-speaker") == {"role", "single_speaker"}
    assert said("--text-tag", "read", "--ids", "source") == {"text_tags", "ids"}


def test_an_empty_flag_takes_back_what_the_lake_remembers() -> None:
    flags = ["--licence=", "--language=", "--speaker-namespace=", "--text-tag="]
    corpus = corpus_of(arguments().parse_args(["--lake", "x", "--corpus", "c", *flags, "m.jsonl"]))
    known = {"licence": "CC0-1.0", "language": "en", "speaker_namespace": "librivox", "text_tags": ["read"]}
    others = dict.fromkeys(("single_speaker", "channels", "ids", "role"))
    found = corpus.with_known(known | others)
    assert (found.licence, found.language, found.namespace, found.text_tags) == (None, None, "c", ())


@pytest.mark.slow
def test_a_corpus_with_several_known_speakers_is_not_single_whatever_is_declared(
    lake: Lake, tmp_path: Path
) -> None:
    write_lines(tmp_path / "m.jsonl", *(says(f"{n}.wav", "t", speaker=f"s{n}") for n in range(3)))
    several = ingest(lake, tmp_path, corpus="several", single_speaker=True)
    assert several.refusal is None
    write_lines(tmp_path / "one" / "m.jsonl", says("x.wav", "t", speaker="s"), says("y.wav", "t"))
    ingest(lake, tmp_path / "one", corpus="one", single_speaker=True)
    found = links(lake).select("corpus", "single_speaker").distinct().collect()
    assert {row.corpus: row.single_speaker for row in found} == {"several": False, "one": True}
