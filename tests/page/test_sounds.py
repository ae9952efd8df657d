"""Clips that a page can play, without Spark: decoded by the decode child, written anew."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
import soundfile
from lake_tools import wav

from speechlake.audio.storage import listing_key
from speechlake.page.sounds import MAX_S, PLACE, flac_uri, sound


def place(file: Path, **said: Any) -> dict[str, Any]:
    """Where a whole file lies."""
    found = file.stat() if file.exists() else None
    key = listing_key(found.st_size, found.st_mtime_ns) if found else "0"
    own = {"root": "audio", "path": file.name, "channel": "mix", "start_ms": 0, "listing_key": key}
    return {**dict.fromkeys(PLACE), **own, "utterance_id": "u", "content_key": f"listing:{key}", **said}


def played(uri: str) -> tuple[int, float]:
    """Sample rate and length in seconds of what a data: URI holds."""
    kind, _, data = uri.partition(";base64,")
    assert kind == "data:audio/flac"
    found = soundfile.info(io.BytesIO(base64.b64decode(data, validate=True)))
    assert (found.format, found.channels) == ("FLAC", 1)
    return found.samplerate, found.duration


def test_a_clip_is_cut_and_encoded_anew(tmp_path):
    file = wav(tmp_path / "a.wav", seconds=2.0)
    made = sound(place(file, start_ms=500, end_ms=1500), {"audio": str(tmp_path)})
    assert (made.trouble, made.duration_s, made.is_cut) == (None, 1.0, False)
    assert played(made.uri or "") == (16_000, 1.0)


def test_of_a_long_clip_the_beginning_is_played(tmp_path):
    made = sound(place(wav(tmp_path / "a.wav", seconds=MAX_S + 5)), {"audio": str(tmp_path)})
    assert (made.duration_s, made.is_cut) == (MAX_S + 5, True)
    assert played(made.uri or "") == (16_000, MAX_S)


def test_the_same_samples_give_the_same_bytes(tmp_path):
    samples, _ = soundfile.read(wav(tmp_path / "a.wav"), dtype="float32")
    assert flac_uri(samples) == flac_uri(samples.copy())


@pytest.mark.parametrize(
    ("said", "trouble"),
    [
        ({"path": "gone.wav"}, "MISSING"),
        ({"path": "../a.wav"}, "OUTSIDE_ROOT"),
        ({"path": "text.wav"}, "STORAGE"),  # its listing key is another
        ({"listing_key": "1-1"}, "at the last ingest"),
        ({"content_key": "0" * 64}, "other bytes than before"),
        ({"start_ms": 9000, "end_ms": 9900}, "INTERVAL_OUTSIDE"),
        ({"channel": "7"}, "CHANNEL_MISSING"),
        ({"root": "other"}, "no root 'other'"),
    ],
)
def test_what_cannot_be_played_says_why(tmp_path, said, trouble):
    (tmp_path / "text.wav").write_text("<script>")
    made = sound(place(wav(tmp_path / "a.wav"), **said), {"audio": str(tmp_path)})
    assert made.uri is None
    assert trouble in (made.trouble or "")
