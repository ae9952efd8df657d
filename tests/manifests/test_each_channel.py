"""`channels: each`: a call of two channels is two utterances, each heard from its own channel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from lake_tools import QUIET, RATE_HZ, Played, column, ingest, says, tables, wav, write_lines

from speechlake.commands import extract_signals
from speechlake.errors import UsageError
from speechlake.ids import recording_id, utterance_id
from speechlake.manifests.channels import TRIES, as_heard, heard_files, marked_failed, with_each_channel
from speechlake.manifests.listing import LISTING_DDL
from speechlake.manifests.parsed import PARSED_DDL
from speechlake.signals.audio import Audio
from speechlake.signals.plan import wanted_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import Row, SparkSession

    from speechlake.lake import Lake

ALLOWED: dict[str, Any] = {"language": "en", "max_reject": 0.2}


def call(path: Path, *peaks: float, seconds: float = 2.0) -> Path:
    """A wav with a channel of noise per peak."""
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(path.name)).uniform(-1, 1, (round(seconds * RATE_HZ), len(peaks)))
    soundfile.write(path, noise / np.abs(noise).max(axis=0) * peaks, RATE_HZ, subtype="PCM_16")
    return path


def of(path: str, channel: str, start_ms: int = 0, end_ms: int | None = None) -> str:
    """The id that an utterance of corpus c has by the contract of ids."""
    return utterance_id(recording_id("c", "audio", path), channel, start_ms, end_ms)


class Calls:
    """A corpus of calls over time, and its tables after each step."""

    def __init__(self, lake: Lake, folder: Path) -> None:
        self.lake, self.folder = lake, folder
        self.after, self.reports = Played(), Played()

    def ingest(self, step: str) -> None:
        self.reports[step] = ingest(self.lake, self.folder / "m.jsonl", channels="each", **ALLOWED)
        self.after[step] = tables(self.lake)

    def ids(self, step: str) -> dict[str, Any]:
        """{utterance_id: retired_in}."""
        return column(self.after[step]["utterances"], "utterance_id", "retired_in")

    def steps(self) -> Iterator[object]:
        """`new`, `measured`, `again`; then audio that was missing comes: `appeared`; a call is cut to one channel: `mono`."""
        call(self.folder / "call.wav", 0.1, 0.5)
        call(self.folder / "part.wav", 0.1, 0.5)
        wav(self.folder / "mono.wav", seconds=2.0)
        (self.folder / "broken.wav").write_bytes(b"RIFF")
        write_lines(
            self.folder / "m.jsonl",
            says("call.wav", "hello good morning", speaker="ann", mood="glad"),
            says("mono.wav", "one voice"),
            says("part.wav", offset=0.5, duration=1.0),
            says("part.wav", "my words", channel=1),
            says("call.wav", "hello good morning", speaker="ann", mood="glad"),
            says("call.wav", "I am bob", channel=0, speaker="bob"),
            says("later.wav", "who knows"),
            says("broken.wav"),
        )
        yield self.ingest("new")
        extract_signals.run(self.lake, wanted_of([Audio()]), corpus="c", progress=QUIET)
        self.after["measured"] = tables(self.lake, ("signals_audio",))
        yield self.ingest("again")
        call(self.folder / "later.wav", 0.2, 0.3)
        yield self.ingest("appeared")
        call(self.folder / "call.wav", 0.2, seconds=3.0)
        yield self.ingest("mono")


@pytest.fixture(scope="module")
def calls(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Calls:
    from speechlake.lake import Lake

    folder = tmp_path_factory.mktemp("calls")
    told = Calls(Lake(spark, folder / "lake"), folder / "audio")
    told.after.steps = told.reports.steps = told.steps()
    return told


NEW = [
    *(of("call.wav", "0"), of("call.wav", "1"), of("mono.wav", "0")),
    *(of("part.wav", "0", 500, 1500), of("part.wav", "1", 500, 1500), of("part.wav", "1")),
    *(of("later.wav", "0"), of("broken.wav", "0")),
]


@pytest.mark.long
@pytest.mark.slow
def test_a_line_is_an_utterance_per_channel_and_one_that_names_its_channel_is_that_one(calls):
    assert sorted(calls.ids("new")) == sorted(NEW)
    channels = column(calls.after["new"]["utterances"], "utterance_id", "channel", "speaker_id")
    assert channels[of("call.wav", "0")] == ("0", "c:ann")
    assert channels[of("call.wav", "1")] == ("1", "c:ann")


@pytest.mark.long
@pytest.mark.slow
def test_the_text_of_a_whole_call_is_no_channels_and_is_kept_aside(calls):
    texts = column(calls.after["new"]["transcripts"], "utterance_id", "text")
    assert texts == {
        of("mono.wav", "0"): "one voice",
        of("part.wav", "1"): "my words",
        of("later.wav", "0"): "who knows",
    }
    extras = column(calls.after["new"]["utterances"], "utterance_id", "extras")
    aside = {"mood": "glad", "text_of_all_channels": "hello good morning"}
    assert extras[of("call.wav", "0")] == extras[of("call.wav", "1")] == aside
    assert calls.reports["new"].counts["texts_of_several_channels"] == 2  # the line, and its repeat


@pytest.mark.long
@pytest.mark.slow
def test_every_line_is_counted_once_whatever_its_channels(calls):
    (row,) = calls.after["new"]["manifests"]
    counted = ("lines", "utterances", "repeats", "quarantined")
    assert [row[name] for name in counted] == [8, 6, 1, 1]
    assert calls.reports["new"].counts["utterances"] == len(NEW)
    repeated = {r["utterance_id"] for r in calls.after["new"]["repeats"]}
    assert repeated == {of("call.wav", "0"), of("call.wav", "1")}
    assert [r["reason"] for r in calls.after["new"]["quarantine"]] == ["SAME_INTERVAL"]


@pytest.mark.slow
@pytest.mark.long
def test_each_channel_is_measured_once_from_its_own_samples(calls):
    rows = calls.after["measured"]["signals_audio"]
    assert len(rows) == len({row["utterance_id"] for row in rows}) == len(NEW) - 1  # later.wav is missing
    peaks = column(rows, "utterance_id", "peak_dbfs", "channels", "error")
    quiet, loud = peaks[of("call.wav", "0")], peaks[of("call.wav", "1")]
    assert (round(quiet[0]), round(loud[0])) == (-20, -6)
    assert (quiet[1:], loud[1:]) == ((2, None), (2, None))
    assert round(peaks[of("part.wav", "1", 500, 1500)][0]) == -6
    assert peaks[of("broken.wav", "0")][2] is not None


@pytest.mark.long
@pytest.mark.slow
def test_the_same_again_is_nothing_to_do(calls):
    assert calls.reports["again"].outcome == "nothing to do"


@pytest.mark.long
def test_audio_that_appears_is_asked_for_its_channels(calls):
    assert calls.ids("appeared") == dict.fromkeys([*NEW, of("later.wav", "1")])
    retired = column(calls.after["appeared"]["transcripts"], "text", "retired_in")
    assert retired["who knows"] is not None
    assert retired["one voice"] is None


@pytest.mark.long
def test_a_channel_that_is_gone_is_retired(calls):
    retired = {key for key, mark in calls.ids("mono").items() if mark is not None}
    assert retired == {of("call.wav", "1")}
    said = calls.after["mono"]["transcripts"]
    now = {(r["utterance_id"], r["text"]) for r in said if r["retired_in"] is None}
    assert (of("call.wav", "0"), "hello good morning") in now


@pytest.mark.long
@pytest.mark.slow
def test_each_cannot_be_turned_on_or_off_where_utterances_are(calls):
    assert calls.reports["new"]
    with pytest.raises(UsageError, match="channels=each"):
        ingest(calls.lake, calls.folder / "m.jsonl", channels="auto", **ALLOWED)


def parsed(spark: SparkSession, *literal: dict[str, Any]) -> list[Row]:
    """Rows of `PARSED_DDL` after one file, a.wav with two channels, was heard."""
    names = [part.split()[0] for part in PARSED_DDL.split(", ")]
    filled = [{"extras": {}, "texts": [], "root": "audio", "path": "a.wav", **row} for row in literal]
    rows = [tuple(row.get(name) for name in names) for row in filled]
    heard = spark.createDataFrame(
        [("audio", "a.wav", 2, False)], "root string, path string, channels int, failed boolean"
    )
    frame = with_each_channel(spark.createDataFrame(rows, PARSED_DDL), heard, source_ids=True)
    return frame.orderBy("byte_offset", "channel").collect()


def test_texts_that_are_put_aside_keep_their_sources_and_give_way_to_the_lines_own_fields(spark):
    texts = [("manifest", "hi", "h", "human", "en"), ("manifest:text_raw", "Hi!", "r", "human", "en")]
    line = {"recording_id": "r", "channel": "each", "start_ms": 0, "source_id": "u7", "texts": texts}
    first, second = parsed(spark, line)
    assert first.extras == {"text_of_all_channels": "hi", "text_of_all_channels:text_raw": "Hi!"}
    taken, _ = parsed(spark, {**line, "extras": {"text_of_all_channels": "its own"}})
    assert taken.extras == {"text_of_all_channels": "its own", "text_of_all_channels:text_raw": "Hi!"}
    ids = [utterance_id("r", channel, 0, None, "u7") for channel in ("0", "1")]
    assert [first.utterance_id, second.utterance_id] == ids
    assert first.texts == second.texts == []


def test_refused_lines_and_those_of_named_channels_stay_as_they_are(spark):
    refused = {"reason": "BAD_JSON", "root": None, "path": None, "byte_offset": 1}
    named = {"channel": "7", "utterance_id": "known", "byte_offset": 2}
    rows = parsed(spark, refused, named)
    assert [(r.reason, r.channel, r.utterance_id) for r in rows] == [
        ("BAD_JSON", None, None),
        (None, "7", "known"),
    ]


def test_a_file_that_cannot_be_read_has_unknown_channels_and_says_whether_to_try_again(spark, tmp_path):
    call(tmp_path / "two.flac", 0.1, 0.2)
    (tmp_path / "text.wav").write_text("no audio")
    listed = [("audio", name, "1", 1, None, None) for name in ("two.flac", "text.wav", "gone.wav")]
    asked = [("audio", name, "each") for name in ("two.flac", "text.wav", "gone.wav", "unlisted.wav")]
    lines = spark.createDataFrame(asked, "root string, path string, channel string")
    heard = heard_files(lines, spark.createDataFrame(listed, LISTING_DDL), {"audio": str(tmp_path)})
    assert {row.path: (row.channels, row.failed) for row in heard.collect()} == {
        "two.flac": (2, False),
        "text.wav": (None, False),
        "gone.wav": (None, False),
    }


class Known:
    """A row of `manifests`."""

    def __init__(self, parser_version: str) -> None:
        self.parser_version = parser_version


@pytest.mark.parametrize(
    ("known", "relisted", "version"),
    [
        (None, False, "2/x+1"),
        ("1/old+4", False, "2/x+1"),
        ("2/x+1", False, "2/x+1"),
        ("2/x+1", True, "2/x+2"),
        ("2/x+3??", False, "2/x+4"),
        ("2/x+4???", False, "2/x+4???"),
        ("2/x+4???", True, "2/x+5"),
    ],
)
def test_audio_is_asked_again_when_it_changed_or_failed_but_not_for_ever(known, relisted, version):
    newest = {} if known is None else {"m": Known(known)}
    asked = {"uri": "m", "parser_version": "2/x", "source": {"uri": "/m"}}
    (found,) = as_heard([asked], newest, {"m"} if relisted else ())
    assert found["parser_version"] == version
    (failed,) = marked_failed([found], newest, {"/m"})
    assert failed["parser_version"] == version + "?" * (1 + (known or "").count("?"))
    assert TRIES == 3
