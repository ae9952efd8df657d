"""Copies of a release's speech come in with a second corpus, and again when all that was released is retired: real clips,
other codecs, through all jobs."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import soundfile
from lake_tools import QUIET, ingest, says, write_lines

from speechlake.commands import build_splits, extract_signals, find_duplicates, simulate, verify_release
from speechlake.config import loads
from speechlake.errors import BuildRefused
from speechlake.lake import Lake
from speechlake.signals.audio import Audio
from speechlake.signals.audio_keys import AudioKeys
from speechlake.signals.plan import wanted_of
from speechlake.splits.policy import Policy
from speechlake.terminal import console

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.slow, pytest.mark.long]

POLICY = """
name: copies
text: {prefer: [manifest]}
keep: [{rule: decodes, signal: audio.error, is: null}]
duplicates: {kinds: [exact, near], keep: [duration]}
splits: {scheme: main, salt: 1, test: {hours: 1, max_share: 0.4}}
"""
CODECS = {"mp3": ("MP3", "MPEG_LAYER_III"), "opus": ("OGG", "OPUS"), "au": ("AU", "ULAW")}
CLIPS = 6


class Days:
    """Day one: clips of a speaker each, released. Day two: a copy of each under other names, and two clips more. Day three:
    only these two, and the first ones coded anew under new names."""

    def __init__(self, lake: Lake, speech: Path, folder: Path) -> None:
        self.lake, self.folder = lake, folder
        voice = sorted((speech / "it_IT_m_Carlo").rglob("*.wav"))
        chosen = [clip for clip in voice if 2.5 < soundfile.info(clip).duration < 6][: CLIPS + 2]
        first, new = chosen[:CLIPS], chosen[CLIPS:]
        self.bring("first", {f"u{n}.wav": (clip, f"s{n}") for n, clip in enumerate(first)})
        find_duplicates.run(lake, progress=QUIET)
        self.release("r1")
        self.sides = self.split("r1")
        # One voice has copies of a clip of each side; with that of the train clip it would tie the sides together.
        bridge = [
            next(name for name, side in self.sides.items() if side == asked) for asked in ("test", "train")
        ]
        copies = {
            f"c{n}.{list(CODECS)[n % 3]}": (clip, "astride" if f"u{n}" in bridge else f"t{n}")
            for n, clip in enumerate(first)
        }
        self.bridge = bridge[1].replace("u", "c")
        self.bring("second", copies | {f"n{n}.wav": (clip, f"n{n}") for n, clip in enumerate(new)})
        said = simulate.run(lake, {"p": loads(POLICY, "p", Policy)}, out=console(io.StringIO()))
        self.foretold = said.counts["policies"]["p"]["refused"]
        with pytest.raises(BuildRefused) as refused:
            self.release("early")
        self.refused = str(refused.value)
        find_duplicates.run(lake, progress=QUIET)
        self.release("r2")
        self.bring("second", {f"n{n}.wav": (clip, f"n{n}") for n, clip in enumerate(new)})
        self.bring("first", {f"v{n}.mp3": (clip, f"v{n}") for n, clip in enumerate(first)})
        find_duplicates.run(lake, progress=QUIET)
        self.release("r3")

    def bring(self, corpus: str, clips: Mapping[str, tuple[Path, str]]) -> None:
        """Clips of (audio, speaker) by file name, ingested as a corpus and measured."""
        lines = []
        for name, (clip, speaker) in clips.items():
            samples, rate = soundfile.read(clip, dtype="int16")
            path = self.folder / corpus / name
            path.parent.mkdir(exist_ok=True)
            form, coding = CODECS.get(path.suffix[1:], ("WAV", "PCM_16"))
            if form != "WAV":
                # Of copies of one length that with the lower id stays, whichever came first.
                samples = samples[: -rate // 10]
            soundfile.write(path, samples, rate, format=form, subtype=coding)
            lines.append(says(name, f"text of {name}", speaker=speaker, lang="it"))
        ingest(self.lake, write_lines(self.folder / corpus / "m.jsonl", *lines), corpus=corpus)
        extract_signals.run(self.lake, wanted_of([Audio(), AudioKeys()]), corpus=corpus, progress=QUIET)

    def release(self, name: str) -> None:
        build_splits.run(self.lake, loads(POLICY, "p", Policy), POLICY, release=name, progress=QUIET)

    def split(self, release: str, column: str = "split", table: str = "splits") -> dict[str, Any]:
        """A column of a release's rows, by the clip's name."""
        build = self.lake.read("releases").where(f"release = '{release}'").collect()[0].build_id
        rows = self.lake.read(table).where(f"build_id = '{build}'").select("utterance_id", column)
        place = self.lake.read("utterances").select("utterance_id", "recording_id")
        named = rows.join(place, "utterance_id").join(
            self.lake.read("recordings").select("recording_id", "path"), "recording_id"
        )
        return {Path(row.path).stem: row[column] for row in named.collect()}


@pytest.fixture(scope="module")
def days(spark: SparkSession, speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Days:
    folder = tmp_path_factory.mktemp("copies")
    return Days(Lake(spark, folder / "lake"), speech, folder)


def test_nothing_is_released_of_audio_that_was_never_compared(days):
    assert "8 of 14 utterances were never compared with all other audio" in days.refused
    assert "find-duplicates" in days.refused
    assert [message in days.refused for message in days.foretold] == [True]
    assert days.lake.read("releases").where("release = 'early'").isEmpty()


def test_no_row_of_the_first_release_changes_sides_or_is_lost(days):
    assert set(days.sides.values()) == {"train", "test"}
    again = days.split("r2")
    assert {name: again.get(name) for name in days.sides} == days.sides


def test_every_copy_gives_way_and_one_that_would_tie_the_sides_together_is_left_out(days):
    why = days.split("r2", "rule", "decisions")
    copies = {
        f"c{n}": "bridges_splits" if f"c{n}" == days.bridge else "duplicate_of_kept" for n in range(CLIPS)
    }
    assert why == copies
    assert set(days.split("r2")) - set(days.sides) == {"n0", "n1"}


def test_what_comes_back_coded_anew_is_on_the_side_that_it_was_on(days):
    known = days.split("r2")
    assert days.split("r3") == {
        **{name.replace("u", "v"): side for name, side in days.sides.items()},
        **{name: known[name] for name in ("n0", "n1")},
    }


def test_all_releases_hold_what_they_held(days):
    for release in ("r1", "r2", "r3"):
        assert verify_release.run(days.lake, release, sample=9).refusal is None
