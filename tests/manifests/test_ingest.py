"""Ingest from files to tables: every line in one place, nothing twice, changes and kills included."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from lake_tools import Tables, column, ingest, says, tables, wav, write_lines

from speechlake.errors import TooManyRejected, UsageError
from speechlake.hold import Hold
from speechlake.manifests.parsed import RAW_LINE_BYTES
from speechlake.manifests.versions import parser_at

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from speechlake.lake import Lake

DEEP = b'{"audio_filepath": "a.wav", "x": ' + b"[" * 20_000 + b"]" * 20_000 + b"}"
TWICE = says("a.wav") + says("b.wav")
TOO_LONG = says("a.wav", "x" * (1 << 20))

REFUSED: list[tuple[bytes, str]] = [
    (b"{bad", "BAD_JSON"),
    (TWICE, "TWO_OBJECTS"),
    (b'{"audio_filepath": "a.wav", "audio_filepath": "b.wav"}', "DUPLICATE_KEY"),
    (b'["a.wav"]', "BAD_TYPE"),
    (says(7), "BAD_TYPE"),
    (says("a.wav", duration="0.1"), "BAD_TYPE"),
    (says("a.wav", duration=True), "BAD_TYPE"),
    (b'{"audio_filepath": "a.wav", "duration": NaN}', "BAD_NUMBER"),
    (b'{"audio_filepath": "a.wav", "duration": 1e999}', "BAD_NUMBER"),
    (b'{"audio_filepath": "a.wav", "duration": -1}', "BAD_INTERVAL"),
    (says("a.wav", offset=3, end=2), "BAD_INTERVAL"),
    (says("a.wav", channel="third"), "BAD_CHANNEL"),
    (b'{"audio_filepath": "a.wav", "text": "\xff"}', "BAD_UTF8"),
    (b'{"audio_filepath": "a.wav", "text": "\x00"}', "CONTROL_CHARACTER"),
    ('{"audio_filepath": "a.wav"}'.encode("utf-16"), "CONTROL_CHARACTER"),
    (b'{"audio_filepath": "a.wav", "text": "\\ud800"}', "LONE_SURROGATE"),
    (DEEP, "TOO_DEEP"),
    (TOO_LONG, "TOO_LONG"),
    (says(""), "MISSING_FIELD"),
    (b'{"text": "no audio"}', "MISSING_FIELD"),
    (says("touch pwned; cat a.wav |"), "PIPE"),
    (says("http://example.com/a.wav"), "BAD_SCHEME"),
    (says("concat:a.wav"), "BAD_SCHEME"),
    (says("../outside.wav"), "OUTSIDE_ROOT"),
    (says("file:///etc/passwd"), "OUTSIDE_ROOT"),
    (says("/etc/passwd"), "OUTSIDE_ROOT"),
    (says("a\nb.wav"), "CONTROL_CHARACTER"),
    (says("a.wav", "another word", speaker="ann"), "SAME_INTERVAL"),
]

GOOD: list[bytes] = [
    b"\xef\xbb\xbf" + says("a.wav", "one", speaker="ann"),  # a byte order mark at the first byte
    says("b.wav", "two", speaker="ann") + b"\r",  # CRLF
    says("sp ace 'q\" [x]{y}*#?%20.wav", "three", speaker="N/A"),
    says("名前/ñ.wav", "four", text_raw="FOUR!", mood="glad"),
    says("b.wav", "two", speaker="ann"),  # a repeat
    says("gone.wav", "five"),
    says("link.wav", "six"),
    says("fifo.wav", "seven"),
]
ALLOWED = {"max_reject": 0.9}


def shelf(folder: Path) -> Path:
    """The audio that `GOOD` names, links out of the root and to itself, a FIFO; and the manifest of all lines."""
    for n, name in enumerate(["a.wav", "b.wav", "sp ace 'q\" [x]{y}*#?%20.wav", "名前/ñ.wav"]):
        wav(folder / name, seed=n)
    (folder / "link.wav").symlink_to(wav(folder.parent / "outside.wav"))
    (folder / "loop.wav").symlink_to("loop.wav")
    os.mkfifo(folder / "fifo.wav")
    middle = len(REFUSED) // 2
    return write_lines(
        folder / "m.jsonl",
        GOOD[0],
        *[line for line, _ in REFUSED[:middle]],
        b"",
        *GOOD[1:4],
        b"  ",
        *[line for line, _ in REFUSED[middle:]],
        *GOOD[4:],
    )


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good and hostile lines in one file."""
    return shelf(tmp_path_factory.mktemp("hostile") / "shelf")


