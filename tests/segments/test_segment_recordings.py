"""Segmentation from manifest to tables: cut once, mended by running again, followed by ingest."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from lake_tools import QUIET, Played, column, ingest, says, tables, write_lines
from long_audio import conversation, prompts, silence, write

from speechlake.commands import segment_recordings
from speechlake.errors import UsageError
from speechlake.hold import Hold
from speechlake.progress import Progress
from speechlake.segments.segmenter import Segmenter

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from speechlake.lake import Lake

pytestmark = pytest.mark.slow

DATA = ("recordings", "utterances", "transcripts", "content_hashes", "segmentations", "extractors")
HOW = Segmenter()
FP = HOW.identity().fingerprint
CUT = f"segmented:{FP}"


class Story:
    """One corpus, segmented again and again; what the tables held after each step."""

    def __init__(self, lake: Lake, folder: Path) -> None:
        self.lake, self.folder = lake, folder
        self.audio, self.manifest = folder / "audio", folder / "m.jsonl"
        self.after, self.reports, self.versions = Played(), Played(), Played()

    def played(self, steps: Iterator[object]) -> Story:
        """The same, that goes through `steps` as far as it is asked for."""
        for each in (self.after, self.reports, self.versions):
            each.steps = steps
        return self

    def lines(self, *lines: bytes) -> None:
        """Write the manifest and ingest it."""
        write_lines(self.manifest, *lines)
        ingest(self.lake, self.manifest, roots={"audio": str(self.audio)})

    def segment(self, step: str, how: Segmenter = HOW, **said: Any) -> None:
        self.reports[step] = segment_recordings.run(self.lake, how, corpus="c", progress=QUIET, **said)
        self.remember(step)

    def remember(self, step: str) -> None:
        self.after[step], self.versions[step] = tables(self.lake, DATA), self.lake.versions()

    def utterances(self, step: str, stem: str) -> list[dict[str, Any]]:
        """Rows of `utterances` of one file, by start; whole files first."""
        (key,) = [r["recording_id"] for r in self.after[step]["recordings"] if Path(r["path"]).stem == stem]
        rows = [r for r in self.after[step]["utterances"] if r["recording_id"] == key]
        return sorted(rows, key=lambda r: (r["start_ms"], -(r["end_ms"] or 1 << 62)))

    def current(self, step: str, stem: str) -> list[tuple[int, int | None]]:
        """Intervals of the current utterances of one file."""
        rows = self.utterances(step, stem)
        return [(r["start_ms"], r["end_ms"]) for r in rows if r["retired_in"] is None]

    def marks(self, step: str, stem: str) -> set[str | None]:
        """`retired_in` of the lines of one file."""
        return {r["retired_in"] for r in self.utterances(step, stem) if r["origin"] == "manifest"}


def fill(audio: Path, speech: Path) -> list[tuple[float, float]]:
    """The files of the corpus; where the prompts of `talk` are."""
    talk, places = conversation(prompts(speech, 10), 3.0)
    other, _ = conversation(prompts(speech, 10, voice="it_IT_m_Carlo"), 2.5)
    write(audio / "talk.wav", talk)
    write(audio / "told.wav", other)
    write(audio / "parts.wav", np.concatenate([talk, other]))
    write(audio / "short.wav", prompts(speech, 1)[0])
    write(audio / "told-short.wav", prompts(speech, 2)[1])
    write(audio / "silent.wav", silence(45))
    (audio / "broken.wav").write_bytes(b"RIFF\x10\x00\x00\x00WAVE" + b"nonsense" * 8)
    return places


TALK = says("talk.wav", note="kept", lang="en")
OTHERS = (
    says("told.wav", "all that was said"),
    says("told-short.wav", "a word"),
    says("short.wav"),
    says("silent.wav"),
    says("broken.wav"),
    says("parts.wav", offset=0.0, duration=40.0),
    says("parts.wav", "a long text", offset=40.0, duration=35.0),
    says("parts.wav", "a short one", offset=41.0, duration=5.0),
)


@pytest.fixture(scope="module")
def places() -> list[tuple[float, float]]:
    """Where the prompts of talk.wav are, once `story` has written it."""
    return []


@pytest.fixture(scope="module")
def story(
    spark: SparkSession,
    tmp_path_factory: pytest.TempPathFactory,
    request: Any,
    places: list[tuple[float, float]],
) -> Story:
    """first, again, other line, dropped, returned, audio changed, other limits, text discarded."""
    from speechlake.lake import Lake

    folder = tmp_path_factory.mktemp("segments")
    told = Story(Lake(spark, folder / "lake"), folder)
    speech = request.getfixturevalue("speech")
    places += fill(told.audio, speech)
    told.lines(TALK, *OTHERS)
    shutil.copytree(folder / "lake", folder / "ingested")
    return told.played(steps(told, speech))


def steps(told: Story, speech: Path) -> Iterator[None]:
    """What happens to the corpus, one run of the job after another."""
    told.segment("first")
    yield
    told.segment("again")
    yield
    told.lines(
        says("talk.wav", note="kept", lang="en", speaker="ann"), *OTHERS, says("short.wav", offset=0.1)
    )
    told.remember("line changed, ingested")
    told.segment("line changed")
    yield
    told.lines(*OTHERS)
    told.remember("dropped")
    yield
    told.lines(TALK, *OTHERS)
    told.segment("returned")
    yield
    write(told.audio / "talk.wav", conversation(prompts(speech, 14), 4.0)[0])
    told.lines(TALK, *OTHERS)
    told.segment("audio changed")
    yield
    told.segment("other limits", Segmenter(max_s=15))
    yield
    told.segment("text discarded", Segmenter(max_s=15), discard_text=True)
    yield


def test_a_long_recording_is_cut_at_its_pauses_and_every_prompt_lies_in_one_piece(
    story: Story, places: list[tuple[float, float]]
) -> None:
    pieces = story.current("first", "talk")
    assert len(pieces) == len(places) == 10
    for (start_ms, end_ms), (start_s, end_s) in zip(pieces, places, strict=True):
        assert end_ms is not None
        # Prompts begin and end with a little silence of their own.
        assert start_s * 1000 - 300 < start_ms < start_s * 1000 + 700
        assert end_s * 1000 - 700 < end_ms < end_s * 1000 + 300


def test_segments_say_where_they_come_from_and_carry_what_their_line_said(story: Story) -> None:
    from speechlake.ids import utterance_id

    whole, *segments = story.utterances("first", "talk")
    assert (whole["origin"], whole["retired_in"]) == ("manifest", CUT)
    for row in segments:
        key = utterance_id(whole["recording_id"], whole["channel"], row["start_ms"], row["end_ms"])
        assert (row["utterance_id"], row["origin"], row["retired_in"]) == (key, FP, None)
        carried = ("channel", "language", "language_raw", "extras", "manifest_uri", "byte_offset")
        assert [row[name] for name in carried] == [whole[name] for name in carried]
        assert row["extras"] == {"note": "kept"}
        assert (row["source_id"], row["declared_duration_s"]) == (None, None)
    assert {r["fingerprint"]: r["name"] for r in story.after["first"]["extractors"]} == {FP: "segmenter"}


def test_what_is_short_broken_or_told_stays_whole_and_silence_is_retired(story: Story) -> None:
    for stem in ("short", "told", "told-short", "broken"):
        assert story.current("first", stem) == [(0, None)]
    assert story.current("first", "silent") == []
    assert story.marks("first", "silent") == {CUT}
    counts = story.reports["first"].counts
    assert counts == {
        "segmented": 2,
        "short": 2,
        "without_speech": 1,
        "errors": 1,
        "transient": 0,
        "refused_with_text": 2,
        "utterances": len(story.current("first", "talk")) + len(story.current("first", "parts")) - 2,
        "utterances_changed": 3,
    }
    assert story.reports["first"].refusal is None


def test_a_long_interval_is_cut_and_others_of_its_recording_are_left_alone(story: Story) -> None:
    rows = story.utterances("first", "parts")
    segments = [r for r in rows if r["origin"] == FP]
    assert len(segments) >= 5
    assert all(0 <= r["start_ms"] < r["end_ms"] <= 40_000 for r in segments)
    lines = [(r["start_ms"], r["end_ms"], r["retired_in"]) for r in rows if r["origin"] == "manifest"]
    assert lines == [(0, 40_000, CUT), (40_000, 75_000, None), (41_000, 46_000, None)]


def test_what_was_heard_is_filed_by_content_even_where_there_was_nothing(story: Story) -> None:
    keys = {r["recording_id"]: Path(r["path"]).stem for r in story.after["first"]["recordings"]}
    found = {
        keys[r["recording_id"]]: (r["utterances"], r["speech_s"] is None, r["error"])
        for r in story.after["first"]["segmentations"]
        if keys[r["recording_id"]] != "parts"
    }
    assert found == {
        "talk": (10, False, None),
        "silent": (0, False, None),
        "short": (0, True, None),
        "told-short": (0, True, None),
        "broken": (0, True, "CORRUPT"),
    }


def test_a_second_run_does_nothing_and_writes_no_version(story: Story) -> None:
    assert story.reports["again"].outcome == "nothing to do"
    assert story.versions["again"] == story.versions["first"]


@pytest.mark.long
def test_ingest_of_a_changed_manifest_neither_retires_segments_nor_brings_the_whole_back(
    story: Story,
) -> None:
    for stem in ("talk", "parts", "silent"):
        assert story.current("line changed, ingested", stem) == story.current("first", stem)
        assert story.marks("line changed, ingested", stem) == story.marks("first", stem)


@pytest.mark.long
def test_the_next_run_passes_on_what_the_line_says_now_and_hears_nothing(story: Story) -> None:
    rows = story.utterances("line changed", "talk")
    assert {r["speaker_id"] for r in rows} == {"c:ann"}
    counts = story.reports["line changed"].counts
    # Those of talk have a speaker; those of parts.wav another place of their line.
    parts = [r for r in story.utterances("first", "parts") if r["origin"] == FP]
    changed = 10 + len(parts)
    assert (counts["segmented"], counts["utterances"], counts["utterances_changed"]) == (0, 0, changed)


@pytest.mark.long
def test_a_dropped_recording_takes_its_segments_along(story: Story) -> None:
    marks = {r["retired_in"] for r in story.utterances("dropped", "talk")}
    assert [mark.split("#")[1] for mark in marks] == ["3"]
    recordings = column(story.after["dropped"]["recordings"], "path", "retired_in")
    assert recordings["talk.wav"] in marks
    assert recordings["silent.wav"] is None
    assert story.current("dropped", "parts") == story.current("first", "parts")


@pytest.mark.long
def test_a_recording_that_returns_has_its_segments_again_unheard(story: Story) -> None:
    assert story.current("returned", "talk") == story.current("first", "talk")
    assert story.marks("returned", "talk") == {CUT}
    counts = story.reports["returned"].counts
    assert (counts["segmented"], counts["utterances"]) == (0, 0)
    assert {r["speaker_id"] for r in story.utterances("returned", "talk")} == {None}


@pytest.mark.long
def test_changed_audio_is_cut_anew_and_the_old_generation_is_retired(story: Story) -> None:
    new, old = story.current("audio changed", "talk"), story.current("returned", "talk")
    assert len(new) == 14
    assert story.reports["audio changed"].counts["segmented"] == 1
    gone = [r for r in story.utterances("audio changed", "talk") if r["origin"] == FP and r["retired_in"]]
    assert {(r["start_ms"], r["end_ms"]) for r in gone} == set(old) - set(new)
    assert {r["retired_in"] for r in gone} == {CUT}


@pytest.mark.long
def test_other_parameters_are_another_generation(story: Story) -> None:
    other = Segmenter(max_s=15).identity().fingerprint
    rows = story.utterances("other limits", "talk")
    assert {r["origin"] for r in rows if r["retired_in"] is None} == {other}
    assert story.marks("other limits", "talk") == {f"segmented:{other}"}
    assert all((end or 0) - start <= 15_000 for start, end in story.current("other limits", "talk"))


@pytest.mark.long
def test_a_text_stands_against_cutting_until_it_may_be_discarded(story: Story) -> None:
    assert story.current("other limits", "told") == [(0, None)]
    assert len(story.current("text discarded", "told")) > 5
    counts = story.reports["text discarded"].counts
    assert (counts["segmented"], counts["refused_with_text"]) == (2, 0)


@pytest.mark.long
def test_explain_and_the_view_show_segments(story: Story) -> None:
    assert story.after["text discarded"]
    from speechlake.trace import sections
    from speechlake.views import utterances_now

    lake = story.lake
    now = utterances_now(lake).where("origin != 'manifest'").select("utterance_id", "channel").collect()
    assert (
        len(now) == sum(len(story.current("text discarded", stem)) for stem in ("talk", "told", "parts")) - 1
    )
    row = lake.read("utterances").where(f"utterance_id = '{now[0].utterance_id}'").collect()[0]
    titles = {title: rows for title, _, rows in sections(lake, row)}
    assert ["origin", row.origin] in titles["Utterance"]
    assert any(row.origin in line for line in titles["Segmentation"])


# --- kills -------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("commits", [1, 2, 3, 4, 5])
def test_a_run_killed_between_any_two_commits_is_mended_by_running_again(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commits: int
) -> None:
    from speechlake.lake import Lake

    # talk.wav has changed since it was ingested: a transient failure in each of these runs.
    told = Story(Lake(story.lake.spark, tmp_path / "lake"), story.folder)
    shutil.copytree(story.folder / "ingested", tmp_path / "lake")
    left = [commits]
    landed = Hold._landed

    def dying(self: Hold, name: str, note: str, before: int) -> int:
        rows = landed(self, name, note, before)
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return rows

    with monkeypatch.context() as patch:
        patch.setattr(Hold, "_landed", dying)
        with pytest.raises(KeyboardInterrupt):
            told.segment("killed")
    told.segment("mended")
    told.segment("again")
    assert told.reports["again"].outcome == "nothing to do"
    stems = ("parts", "silent", "short", "told", "broken")
    for stem in stems:
        assert told.utterances("mended", stem) == story.utterances("first", stem)


# --- refused -----------------------------------------------------------------------------------------


@pytest.mark.long
def test_where_every_long_recording_has_a_text_the_job_is_refused_and_says_how_to_go_on(
    lake: Lake, tmp_path: Path, story: Story
) -> None:
    told = Story(lake, tmp_path)
    told.audio = story.audio
    told.lines(says("told.wav", "all that was said"), says("told-short.wav", "a word"))
    for step in ("first", "again"):
        told.segment(step)
        refusal = told.reports[step].refusal
        assert refusal is not None
        assert refusal.exit_code == 3
        assert "all 1 long recordings" in refusal.message
        assert "--discard-text" in str(refusal.hint)
    assert told.current("again", "told") == [(0, None)]
    assert len(told.after["again"]["segmentations"]) == 1


# --- absent ------------------------------------------------------------------------------------------


def test_recordings_that_fail_are_told_each_time_and_an_absent_root_is_refused(
    lake: Lake, tmp_path: Path
) -> None:
    told = Story(lake, tmp_path)
    write(told.audio / "talk.wav", silence(45))
    told.lines(says("talk.wav"))
    (told.audio / "talk.wav").unlink()
    for _ in range(2):
        out = io.StringIO()
        segment_recordings.run(lake, HOW, corpus="c", progress=Progress(out))
        assert "1 failed" in out.getvalue()
        assert "nothing to segment" not in out.getvalue()
    told.audio.rmdir()
    with pytest.raises(UsageError, match="root audio of corpus c is not there"):
        told.segment("absent")
