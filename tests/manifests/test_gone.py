"""A manifest that is deleted, renamed or moved inside a folder SOURCE: what only it listed retires, and may return."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lake_tools import Played, column, ingest, says, tables, wav, write_lines

from speechlake.corpora import make_corpus
from speechlake.ids import utterance_id
from speechlake.manifests.gone import gone_versions
from speechlake.manifests.references import Roots
from speechlake.schemas import SEGMENTATIONS, UTTERANCES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from speechlake.lake import Lake


def row(sha256: str = "abc", format: str = "nemo") -> dict[str, Any]:
    return {"sha256": sha256, "parser_version": "1/x", "format": format, "max_reject": 0.05}


def gone(
    folder: Path, known: dict[str, dict[str, Any]], found: set[str] = frozenset(), **said: Any
) -> set[str]:  # type: ignore[assignment]
    """Uris of the known manifests that are gone from `folder` (or from `sources`), the root `audio` by default."""
    roots = Roots.of(said.pop("roots", {"audio": str(folder)}), said.pop("former", None))
    corpus = make_corpus(name="c", **{"sources": (str(folder),), **said})
    return {version["uri"] for version in gone_versions(corpus, roots, known, found)}


def test_a_known_manifest_whose_file_is_not_in_a_named_folder_is_gone(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "there.jsonl").touch()
    known = {name: row() for name in ("audio:a.jsonl", "audio:sub/b.jsonl", "audio:sub/there.jsonl")}
    assert gone(tmp_path, known) == {"audio:a.jsonl", "audio:sub/b.jsonl"}
    assert gone(tmp_path, known, sources=(str(tmp_path / "sub"),)) == {"audio:sub/b.jsonl"}


def test_a_gone_version_has_no_hash_and_the_rest_of_the_last_one(tmp_path: Path) -> None:
    corpus = make_corpus(name="c", sources=(str(tmp_path),))
    (version,) = gone_versions(corpus, Roots.of({"audio": str(tmp_path)}), {"audio:a.jsonl": row()}, set())
    assert version == {"uri": "audio:a.jsonl", **row(sha256="")}


def test_what_was_found_or_gone_before_is_not_gone_again(tmp_path: Path) -> None:
    assert gone(tmp_path, {"audio:a.jsonl": row()}, {"audio:a.jsonl"}) == set()
    known = {"audio:a.jsonl": row(sha256="")}
    assert gone(tmp_path, known) == set()
    # Unless the tables may hold once more what it listed.
    corpus, roots = make_corpus(name="c", sources=(str(tmp_path),)), Roots.of({"audio": str(tmp_path)})
    assert [v["uri"] for v in gone_versions(corpus, roots, known, set(), again=True)] == [*known]


def test_what_lies_outside_the_named_folders_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    known = {"audio:a.jsonl": row(), "audio:inside.jsonl": row(), "/elsewhere/a.jsonl": row()}
    assert gone(tmp_path / "in", known, roots={"audio": str(tmp_path)}) == set()
    manifest = write_lines(tmp_path / "b.jsonl", says("a.wav"))
    assert gone(tmp_path, known, sources=(str(manifest),)) == set()


def test_manifests_under_no_root_under_a_deeper_one_and_under_a_former_place_are_known_too(
    tmp_path: Path,
) -> None:
    lists, deep = tmp_path / "lists", tmp_path / "lists" / "deep"
    deep.mkdir(parents=True)
    assert gone(lists, {f"{lists}/a.jsonl": row()}, roots={"audio": "/x"}) == {f"{lists}/a.jsonl"}
    assert gone(lists, {"deep:a.jsonl": row()}, roots={"deep": str(deep)}) == {"deep:a.jsonl"}
    former = {"audio": [str(lists)]}
    assert gone(lists, {"audio:a.jsonl": row()}, roots={"audio": "/x"}, former=former) == {"audio:a.jsonl"}
    odd = f"file://{lists}/%FF.jsonl"
    assert gone(lists, {odd: row()}, roots={"audio": str(lists)}) == {odd}


def test_a_manifest_of_another_format_than_the_run_names_is_not_gone(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").touch()
    assert gone(tmp_path, {"audio:a.tsv": row(format="tsv")}, format="nemo") == set()


def test_a_folder_of_audio_that_holds_manifests_now_is_no_manifest_any_more(tmp_path: Path) -> None:
    known = {"audio:.": row(format="folder")}
    assert gone(tmp_path, known, {"audio:m.jsonl"}) == {"audio:."}
    assert gone(tmp_path, known, {"audio:m.jsonl"}, format="nemo") == set()


# --- one corpus over time ---------------------------------------------------------------------------


class Story:
    """A corpus of two folders of manifests; `after` holds its tables after each step."""

    def __init__(self, lake: Lake, folder: Path) -> None:
        self.lake, self.folder = lake, folder
        self.one, self.two = folder / "one", folder / "two"
        self.after, self.reports = Played(), Played()

    def line(self, name: str, text: str) -> bytes:
        return says(str(self.folder / "audio" / f"{name}.wav"), text)

    def step(self, name: str, *sources: Path) -> None:
        roots = {"audio": str(self.folder / "audio")}
        self.reports[name] = ingest(self.lake, *(sources or (self.one, self.two)), roots=roots)
        self.after[name] = tables(self.lake)

    def now(self, step: str, what: str = "retired_in") -> dict[str, Any]:
        """{file: value of its utterance} after a step."""
        files = column(self.after[step]["recordings"], "recording_id", "path")
        return {files[row["recording_id"]][:-4]: row[what] for row in self.after[step]["utterances"]}

    def retired(self, step: str) -> set[str]:
        return {name for name, label in self.now(step).items() if label}


@pytest.fixture(scope="module")
def story(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """`new`, a manifest `deleted`, nothing more (`again`), it is `back`, `renamed` with another text; two go
    from a folder that is `not named` in the run, then is, and another has moved there."""
    from speechlake.lake import Lake

    folder = tmp_path_factory.mktemp("gone")
    told = Story(Lake(spark, folder / "lake"), folder)
    told.after.steps = told.reports.steps = steps(told, folder)
    return told


def steps(told: Story, folder: Path) -> Iterator[None]:
    """What happens to the manifests, one ingest after another."""
    for n, name in enumerate("abcde"):
        wav(folder / "audio" / f"{name}.wav", seed=n)
    first = told.one / "first.jsonl"
    lines = [told.line("a", "one"), told.line("b", "two")]
    write_lines(first, *lines)
    write_lines(told.one / "second.jsonl", told.line("b", "two"), told.line("c", "three"))
    write_lines(told.two / "other.jsonl", told.line("d", "four"))
    write_lines(told.two / "rest.jsonl", told.line("e", "five"))
    told.step("new")
    yield
    first.unlink()
    told.step("deleted")
    yield
    told.step("again")
    yield
    write_lines(first, *lines)
    told.step("back")
    yield
    first.unlink()
    write_lines(told.one / "renamed.jsonl", told.line("a", "ONE"), told.line("b", "two"))
    told.step("renamed")
    yield
    (told.two / "other.jsonl").unlink()
    (told.two / "rest.jsonl").unlink()
    told.step("not named", told.one)
    yield
    (told.one / "second.jsonl").rename(told.two / "second.jsonl")
    told.step("named")
    yield


@pytest.mark.long
@pytest.mark.slow
def test_what_only_a_deleted_manifest_listed_retires(story: Story) -> None:
    label = f"{story.one}/first.jsonl#2"
    assert story.now("deleted") == {"a": label, "b": None, "c": None, "d": None, "e": None}
    assert story.now("deleted", "manifest_uri")["b"] == f"{story.one}/second.jsonl"
    assert column(story.after["deleted"]["transcripts"], "text", "retired_in")["one"] == label
    assert column(story.after["deleted"]["recordings"], "path", "retired_in")["a.wav"] == label


@pytest.mark.long
@pytest.mark.slow
def test_a_deleted_manifest_has_an_accepted_version_without_lines(story: Story) -> None:
    second = {m["uri"]: m for m in story.after["deleted"]["manifests"] if m["generation"] == 2}
    # The other one inherited b, and was read anew to say what it says of it.
    assert second.keys() == {f"{story.one}/{name}.jsonl" for name in ("first", "second")}
    version = second[f"{story.one}/first.jsonl"]
    assert (version["sha256"], version["accepted"], version["lines"]) == ("", True, 0)
    assert story.reports["deleted"].counts["manifests_gone"] == 1


@pytest.mark.long
@pytest.mark.slow
def test_a_manifest_that_is_still_gone_is_nothing_to_do(story: Story) -> None:
    assert story.reports["again"].outcome == "nothing to do"
    assert story.after["again"] == story.after["deleted"]


@pytest.mark.slow
@pytest.mark.long
def test_utterances_return_with_their_manifest(story: Story) -> None:
    assert story.retired("back") == set()
    assert story.now("back", "utterance_id") == story.now("new", "utterance_id")


@pytest.mark.slow
@pytest.mark.long
def test_a_manifest_that_is_renamed_and_corrected_is_not_held_against_its_old_name(story: Story) -> None:
    assert story.reports["renamed"].refusal is None
    assert story.retired("renamed") == set()
    texts = column(story.after["renamed"]["transcripts"], "text", "retired_in")
    assert (texts["ONE"], texts["one"] is None) == (None, False)
    assert story.now("renamed", "manifest_uri")["a"] == f"{story.one}/renamed.jsonl"


@pytest.mark.slow
@pytest.mark.long
def test_a_folder_that_a_run_does_not_name_is_left_alone(story: Story) -> None:
    assert story.reports["not named"].outcome == "nothing to do"
    assert story.retired("not named") == set()


@pytest.mark.slow
@pytest.mark.long
def test_what_several_manifests_let_go_of_at_once_is_marked_with_its_own(story: Story) -> None:
    marks = {name: f"{story.two}/{name}.jsonl#2" for name in ("other", "rest")}
    assert {k: v for k, v in story.now("named").items() if v} == {"d": marks["other"], "e": marks["rest"]}
    recordings = column(story.after["named"]["recordings"], "path", "retired_in")
    assert (recordings["d.wav"], recordings["e.wav"]) == (marks["other"], marks["rest"])


@pytest.mark.slow
@pytest.mark.long
def test_a_manifest_that_moves_from_one_named_folder_to_another_keeps_its_utterances(story: Story) -> None:
    assert story.now("named")["c"] is None
    assert story.now("named", "manifest_uri")["c"] == f"{story.two}/second.jsonl"


@pytest.mark.slow
@pytest.mark.long
def test_a_manifest_read_with_other_options_repeats_what_it_says_now(lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    line = says(str(wav(folder / "a.wav")), other=str(wav(folder / "b.wav", seed=1)))
    for name in ("one", "two"):
        write_lines(folder / f"{name}.jsonl", line)
    ingest(lake, folder)
    ingest(lake, folder, columns={"audio": "other"})
    (now,) = (row for row in tables(lake)["utterances"] if row["retired_in"] is None)
    said = {row["utterance_id"] for row in tables(lake)["repeats"] if row["uri"] == "audio:two.jsonl"}
    assert now["utterance_id"] in said
    (folder / "one.jsonl").unlink()
    ingest(lake, folder, columns={"audio": "other"})
    (left,) = (row for row in tables(lake)["utterances"] if row["retired_in"] is None)
    assert (left["utterance_id"], left["manifest_uri"]) == (now["utterance_id"], "audio:two.jsonl")


@pytest.mark.slow
@pytest.mark.long
def test_what_a_restored_table_holds_of_a_deleted_manifest_retires_again(lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    for name in ("one", "two"):
        write_lines(folder / f"{name}.jsonl", says(str(wav(folder / f"{name}.wav"))))
    ingest(lake, folder)
    before = lake.version("utterances")
    (folder / "one.jsonl").unlink()
    ingest(lake, folder)
    retired = tables(lake)
    lake.spark.sql(f"RESTORE TABLE delta.`{lake.path('utterances')}` TO VERSION AS OF {before}")
    assert tables(lake, ["utterances"]) != {"utterances": retired["utterances"]}
    assert ingest(lake, folder).outcome == "done"
    assert tables(lake) == retired
    assert ingest(lake, folder).outcome == "nothing to do"


@pytest.mark.slow
@pytest.mark.long
def test_a_segment_that_a_line_lists_by_now_is_the_lines_utterance(
    lake: Lake, rows: Any, tmp_path: Path
) -> None:
    audio = wav(tmp_path / "a.wav", seconds=3)
    manifest = write_lines(tmp_path / "m.jsonl", says(str(audio)))
    ingest(lake, manifest)
    (whole,) = tables(lake, ["utterances"])["utterances"]
    own = {name: value for name, value in whole.items() if name != "utterance_id"}
    cut = {}
    for start, end in ((0, 1000), (1000, 2500)):
        key = utterance_id(whole["recording_id"], whole["channel"], start, end)
        cut[key] = own | {"start_ms": start, "end_ms": end, "origin": "fp"}
    with lake.hold("segment-recordings", "c", "cut") as hold:
        heard = {"corpus": "c", "recording_id": whole["recording_id"], "fingerprint": "fp"}
        hold.append_missing("segmentations", rows(SEGMENTATIONS, (whole["utterance_id"], heard)))
        hold.append_missing("utterances", rows(UTTERANCES, *cut.items()))
        gone = (whole["utterance_id"], own | {"retired_in": "segmented:fp"})
        hold.merge("utterances", rows(UTTERANCES, gone), corpus="c")
    write_lines(manifest, says(str(audio), "said elsewhere", offset=0.0, duration=1.0))
    assert ingest(lake, manifest).outcome == "done"
    now = column(tables(lake)["utterances"], "end_ms", "origin", "retired_in")
    mark = "audio:m.jsonl#2"
    assert now == {None: ("manifest", mark), 1000: ("manifest", None), 2500: ("fp", mark)}