def empty_lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    from speechlake.lake import Lake

    return Lake(spark, tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def hostile(
    spark: SparkSession, manifest: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Lake, Tables]:
    """A lake with that manifest, and its tables."""
    lake = empty_lake(spark, tmp_path_factory)
    assert ingest(lake, manifest, **ALLOWED).refusal is None
    return lake, tables(lake)


@pytest.mark.slow
def test_every_line_is_an_utterance_a_repeat_or_in_quarantine(hostile):
    (row,) = hostile[1]["manifests"]
    assert row["lines"] == len(GOOD) + len(REFUSED)
    assert (row["utterances"], row["repeats"], row["quarantined"]) == (7, 1, len(REFUSED))
    rows = [len(hostile[1][name]) for name in ("utterances", "repeats", "quarantine")]
    assert rows == [7, 1, len(REFUSED)]


@pytest.mark.slow
def test_every_hostile_line_stands_in_quarantine_with_reason_number_and_bytes(hostile, manifest):
    lines = manifest.read_bytes().split(b"\n")
    found = {row["line_number"]: row for row in hostile[1]["quarantine"]}
    numbers = {lines.index(line) + 1: (reason, line[:RAW_LINE_BYTES]) for line, reason in REFUSED}
    assert column(list(found.values()), "line_number", "reason") == {
        n: said[0] for n, said in numbers.items()
    }
    raw = {n: bytes(row["raw_line"]) for n, row in found.items() if row["reason"] != "SAME_INTERVAL"}
    assert raw == {n: said[1] for n, said in numbers.items() if said[0] != "SAME_INTERVAL"}
    offsets = {n: sum(len(line) + 1 for line in lines[: n - 1]) for n in numbers}
    assert column(list(found.values()), "line_number", "byte_offset") == offsets


@pytest.mark.slow
def test_a_line_refused_by_comparison_keeps_its_bytes_too(hostile):
    (row,) = (row for row in hostile[1]["quarantine"] if row["reason"] == "SAME_INTERVAL")
    assert row["raw_line"] is not None


@pytest.mark.slow
def test_good_lines_between_hostile_ones_keep_their_texts_speakers_and_extras(hostile):
    texts = {(row["source"], row["text"]) for row in hostile[1]["transcripts"]}
    words = ("one", "two", "three", "four", "five", "six", "seven")
    assert texts == {*(("manifest", word) for word in words), ("manifest:text_raw", "FOUR!")}
    assert sorted(filter(None, (row["speaker_id"] for row in hostile[1]["utterances"]))) == ["c:ann"] * 2
    assert {"mood": "glad"} in [row["extras"] for row in hostile[1]["utterances"]]


@pytest.mark.slow
def test_files_are_present_and_what_is_no_file_is_missing(hostile):
    assert column(hostile[1]["recordings"], "path", "state") == {
        "a.wav": "present",
        "b.wav": "present",
        "sp ace 'q\" [x]{y}*#?%20.wav": "present",
        "名前/ñ.wav": "present",
        "link.wav": "present",  # listed as a file; the reader of audio refuses to leave the root
        "gone.wav": "missing",
        "fifo.wav": "missing",
    }


@pytest.mark.slow
def test_a_second_run_writes_no_version_of_any_table(hostile, manifest):
    lake, _ = hostile
    before = lake.versions()
    assert ingest(lake, manifest, **ALLOWED).outcome == "nothing to do"
    assert lake.versions() == before


@pytest.mark.slow
def test_a_corpus_whose_row_and_recordings_were_deleted_has_every_other_row_once_when_it_is_back(
    lake, tmp_path
):
    from delta.tables import DeltaTable

    wav(tmp_path / "a.wav")
    manifest = write_lines(tmp_path / "m.jsonl", says("a.wav", "one"), says("a.wav", "one"))
    ingest(lake, manifest)
    before = tables(lake)
    for name in ("corpora", "recordings"):
        DeltaTable.forPath(lake.spark, lake.path(name)).delete("corpus = 'c'")
    ingest(lake, manifest)
    assert tables(lake) == before


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    "killed_before",
    [
        ("utterances", "manifests"),
        pytest.param(("recordings", "transcripts", "repeats", "quarantine"), marks=pytest.mark.long),
    ],
)
def test_a_kill_before_any_tables_commit_leaves_the_same_tables_in_the_end(
    hostile, manifest, spark, tmp_path_factory, monkeypatch, killed_before
):
    lake = empty_lake(spark, tmp_path_factory)
    real = Hold.append_missing
    for table in killed_before:

        def killed(self: Hold, name: str, *said: Any, table: str = table, **more: Any) -> int:
            if name == table:
                raise KeyboardInterrupt
            return real(self, name, *said, **more)

        monkeypatch.setattr(Hold, "append_missing", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest(lake, manifest, **ALLOWED)
        monkeypatch.undo()
    ingest(lake, manifest, **ALLOWED)
    names = [name for name in hostile[0].versions() if name != "runs"]
    found, undisturbed = tables(lake, names, corpus="c"), tables(hostile[0], names, corpus="c")
    for name in names:
        assert found[name] == undisturbed[name], name
    assert not list(Path(lake.root, "_staging").rglob("*.parquet"))


ODD = [
    "plain.wav",
    "sp ace.wav",
    "quo'te\".wav",
    "[b]{r}*.wav",
    "_hidden.wav",
    ".dot.wav",
    "ж/深.wav",
    "a,b;c.wav",
]


@pytest.mark.slow
def test_a_second_corpus_of_oddly_named_files_changes_nothing_in_the_first(hostile, tmp_path):
    lake, before = hostile
    folder = tmp_path / "odd"
    for n, name in enumerate(ODD):
        wav(folder / name, seed=n)
    (folder / "line\nbreak.wav").write_bytes((folder / "plain.wav").read_bytes())
    Path(os.fsdecode(os.fsencode(folder) + b"/not-\xff-utf8.wav")).write_bytes(b"RIFF")
    (folder / "README.txt").write_text("no audio")
    report = ingest(lake, folder, corpus="odd", max_reject=0.5)
    assert (report.counts["lines"], report.counts["places_not_listed"]) == (len(ODD) + 2, 1)
    found = tables(lake, ("recordings", "quarantine"), corpus="odd")
    assert column(found["recordings"], "path", "state") == dict.fromkeys(ODD, "present")
    refused = sorted(row["reason"] for row in found["quarantine"])
    assert refused == ["CONTROL_CHARACTER", "NAME_NOT_UTF8"]
    assert tables(lake, list(before), corpus="c") == before


# --- one corpus over time ---------------------------------------------------------------------------


class Story:
    """A corpus of two manifests that changes; `after` holds its tables after each step."""

    def __init__(self, lake: Lake, folder: Path) -> None:
        self.lake, self.folder = lake, folder
        self.root = folder / "audio"
        self.first, self.second = folder / "lists" / "a.jsonl", folder / "lists" / "b.jsonl"
        self.after: dict[str, Tables] = {}
        self.versions: dict[str, dict[str, int]] = {}
        self.reports: dict[str, Any] = {}

    def line(self, name: str, text: str) -> bytes:
        """A line that names its audio absolutely, under the root's first place."""
        return says(str(self.folder / "audio" / f"{name}.wav"), text, speaker="s")

    def step(self, name: str, **said: Any) -> None:
        said = {"roots": {"audio": str(self.root)}, **said}
        self.reports[name] = ingest(self.lake, self.first, self.second, **said)
        self.after[name] = tables(self.lake)
        self.versions[name] = self.lake.versions()

    def now(self, step: str, what: str = "retired_in") -> dict[str, Any]:
        """{file: value of its utterance} after a step."""
        files = column(self.after[step]["recordings"], "recording_id", "path")
        return {files[row["recording_id"]][:-4]: row[what] for row in self.after[step]["utterances"]}

    def texts(self, step: str) -> dict[str, str | None]:
        return column(self.after[step]["transcripts"], "text", "retired_in")


@pytest.fixture(scope="module")
def story(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """`new`, then a manifest `changed`, `back` as it was, `refused` (twice), and the audio `moved`."""
    told = Story(empty_lake(spark, tmp_path_factory), tmp_path_factory.mktemp("story"))
    for n, name in enumerate(["u1", "u2", "u3", "u4"]):
        wav(told.root / f"{name}.wav", seed=n)
    lines = [told.line("u1", "one"), told.line("u2", "two"), told.line("u3", "three")]
    write_lines(told.first, *lines)
    write_lines(told.second, told.line("u2", "two"), told.line("u4", "four"), told.line("u6", "six"))
    told.step("new")
    write_lines(told.first, told.line("u1", "ONE"), told.line("u5", "five"))
    (told.root / "u4.wav").unlink()
    wav(told.root / "u6.wav", seed=6)
    told.step("changed")
    write_lines(told.first, *lines)
    told.step("back")
    write_lines(told.first, *lines, b"{bad", b"{worse")
    told.step("refused")
    told.step("refused again")
    write_lines(told.first, *lines)
    shutil.move(told.root, told.folder / "elsewhere")
    told.root = told.folder / "elsewhere"
    told.step("moved")
    return told


@pytest.mark.slow
def test_a_line_that_a_second_manifest_repeats_is_counted_and_owned_by_the_first(story):
    counts = column(story.after["new"]["manifests"], "uri", "utterances", "repeats")
    assert counts == {str(story.first): (3, 0), str(story.second): (2, 1)}
    assert story.now("new", "manifest_uri")["u2"] == str(story.first)


@pytest.mark.slow
def test_a_changed_manifest_adds_updates_and_retires(story):
    label = f"{story.first}#2"
    assert story.now("changed") == {
        "u1": None,
        "u2": None,
        "u3": label,
        "u4": None,
        "u5": None,
        "u6": None,
    }
    assert story.texts("changed") == {
        "one": label,
        "ONE": None,
        "two": None,
        "three": label,
        "four": None,
        "five": None,
        "six": None,
    }


@pytest.mark.slow
def test_a_manifest_that_repeats_a_dropped_line_becomes_its_owner(story):
    assert story.now("changed", "manifest_uri")["u2"] == str(story.second)


@pytest.mark.slow
def test_what_returns_is_no_longer_retired(story):
    label = f"{story.first}#3"
    assert story.now("back") == {
        "u1": None,
        "u2": None,
        "u3": None,
        "u4": None,
        "u5": label,
        "u6": None,
    }
    assert {text for text, retired in story.texts("back").items() if retired} == {"ONE", "five"}


@pytest.mark.slow
def test_recordings_retire_with_their_last_utterance_and_come_back_with_it(story):
    def retired(step: str) -> set[str]:
        return {row["path"] for row in story.after[step]["recordings"] if row["retired_in"]}

    assert [retired(step) for step in ("new", "changed", "back")] == [set(), {"u3.wav"}, {"u5.wav"}]


@pytest.mark.slow
def test_audio_that_vanishes_is_missing_and_audio_that_appears_is_present(story):
    def state(step: str) -> dict[str, str]:
        return column(story.after[step]["recordings"], "path", "state")

    assert (state("new")["u4.wav"], state("new")["u6.wav"]) == ("present", "missing")
    assert (state("changed")["u4.wav"], state("changed")["u6.wav"]) == ("missing", "present")


@pytest.mark.slow
def test_too_many_refused_lines_change_nothing_but_quarantine_manifests_and_runs(story):
    report = story.reports["refused"]
    assert isinstance(report.refusal, TooManyRejected)
    assert report.refusal.exit_code == 3
    assert "2 of 5 lines refused, " in str(report.refusal)
    before, after = story.versions["back"], story.versions["refused"]
    assert {name for name in after if after[name] != before.get(name)} == {"quarantine", "manifests", "runs"}
    newest = max(
        (m for m in story.after["refused"]["manifests"] if m["uri"] == str(story.first)),
        key=lambda m: m["generation"],
    )
    assert (newest["accepted"], newest["lines"], newest["quarantined"]) == (False, 5, 2)


@pytest.mark.slow
def test_a_refused_manifest_is_refused_again_without_being_parsed(story):
    report = story.reports["refused again"]
    assert isinstance(report.refusal, TooManyRejected)
    assert report.counts["manifests_parsed"] == 0
    assert story.versions["refused again"] == story.versions["refused"]


@pytest.mark.slow
def test_a_moved_corpus_keeps_its_ids_and_resolves_references_to_the_old_place(story):
    for step in ("back", "moved"):
        assert len(story.after[step]["utterances"]) == 6
    assert story.now("moved", "utterance_id") == story.now("back", "utterance_id")
    assert story.now("moved") == story.now("back")
    (corpus,) = story.after["moved"]["corpora"]
    assert corpus["roots"] == [
        {
            "name": "audio",
            "uri": str(story.folder / "elsewhere"),
            "former_uris": [str(story.folder / "audio")],
        }
    ]
    assert column(story.after["moved"]["recordings"], "path", "state")["u1.wav"] == "present"


@pytest.mark.slow
def test_sources_in_several_folders_need_a_root(lake, tmp_path):
    one = write_lines(tmp_path / "x" / "a.jsonl", says("a.wav"))
    two = write_lines(tmp_path / "y" / "b.jsonl", says("a.wav"))
    with pytest.raises(UsageError, match="several folders"):
        ingest(lake, one, two)
    assert lake.versions() == {}


@pytest.mark.slow
@pytest.mark.long
def test_lines_refused_for_a_wrong_root_are_taken_once_it_is_named_rightly(lake, tmp_path):
    manifest = write_lines(tmp_path / "lists" / "a.jsonl", *(says(str(tmp_path / "calls" / n)) for n in "xy"))
    refused = ingest(lake, manifest, roots={"audio": str(tmp_path / "cals")})
    assert isinstance(refused.refusal, TooManyRejected)
    assert "none of 2 lines can be taken" in str(refused.refusal)
    taken = ingest(lake, manifest, roots={"audio": str(tmp_path / "calls")})
    assert (taken.refusal, taken.counts["utterances"]) == (None, 2)
    assert ingest(lake, manifest, roots={"audio": str(tmp_path / "calls")}).outcome == "nothing to do"


PARSERS = [
    # the newest version's parser, refused lines and hash; what stands for the same parser over roots at p2
    (None, "2/o/p2"),
    (("2/o/p1", 0, "same"), "2/o/p1"),
    (("2/o/p1+3??", 0, "same"), "2/o/p1"),
    (("2/o/p1", 1, "same"), "2/o/p2"),
    (("2/o/p1", 0, "other"), "2/o/p2"),
    (("2/x/p1", 0, "same"), "2/o/p2"),
    (("2/ox/p1", 0, "same"), "2/o/p2"),
    (("2/o", 0, "same"), "2/o"),
    (("2/o", 1, "same"), "2/o/p2"),
]


@pytest.mark.parametrize(("known", "version"), PARSERS)
def test_roots_that_moved_matter_to_manifests_with_refused_lines_only(known, version):
    names = ("parser_version", "quarantined", "sha256")
    row = known and SimpleNamespace(**dict(zip(names, known, strict=True)))
    assert parser_at("2/o", "p2", "same", row) == version
