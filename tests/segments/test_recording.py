"""One recording through the worker's function: channels, intervals, failures, and how much memory it takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from long_audio import RATE_HZ, Samples, conversation, prompts, silence, write

from speechlake.audio.storage import stat_audio
from speechlake.ids import utterance_id
from speechlake.segments import recording as recording_module
from speechlake.segments import worker
from speechlake.segments.cutting import cut_points
from speechlake.segments.segmenter import Segmenter
from speechlake.segments.voice import Voice, open_voice_model
from speechlake.segments.worker import segment_recording

HOW = Segmenter()
Row = Mapping[str, Any]


@pytest.fixture(scope="module")
def talk(request: pytest.FixtureRequest) -> Samples:
    return conversation(prompts(request.getfixturevalue("speech"), 10), 2.5)[0]


def planned(folder: Path, name: str, *sources: Row, **said: Any) -> dict[str, Any]:
    """A row of the plan for a file; a source is the whole of the mix unless it says otherwise."""
    size, key = (0, "0-0") if not (folder / name).exists() else stat_audio(str(folder), name)
    place = {"root": "audio", "path": name, "container": None, "byte_offset": None, "byte_length": None}
    usual = {"channel": "mix", "start_ms": 0, "end_ms": None, "refuse": False}
    rows = [{"utterance_id": f"u{n}", **usual, **source} for n, source in enumerate(sources or [{}])]
    known = {"recording_id": "r", "listing_key": key, "content_sha256": f"listing:{key}", "sources": rows}
    return {**place, **known, "size_bytes": size, **said}


def segment(folder: Path, recording: Row, how: Segmenter = HOW) -> list[dict[str, Any]]:
    """The staged rows."""
    return segment_recording(recording, how, {"audio": str(folder)})


def intervals(row: Row) -> list[tuple[int, int]]:
    return [(segment["start_ms"], segment["end_ms"]) for segment in row["segments"]]


def of_the_whole(samples: Samples, rate_hz: int = RATE_HZ) -> list[tuple[int, int]]:
    """The cuts of all samples heard at once."""
    voice = Voice(open_voice_model(), rate_hz)
    voice.hear(samples)
    return cut_points(voice.finish(), 1000 * len(samples) // rate_hz, HOW)


def sixteen_bits(samples: Samples) -> Samples:
    """As a 16-bit wav gives them back."""
    return (np.round(samples * 32768).clip(-32768, 32767) / 32768).astype(np.float32)


def test_a_stream_is_cut_where_the_whole_would_be(tmp_path: Path, talk: Samples) -> None:
    write(tmp_path / "talk.wav", talk)
    (row,) = segment(tmp_path, planned(tmp_path, "talk.wav"))
    assert intervals(row) == of_the_whole(sixteen_bits(talk))
    assert len(intervals(row)) >= 8
    first = row["segments"][0]
    assert first["utterance_id"] == utterance_id("r", "mix", first["start_ms"], first["end_ms"])
    assert row["duration_s"] == len(talk) / RATE_HZ
    assert 10 < row["speech_s"] < row["duration_s"]
    assert not row["content_sha256"].startswith("listing:")


def test_each_channel_is_cut_by_its_own_speech(tmp_path: Path, talk: Samples) -> None:
    later = np.concatenate([silence(5), talk])
    stereo = np.stack([np.concatenate([talk, silence(5)]), later], axis=1)
    write(tmp_path / "two.wav", stereo)
    left, right, none = segment(
        tmp_path, planned(tmp_path, "two.wav", {"channel": "0"}, {"channel": "1"}, {"channel": "2"})
    )
    assert intervals(left) == of_the_whole(sixteen_bits(stereo[:, 0]))
    assert intervals(right) == of_the_whole(sixteen_bits(later))
    assert (none["error"], none["transient"]) == ("CHANNEL_MISSING", False)


def test_an_interval_is_heard_alone_and_its_pieces_lie_in_the_recording(
    tmp_path: Path, talk: Samples
) -> None:
    write(tmp_path / "talk.wav", np.concatenate([silence(100), talk, silence(3)]))
    length_ms = int(1000 * len(talk) / RATE_HZ)
    inside, behind = segment(
        tmp_path,
        planned(
            tmp_path,
            "talk.wav",
            {"start_ms": 100_000, "end_ms": 100_000 + length_ms},
            {"start_ms": 100_000, "end_ms": 200_000},
        ),
    )
    moved = [(start - 100_000, end - 100_000) for start, end in intervals(inside)]
    assert moved == of_the_whole(sixteen_bits(talk)[: length_ms * 8])
    assert behind["error"] == "INTERVAL_OUTSIDE"


def test_what_is_not_longer_than_the_limit_is_only_measured(tmp_path: Path, talk: Samples) -> None:
    for seconds, is_short in ((30.0, True), (30.001, False)):
        write(tmp_path / "talk.wav", talk[: round(seconds * RATE_HZ)])
        (row,) = segment(tmp_path, planned(tmp_path, "talk.wav"))
        assert row["duration_s"] == seconds
        assert (row.get("speech_s") is None) == is_short


def test_of_a_recording_with_a_text_only_the_length_is_asked(tmp_path: Path, talk: Samples) -> None:
    write(tmp_path / "long.wav", talk)
    write(tmp_path / "short.wav", talk[: 20 * RATE_HZ])
    (long,) = segment(tmp_path, planned(tmp_path, "long.wav", {"refuse": True}))
    (short,) = segment(tmp_path, planned(tmp_path, "short.wav", {"refuse": True}))
    assert (long["refused"], long.get("segments")) == (True, None)
    assert long["content_sha256"].startswith("listing:")
    assert (short["refused"], short["duration_s"], short.get("speech_s")) == (False, 20.0, None)
    assert not short["content_sha256"].startswith("listing:")


def test_failures_are_codes_and_only_what_may_pass_is_transient(tmp_path: Path, talk: Samples) -> None:
    write(tmp_path / "talk.wav", talk)
    (tmp_path / "broken.wav").write_bytes(b"RIFF\x10\x00\x00\x00WAVE" + b"nonsense" * 8)
    found = [
        segment(tmp_path, row)[0]
        for row in (
            planned(tmp_path, "gone.wav"),
            planned(tmp_path, "broken.wav"),
            planned(tmp_path, "talk.wav", listing_key="another"),
            planned(tmp_path, "talk.wav", content_sha256="0" * 64),
        )
    ]
    assert [(row["error"], row["transient"]) for row in found] == [
        ("MISSING", True),
        ("CORRUPT", False),
        ("STORAGE", True),
        ("STORAGE", True),
    ]


def test_a_source_that_is_done_keeps_no_voice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    living: weakref.WeakSet[Voice] = weakref.WeakSet()
    most: list[int] = []

    class Counted(Voice):
        def __init__(self, *said: Any) -> None:
            super().__init__(*said)
            living.add(self)
            most.append(len(living))

    monkeypatch.setattr(recording_module, "Voice", Counted)
    write(tmp_path / "quiet.wav", silence(400))
    lines = [{"start_ms": start * 1000, "end_ms": start * 1000 + 40_000} for start in range(0, 400, 40)]
    rows = segment(tmp_path, planned(tmp_path, "quiet.wav", *lines))
    assert [row["speech_s"] for row in rows] == [0.0] * 10
    assert most == [1] * 10


def test_what_is_refused_is_not_decoded_twice_for_its_first_seconds(
    tmp_path: Path, talk: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    own = worker.decoder()

    class Noting:
        def stream(self, fd: int, **said: Any) -> Any:
            asked.append(said["rehearsed"])
            return own.stream(fd, **said)

    monkeypatch.setattr(worker, "decoder", Noting)
    write(tmp_path / "talk.flac", talk)
    for refuse in (True, False):
        (row,) = segment(tmp_path, planned(tmp_path, "talk.flac", {"refuse": refuse}))
        assert row["refused"] is refuse
    assert asked == [False, True]


# --- three hours -------------------------------------------------------------------------------------

WORKER = """
import json, resource, sys, time
from speechlake.segments import worker
from speechlake.segments.segmenter import Segmenter
recording = json.loads(sys.argv[1])
began = time.monotonic()
(row,) = worker.segment_recording(recording, Segmenter(), {"audio": sys.argv[2]})
took_s = time.monotonic() - began
worker.decoder().close()
own, child = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
# Not ru_maxrss: a process begins with the peak of the one that started it, here pytest's.
own_kb = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
cpu_s = sum((u.ru_utime + u.ru_stime) for u in (own, child))
print(json.dumps({"own_mb": own_kb / 1024, "child_mb": child.ru_maxrss / 1024, "took_s": took_s,
    "cpu_s": cpu_s, "duration_s": row["duration_s"], "segments": row["segments"]}))
"""


@pytest.fixture
def three_hours(tmp_path: Path, talk: Samples) -> Iterator[tuple[Path, int]]:
    """Three hours of 16-bit mono at 16 kHz, and how often one conversation is said in it."""
    import soxr

    again = (soxr.resample(talk, RATE_HZ, 16_000) * 32767).astype("<i2").tobytes()
    times = 3 * 3600 * 32_000 // len(again) + 1
    path = tmp_path / "hours.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        for _ in range(times):
            file.writeframesraw(again)
    yield path, times
    path.unlink()


@pytest.mark.long
def test_three_hours_are_cut_within_600_mb(three_hours: tuple[Path, int], talk: Samples) -> None:
    path, times = three_hours
    recording = json.dumps(planned(path.parent, path.name))
    done = subprocess.run(
        [sys.executable, "-c", WORKER, recording, str(path.parent)],
        capture_output=True,
        text=True,
        timeout=1800,
        check=True,
        env=os.environ,
    )
    told = json.loads(done.stdout)
    print({name: value for name, value in told.items() if name != "segments"})
    assert told["duration_s"] > 3 * 3600
    assert len(told["segments"]) >= 8 * times
    assert told["own_mb"] + told["child_mb"] < 600
