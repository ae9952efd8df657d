"""What is declared of a corpus stays until something else is said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lake_tools import ingest, says, tables, write_lines

from speechlake.commands.ingest_manifests import arguments, corpus_of
from speechlake.corpora import READING
from speechlake.errors import UsageError
from speechlake.manifests.declared import known_corpus
from speechlake.manifests.versions import only_options_differ
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
        return corpus_of(parsed).model_fields_set & {*SAID, "language", "ids", *READING}

    assert said() == set()
    assert said("--role", "training", "--no-single-speaker") == {"role", "single_speaker"}
    assert said("--text-tag", "read", "--ids", "source") == {"text_tags", "ids"}
    assert said("--suffix", ".opus", "--column", "text=said") == {"suffix", "columns"}
    assert said("--relative-to", "auto", "--quoting", "none") == {"relative_to", "quoting"}


def test_an_empty_flag_takes_back_what_the_lake_remembers() -> None:
    flags = ["--licence=", "--language=", "--speaker-namespace=", "--text-tag="]
    corpus = corpus_of(arguments().parse_args(["--lake", "x", "--corpus", "c", *flags, "m.jsonl"]))
    known = {"licence": "CC0-1.0", "language": "en", "speaker_namespace": "librivox", "text_tags": ["read"]}
    others = dict.fromkeys(("single_speaker", "channels", "ids", "role"))
    found = corpus.with_known(known | others)
    assert (found.licence, found.language, found.namespace, found.text_tags) == (None, None, "c", ())


@pytest.mark.parametrize(
    ("before", "sha256", "now", "only"),
    [
        ("2/o/n/p", "same", "2/x/n/p", True),
        ("2/o/n/p", "same", "2/o/n/q", False),  # the roots moved
        ("2/o/n/p", "same", "3/x/n/p", False),  # another parser
        ("2/o/n/p", "other", "2/x/n/p", False),
        ("1", "same", "2/x/n/p", False),
    ],
)
def test_options_are_all_that_differs(before: str, sha256: str, now: str, only: bool) -> None:
    known = {"parser_version": before, "sha256": sha256}
    assert only_options_differ(known, {"parser_version": now, "sha256": "same"}) == only


@pytest.mark.slow
def test_manifests_are_not_read_otherwise_by_a_command_that_forgets_how_they_were_read(
    lake: Lake, tmp_path: Path
) -> None:
    write_lines(tmp_path / "m.jsonl", says("a.wav", other="b c.wav"))
    ingest(lake, tmp_path, columns={"audio": "other"}, relative_to="root")
    before = lake.versions()
    with pytest.raises(
        UsageError, match="were read with --column audio=other --relative-to root and did not"
    ):
        ingest(lake, tmp_path)
    assert lake.versions() == before
    ingest(lake, tmp_path, relative_to="auto")
    paths = {row["path"]: row["retired_in"] is None for row in tables(lake, ["recordings"])["recordings"]}
    assert paths == {"a.wav": True, "b c.wav": False}
    assert ingest(lake, tmp_path).outcome == "nothing to do"


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
