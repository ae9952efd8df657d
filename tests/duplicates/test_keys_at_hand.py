"""Keys of what is current: others lie in the same table, and meet nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from speechlake.duplicates import step
from speechlake.duplicates.known import FILED
from speechlake.errors import Conflict
from speechlake.schemas import SIGNALS_AUDIO_KEYS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake

# Keys of what is current, a former content of one of them, what was retired, and what other code has made.
STORED = [("u1", "c1", "k"), ("u2", "c2", "k"), ("u1", "c0", "k"), ("u0", "c3", "k"), ("u2", "c2", "j")]


def with_stored_keys(lake: Lake, rows: Any, stored: list[tuple[str, str, str]]) -> Lake:
    measured = [
        (u, {"content_sha256": c, "fingerprint": k, "inputs_hash": "", "frames": 1, "keys": b"1111", "active": b"1",
             "key_version": 1})
        for u, c, k in stored
    ]  # fmt: skip
    with lake.hold("fill", "c", "r") as hold:
        hold.append_missing("signals_audio_keys", rows(SIGNALS_AUDIO_KEYS, *measured))
    return lake


def clips_of(lake: Lake, *clips: tuple[str, str]) -> DataFrame:
    """Clips that are current, by utterance and content."""
    ddl = ", ".join(f"{name} string" for name in FILED)
    return lake.spark.createDataFrame([(*clip, "k.1") for clip in clips], ddl)


@pytest.mark.parametrize(
    ("stored", "few"),
    [(STORED, 2), (STORED, 1), (STORED[:2], 0)],
    ids=["a few others", "many others", "no others"],
)
def test_keys_of_most_are_those_of_what_is_current(lake, rows, monkeypatch, stored, few):
    monkeypatch.setattr(step, "FEW", few)
    clips = clips_of(lake, ("u1", "c1"), ("u2", "c2"))
    found = step.keys_of_most(with_stored_keys(lake, rows, stored), clips, "k.1", 2).collect()
    assert sorted((row.utterance_id, row.content_sha256) for row in found) == [("u1", "c1"), ("u2", "c2")]


def test_clips_without_a_frame_have_no_keys(lake, rows):
    with_stored_keys(lake, rows, STORED[:1])
    with lake.hold("fill", "c", "r2") as hold:
        silent = {
            "content_sha256": "c2",
            "fingerprint": "k",
            "inputs_hash": "",
            "frames": 0,
            "keys": b"",
            "active": b"",
        }
        failed = {"content_sha256": "c3", "fingerprint": "k", "inputs_hash": "", "error": "decode:broken"}
        hold.append_missing("signals_audio_keys", rows(SIGNALS_AUDIO_KEYS, ("u2", silent), ("u3", failed)))
    found = step.keys_of_most(lake, clips_of(lake, ("u1", "c1")), "k.1", 1).collect()
    assert [row.utterance_id for row in found] == ["u1"]


def test_keys_that_go_while_they_are_looked_up_are_a_conflict(lake, rows):
    """Else what nobody compared would be remembered as looked up."""
    with_stored_keys(lake, rows, STORED[:1])
    with pytest.raises(Conflict, match="1 keys left"):
        step.keys_of_most(lake, clips_of(lake), "k.1", 2)
