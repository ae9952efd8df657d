"""Extraction from plan to tables: everything measured once, failures as rows, kills survived."""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fake_extractors
import pytest
from fake_extractors import FakeSpeech
from lake_tools import QUIET, Tables, column, ingest, says, tables, wav, write_lines

from speechlake.signals.audio import Audio
from speechlake.signals.outlook import show_outlook
from speechlake.signals.plan import MAX_ATTEMPTS, SLOTS, by_recording, chunks, wanted_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from speechlake.lake import Lake

GOOD = ("one", "two", "three")
SOUND = (*GOOD, "picky@0", "picky@50", "short@0", "short@50", "flaky")
DAMAGED = ("corrupt", "empty", "half", "link")


class Story:
    """One corpus, measured again and again; `after` holds the tables after each step, `heard` what was measured."""

    def __init__(self, lake: Lake, folder: Path) -> None:
        self.lake, self.folder = lake, folder
        self.audio, self.notes = folder / "audio", folder / "notes"
        self.notes.mkdir()
        self.after: dict[str, Tables] = {}
        self.versions: dict[str, dict[str, int]] = {}
        self.heard: dict[str, Counter[str]] = {}
        self.loads: dict[str, int] = {}
        self.reports: dict[str, Any] = {}
        self.foretold: dict[str, Any] = {}
        self.names: dict[str, str] = {}

    def ingest(self) -> None:
        ingest(self.lake, self.folder / "m.jsonl", roots={"audio": str(self.audio)})
        found = tables(self.lake, ("recordings", "utterances"))
        paths = column(found["recordings"], "recording_id", "path")
        for row in found["utterances"]:
            stem = Path(paths[row["recording_id"]]).stem
            self.names[row["utterance_id"]] = stem if row["end_ms"] is None else f"{stem}@{row['start_ms']}"

    def ask(self, **what: str) -> None:
        """Tell the extractor what to do with the utterances of some files."""
        asked = {key: what[n] for key, name in self.names.items() if (n := name.split("@")[0]) in what}
        asked |= {key: "well" for key, name in self.names.items() if name == "picky@50"}
        (self.notes / "asked.json").write_text(json.dumps(asked))

    def extract(self, step: str, *, given_up: bool = False) -> None:
        from speechlake.commands import extract_signals

        before, loads = self._lines("measured"), len(self._lines("loaded"))
        wanted = wanted_of([Audio(), FakeSpeech(str(self.notes))])
        self.reports[step] = extract_signals.run(
            self.lake, wanted, corpus="c", given_up=given_up, progress=QUIET
        )
        self.heard[step] = Counter(self.names[key] for key in self._lines("measured")[len(before) :])
        self.loads[step] = len(self._lines("loaded")) - loads
        names = ("signals_audio", "signals_speech", "attempts", "content_hashes", "runs")
        self.after[step], self.versions[step] = tables(self.lake, names), self.lake.versions()

    def foretell(self, step: str) -> None:
        wanted = wanted_of([Audio(), FakeSpeech(str(self.notes))])
        self.foretold[step] = show_outlook("extract-signals", self.lake, wanted, "c", None)

    def forget(self, *names: str) -> None:
        """Delete rows of signals_speech by hand."""
        from delta.tables import DeltaTable

        keys = "', '".join(key for key, name in self.names.items() if name in names)
        DeltaTable.forPath(self.lake.spark, self.lake.path("signals_speech")).delete(
            f"utterance_id IN ('{keys}')"
        )

    def errors(self, step: str, table: str) -> dict[str, str | None]:
        """{name: error} of a signal table."""
        return {self.names[row["utterance_id"]]: row["error"] for row in self.after[step][table]}

    def _lines(self, name: str) -> list[str]:
        path = self.notes / name
        return path.read_text().split() if path.exists() else []


