"""Requests: what they may say, and what is refused by name before anything is read."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from speechlake.config import loads
from speechlake.erasure import request
from speechlake.erasure.request import has_word, load_request
from speechlake.errors import ConfigError, UsageError
from speechlake.ids import recording_id

HEAD = "reference: p-17\nrequested_by: Zoe Falke\ndate: 2026-11-25\nerase:\n"


def write(path: Path, text: str) -> Path:
    file = path / "request.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_request_names_speakers_recordings_utterances_and_corpora(tmp_path: Path) -> None:
    said = load_request(
        write(
            tmp_path,
            HEAD
            + '  - {speaker: "0012", namespace: calls}\n'
            + "  - {speaker: zoe, corpus: calls}\n"
            + "  - {path: a/zoe.wav, corpus: calls}\n"
            + f"  - {{recording: {'a' * 32}}}\n"
            + f"  - {{utterance: {'b' * 32}}}\n"
            + "  - {source_id: zoe-1, corpus: calls}\n"
            + "  - {corpus: pilot}\n",
        )
    )
    kinds = [subject.kind for subject in said.erase]
    assert kinds == ["speaker", "speaker", "recording", "recording", "utterance", "source_id", "corpus"]
    assert said.erase[2].recording_id == recording_id("calls", "audio", "a/zoe.wav")
    assert [*said.erase[2].names()] == ["a/zoe.wav"]
    assert (said.date, said.reference) == ("2026-11-25", "p-17")


def test_the_example_of_the_docstring_is_a_request() -> None:
    _, example = str(request.__doc__).split("\n\n", 1)
    ids = example.replace("5f0c…", "a" * 32).replace("91ab…", "b" * 32)
    assert len(loads(ids, "example", request.Request).erase) == 7


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        # YAML makes a number of it: whose speaker that is must be said in quotes.
        ("{speaker: 1272, namespace: calls}", "speaker: expected text, found 1272"),
        ("{speaker: zoe}", "expected one of"),
        ("{speaker: zoe, recording: abc}", "expected an id of 32 hex digits"),
        ("{utterance: b, corpus: calls}", "expected an id of 32 hex digits"),
        ("{speeker: zoe, corpus: calls}", "did you mean 'speaker'"),
        ("{}", "says nothing"),
    ],
)
def test_an_entry_that_is_not_clear_is_refused(tmp_path: Path, entry: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        load_request(write(tmp_path, f"{HEAD}  - {entry}\n"))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("requested_by: a\ndate: 2026-11-25\nerase: [{corpus: c}]\n", "reference"),
        (HEAD.replace("2026-11-25", '"2026-11-31"') + "  - {corpus: c}\n", "is no day"),
        (HEAD.replace("p-17", "for zoe") + "  - {speaker: Zoe, corpus: c}\n", "must not hold"),
        (HEAD.replace("p-17", "end of pilot") + "  - {corpus: pilot}\n", "must not hold"),
        (HEAD.replace("erase:\n", "erase: []\n"), "at least 1"),
    ],
)
def test_a_request_says_why_and_when_and_its_reference_names_nobody(
    tmp_path: Path, text: str, what: str
) -> None:
    with pytest.raises(ConfigError, match=what):
        load_request(write(tmp_path, text))


def test_a_reference_may_name_the_corpus_that_somebody_is_erased_from(tmp_path: Path) -> None:
    text = HEAD.replace("p-17", "calls 17") + "  - {speaker: zoe, corpus: calls}\n"
    assert load_request(write(tmp_path, text)).reference == "calls 17"


def test_the_order_of_entries_makes_no_other_request(tmp_path: Path) -> None:
    one = load_request(write(tmp_path, HEAD + "  - {corpus: a}\n  - {corpus: b}\n"))
    other = load_request(write(tmp_path, HEAD + "  - {corpus: b}\n  - {corpus: a}\n"))
    assert one.canonical() == other.canonical()


def test_a_request_that_was_changed_since_it_was_approved_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, HEAD + "  - {corpus: a}\n")
    approved = sha256(file.read_bytes()).hexdigest()
    assert load_request(file, sha256=approved).erase[0].corpus == "a"
    write(tmp_path, HEAD + "  - {corpus: b}\n")
    with pytest.raises(UsageError, match=f"expected {approved}"):
        load_request(file, sha256=approved)


def test_names_are_looked_for_as_whole_words() -> None:
    assert has_word('{"sources":["/data/17.jsonl"]}', "17")
    assert has_word("the talks of Zoe.", "zoe")
    assert not has_word("2017 and 171", "17")


def test_names_are_looked_for_in_both_forms_of_their_accents() -> None:
    composed, parted = "Jos\u00e9", "Jose\u0301"
    for text in (composed, parted):
        for name in (composed, parted):
            assert has_word(f"talks/{text}.wav", name)
    assert not has_word("Jose", composed)
