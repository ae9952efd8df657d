"""Recordings become clips: the same from a whole and from a stream, each channel copied once."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from signal_clips import noise

from speechlake.audio.storage import stat_audio
from speechlake.signals import reading
from speechlake.signals.extractor import Clip
from speechlake.signals.reading import read, read_ahead


def recording(
    folder: Path, name: str, *intervals: tuple[int, int | None, str], needs: str = "f"
) -> dict[str, Any]:
    """A row of a plan over a file that is there."""
    size, key = stat_audio(str(folder), name) if (folder / name).exists() else (0, "gone")
    utterances = [
        {
            "utterance_id": f"u{i}",
            "start_ms": start,
            "end_ms": end,
            "channel": channel,
            "needs": [needs],
            "inputs": {"language": "en"},
        }
        for i, (start, end, channel) in enumerate(intervals)
    ]
    place = {"root": "audio", "path": name, "container": None, "byte_offset": None, "byte_length": None}
    known = {"recording_id": name, "listing_key": key, "content_sha256": f"listing:{key}", "seconds": 1.0}
    return place | known | {"utterances": utterances, "size_bytes": size}


def stereo(path: Path, seconds: int = 4, rate_hz: int = 8000) -> Path:
    """A wav whose channels differ."""
    import soundfile

    samples = np.stack([noise(0.1, seconds * rate_hz), 0.5 * noise(0.1, seconds * rate_hz)[::-1]], axis=1)
    soundfile.write(path, samples, rate_hz, subtype="PCM_16")
    return path


INTERVALS: list[tuple[int, int | None, str]] = [
    (1000, 2000, "0"),
    (500, 1500, "1"),
    (0, 3999, "mix"),
    (2000, None, "0"),
    (3000, 9000, "0"),
    (0, 100, "7"),
]


def heard(clips: Any) -> list[Any]:
    return [
        (clip.duration_s, clip.channels, clip.native.tobytes(), clip.samples.tobytes())
        if isinstance(clip, Clip)
        else clip.error
        for clip in clips
    ]


@pytest.mark.parametrize("whole", [True, False])
def test_a_stream_gives_the_clips_of_the_whole_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    stereo(tmp_path / "a.wav")
    row = recording(tmp_path, "a.wav", *INTERVALS)
    expected = read(row, {"audio": str(tmp_path)})
    monkeypatch.setattr(reading, "STREAMED_BYTES", 0)
    found = read(row, {"audio": str(tmp_path)}, to_the_end=["f"] if whole else [])
    assert heard(found.clips) == heard(expected.clips)
    assert [c if isinstance(c, str) else None for c in heard(found.clips)][-2:] == [
        "INTERVAL_OUTSIDE",
        "CHANNEL_MISSING",
    ]
    assert found.content_sha256 == expected.content_sha256


def test_a_stream_is_decoded_to_its_end_only_for_those_who_ask_for_its_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stereo(tmp_path / "a.wav", seconds=40)
    row = recording(tmp_path, "a.wav", (0, 1000, "0"))
    monkeypatch.setattr(reading, "STREAMED_BYTES", 0)
    (early,) = read(row, {"audio": str(tmp_path)}).clips
    (known,) = read(row, {"audio": str(tmp_path)}, to_the_end=["f"]).clips
    assert isinstance(early, Clip)
    assert isinstance(known, Clip)
    assert math.isnan(early.recording_duration_s)
    assert (known.recording_duration_s, known.header_duration_s) == (40.0, 40.0)


def test_many_utterances_of_one_channel_share_its_samples(tmp_path: Path) -> None:
    stereo(tmp_path / "a.wav", seconds=60)
    row = recording(tmp_path, "a.wav", *[(i * 100, i * 100 + 200, "mix") for i in range(200)])
    read(row, {"audio": str(tmp_path)})
    tracemalloc.start()
    found = read(row, {"audio": str(tmp_path)})
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.clips) == 200
    assert size < 3 * 60 * 8000 * 4  # the mixed channel, and 40 s at 16 kHz


def test_a_short_clip_does_not_keep_the_recording_it_was_cut_from(tmp_path: Path) -> None:
    stereo(tmp_path / "a.wav", seconds=4, rate_hz=16_000)
    row = recording(tmp_path, "a.wav", (0, 1900, "0"), (0, 2100, "0"))
    short, long = read(row, {"audio": str(tmp_path)}).clips
    assert isinstance(short, Clip)
    assert isinstance(long, Clip)
    assert short.samples.base is None
    assert long.samples.base is not None


def test_recordings_come_in_order_whoever_reads_them(tmp_path: Path) -> None:
    for i in range(7):
        stereo(tmp_path / f"{i}.wav", seconds=1 + i % 3)
    rows = [recording(tmp_path, f"{i}.wav", (0, None, "mix")) for i in range(7)]
    found = list(read_ahead(iter(rows), {"audio": str(tmp_path)}, threads=3))
    assert [one.recording["path"] for one in found] == [row["path"] for row in rows]
    assert all(isinstance(one.clips[0], Clip) for one in found)


def test_a_file_that_has_gone_is_a_passing_failure_of_each_of_its_utterances(tmp_path: Path) -> None:
    row = recording(tmp_path, "gone.wav", (0, None, "mix"), (0, 10, "mix"))
    found = read(row, {"audio": str(tmp_path)})
    assert [(one.error, one.transient) for one in found.clips] == [("MISSING", True)] * 2
    assert (found.size_bytes, found.content_sha256) == (None, "listing:gone")