def fill(folder: Path) -> None:
    """Sound, damaged and forbidden files, and the manifest that names them."""
    import numpy as np
    import soundfile

    audio = folder / "audio"
    for n, name in enumerate((*GOOD, "picky", "short", "flaky")):
        wav(audio / f"{name}.wav", seed=n)
    (audio / "corrupt.wav").write_bytes(b"RIFF\x10\x00\x00\x00WAVE" + b"nonsense" * 8)
    (audio / "empty.wav").write_bytes(b"")
    flac = io.BytesIO()
    soundfile.write(flac, np.random.default_rng(0).normal(0, 0.1, 8000), 16_000, format="FLAC")
    (audio / "half.flac").write_bytes(flac.getvalue()[: len(flac.getvalue()) // 2])
    (audio / "link.wav").symlink_to(wav(folder / "outside.wav"))
    whole = [says(f"{name}.wav", name) for name in (*GOOD, "flaky", "corrupt", "empty", "link")]
    parts = [
        says(f"{name}.wav", f"{name} {part}", offset=part * 0.05, duration=0.05)
        for name in ("picky", "short")
        for part in (0, 1)
    ]
    write_lines(folder / "m.jsonl", *whole, says("half.flac", "half"), *parts)


@pytest.fixture(scope="module")
def story(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The steps: first, retried twice, spent, killed before a commit, adopted, touched, changed, a worker killed, given up."""
    from speechlake.lake import Lake

    spark.sparkContext.addPyFile(fake_extractors.__file__)
    folder = tmp_path_factory.mktemp("signals")
    fill(folder)
    told = Story(Lake(spark, folder / "lake"), folder)
    told.ingest()
    told.ask(picky="raises", short="few", flaky="transient")
    for step in ("first", "second", "third", "spent"):
        told.extract(step)
    told.forget("one", "two")
    _killed_before_its_commit(told)
    told.extract("adopted")
    for path in told.audio.iterdir():
        # What could never be read has no content: under a new listing key it is tried again.
        if not path.is_symlink():
            os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))
    told.ingest()
    told.foretell("touched")
    told.extract("touched")
    wav(told.audio / "three.wav", seed=33)
    told.ingest()
    told.extract("changed")
    told.forget(*told.names.values())
    (told.notes / "die_once").touch()
    told.extract("worker killed")
    told.extract("given up")
    told.extract("asked once more", given_up=True)
    told.extract("asked twice", given_up=True)
    return told


def _killed_before_its_commit(told: Story) -> None:
    """A driver that dies between the stage of a chunk and its commit."""

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("speechlake.signals.run.commit_measured", die)
        with pytest.raises(KeyboardInterrupt):
            told.extract("killed")


@pytest.mark.slow
def test_every_utterance_that_can_be_read_is_measured_once(story):
    # A raising clip is tried alone; one of too few results is not tried again. A second worker confirms what may pass.
    assert story.heard["first"] == {name: 1 for name in SOUND if name != "picky@0"} | {"flaky": 2}


@pytest.mark.slow
def test_a_clip_that_raises_and_results_that_are_too_few_become_codes_and_others_keep_theirs(story):
    errors = story.errors("first", "signals_speech")
    assert {name: errors[name] for name in errors if name in SOUND} == {
        **dict.fromkeys(GOOD),
        "picky@0": "EXTRACTOR_FAILED",
        "picky@50": None,
        "short@0": "EXTRACTOR_FAILED",
        "short@50": "EXTRACTOR_FAILED",
    }


@pytest.mark.slow
def test_audio_that_cannot_be_read_is_an_error_row_of_every_extractor(story):
    speech, audio = (story.errors("first", f"signals_{name}") for name in ("speech", "audio"))
    found = {name: speech[name] for name in DAMAGED}
    assert found == {name: audio[name] for name in DAMAGED}
    assert found == {
        "corrupt": "CORRUPT",
        "empty": "EMPTY",
        "half": "NO_AUDIO",  # cut inside its only frame
        "link": "OUTSIDE_ROOT",
    }


@pytest.mark.slow
def test_a_transient_failure_is_tried_in_three_runs_and_then_no_more(story):
    for n, step in enumerate(("first", "second", "third"), start=1):
        attempts = [
            (story.names[row["utterance_id"]], row["n"], row["code"]) for row in story.after[step]["attempts"]
        ]
        assert sorted(attempts) == [("flaky", i, "MODEL_FAILED") for i in range(1, n + 1)]
        assert story.reports[step].counts["attempts"] == 1
    assert story.heard["second"] == story.heard["third"] == {"flaky": 2}
    assert story.heard["spent"] == {}
    assert "flaky" not in story.errors("spent", "signals_speech")


@pytest.mark.slow
def test_a_run_says_how_much_is_left_to_retry(story):
    found = [row["left_to_retry"] for row in story.after["third"]["runs"] if row["job"] == "extract-signals"]
    assert sorted(found) == [0, 1, 1]  # the third attempt was the last


@pytest.mark.slow
def test_with_nothing_left_a_run_writes_no_version_and_loads_nothing(story):
    assert story.reports["spent"].outcome == "nothing to do"
    assert story.versions["spent"] == story.versions["third"]
    assert story.loads["spent"] == 0


@pytest.mark.slow
def test_rows_deleted_by_hand_are_measured_again_and_a_chunk_staged_before_a_kill_is_not(story):
    # The killed run measured one and two, and committed nothing; the next one commits what was staged.
    assert story.heard["adopted"] == {}
    assert story.after["adopted"]["signals_speech"] == story.after["spent"]["signals_speech"]
    log = (story.notes / "measured").read_text().split()
    counted = Counter(story.names[key] for key in log[: sum(map(sum, _counts(story, "first", "spent"))) + 2])
    assert (counted["one"], counted["two"], counted["three"]) == (2, 2, 1)
    assert story.versions["adopted"]["signals_audio"] == story.versions["spent"]["signals_audio"]


def _counts(story: Story, *steps: str) -> list[list[int]]:
    names = list(story.heard)
    wanted = names[names.index(steps[0]) : names.index(steps[-1]) + 1]
    return [list(story.heard[name].values()) for name in wanted]


@pytest.mark.slow
def test_touched_files_are_read_but_not_measured_again(story):
    before, after = story.after["adopted"], story.after["touched"]
    # What failed for good reasons of the moment gets its tries again under the new listing.
    assert set(story.heard["touched"]) <= {"flaky"}
    assert after["signals_speech"] == before["signals_speech"]
    assert after["signals_audio"] == before["signals_audio"]
    hashes = Counter(row["content_sha256"] for row in after["content_hashes"])
    assert set(hashes) == {row["content_sha256"] for row in before["content_hashes"]}
    assert min(hashes.values()) >= 2


@pytest.mark.slow
def test_a_plan_after_a_touch_takes_audio_for_unchanged_and_tells_what_will_be_read(story):
    counts = story.foretold["touched"].counts
    touched = {row["recording_id"] for row in story.after["adopted"]["content_hashes"]}
    assert counts["relisted"] == len(touched)
    # The one that has its tries again; all others have rows under the content that they had.
    assert counts["utterances"] == len({"flaky"})


@pytest.mark.slow
def test_changed_bytes_are_measured_under_their_new_content_and_the_old_row_stays(story):
    assert set(story.heard["changed"]) - {"flaky"} == {"three"}
    for table in ("signals_speech", "signals_audio"):
        rows = [r for r in story.after["changed"][table] if story.names[r["utterance_id"]] == "three"]
        assert len({row["content_sha256"] for row in rows}) == len(rows) == 2


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_no_row(story):
    assert not (story.notes / "die_once").exists()
    found = story.after["worker killed"]["signals_speech"]
    keys = Counter(row["utterance_id"] for row in found)
    assert {story.names[key] for key in keys} == {*SOUND, *DAMAGED} - {"flaky"}
    assert set(keys.values()) == {1}


@pytest.mark.slow
def test_what_is_given_up_is_measured_once_more_where_that_is_asked_for(story):
    assert story.heard["given up"] == {}
    assert story.heard["asked once more"] == {"flaky": 2}
    numbers = [row["n"] for row in story.after["asked once more"]["attempts"]]
    assert max(numbers) == MAX_ATTEMPTS + 1
    assert story.reports["asked once more"].counts["spent"] == 1
    # Still one clip, however often it failed.
    assert story.heard["asked twice"] == {"flaky": 2}
    again = [row["n"] for row in story.after["asked twice"]["attempts"]]
    assert sorted(again) == [*sorted(numbers), MAX_ATTEMPTS + 2]


MINUTE_MS = 60_000
STRETCHES = [
    # intervals in minutes with their channels, the file's size in minutes of 16 kHz and 16 bits;
    # stretch, utterances and minutes of each row of the plan
    pytest.param(
        [(start, start + 10, channel) for start in (0, 10, 20) for channel in "01"],
        60,
        [(0, 4, 40), (1, 2, 20)],
        id="two channels of people who take turns",
    ),
    pytest.param(
        [(0, 60, "mix")] * 4,
        60,
        [(0, 1, 60), (1 << 32, 1, 60), (3 << 32, 1, 60), (4 << 32, 1, 60)],
        id="the same hour in four lines",
    ),
    pytest.param(
        [(start, start + 10, channel) for start in (0, 10) for channel in "0123"],
        80,
        [(0, 4, 40), (1 << 32, 4, 40)],
        id="four channels",
    ),
    pytest.param(
        [(0, None, channel) for channel in "01234567"], 16, [(0, 8, 128)], id="eight channels of two minutes"
    ),
    pytest.param(
        [(0, None, channel) for channel in "0123"],
        240,
        [(0, 1, 240), (1 << 32, 1, 240), (3 << 32, 1, 240), (4 << 32, 1, 240)],
        id="four channels of an hour",
    ),
    pytest.param(
        [(start, start + 1, "mix") for start in range(0, 24 * 60, 60)],
        24 * 60,
        [(stretch, 3, 3) for stretch in range(8)],
        id="a minute of each hour of a day",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("intervals", "size", "found"), STRETCHES)
def test_a_row_of_the_plan_is_a_stretch_and_less_where_its_channels_or_intervals_add_up(
    spark, intervals, size, found
):
    place = ("r", "audio", "a.wav", None, None, None, None, "k", size * 60 * 32_000, "content", None, ["f"])
    rows = [
        (f"u{i}", start * MINUTE_MS, None if end is None else end * MINUTE_MS, channel, *place)
        for i, (start, end, channel) in enumerate(intervals)
    ]
    schema = (
        "utterance_id string, start_ms bigint, end_ms bigint, channel string, recording_id string, root string,"
        "path string, container string, member string, byte_offset bigint, byte_length bigint, listing_key string,"
        "size_bytes bigint, content_sha256 string, declared_duration_s double, needs array<string>"
    )
    plan = by_recording(spark.createDataFrame(rows, schema), wanted_of([Audio()])).collect()
    told = [(row.stretch, len(row.utterances), row.seconds / 60) for row in plan]
    assert sorted(told) == found


CHUNKS = [
    # seconds of audio, seconds of a chunk, chunks
    (0.0, 450.0, 1),
    (449.0, 450.0, 1),
    (4500.0, 450.0, 10),
    (1e12, 450.0, SLOTS),
]


@pytest.mark.parametrize(("total_s", "chunk_s", "count"), CHUNKS)
def test_chunks_are_about_as_long_as_asked_and_cover_every_slot_once(total_s, chunk_s, count):
    cut = chunks(total_s, chunk_s)
    assert len(cut) == count
    borders = [(SLOTS * c.number // c.of, SLOTS * (c.number + 1) // c.of) for c in cut]
    assert borders[0][0] == 0
    assert borders[-1][1] == SLOTS
    assert all(end == start for (_, end), (start, _) in pairwise(borders))
