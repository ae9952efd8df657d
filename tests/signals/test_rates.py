"""Which runs of the past foretell the next, and how."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from speechlake.schemas import CHUNKS, RUNS
from speechlake.signals.rates import Rate, past_rate

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake

WANTED: Any = [
    SimpleNamespace(name="whisper", fingerprint="w1"),
    SimpleNamespace(name="audio", fingerprint="a1"),
]
BOTH = ("signals_audio", "signals_whisper")
# run, minutes ago, hours that it took, chunks (audio_s, cpu_s, device_s, model_loads), tables written, more arguments
RAN: list[tuple[str, int, int, list[tuple[float, float, float, int]], tuple[str, ...], dict[str, Any]]] = [
    # Two hours of reading what was moved, and ten minutes of new audio.
    ("moved", 9, 2, [(200.0, 30.0, 0.0, 1), (400.0, 120.0, 0.0, 0)], BOTH, {}),
    ("on a device", 8, 1, [(6000.0, 60.0, 3.0, 1)], BOTH, {}),
    ("measured the rest before", 7, 1, [(6000.0, 90.0, 0.0, 1)], ("signals_audio",), {}),
    ("heard each clip in both windows", 6, 1, [(600.0, 300.0, 0.0, 1)], BOTH, {"some": True}),
    ("mostly opened models", 5, 1, [(60.0, 110.0, 0.0, 2)], BOTH, {}),
    ("read what was there", 4, 1, [(0.0, 90.0, 0.0, 0)], BOTH, {}),
    ("was interrupted", 3, 1, [(600.0, 90.0, 0.0, 1)], BOTH, {}),
]


@pytest.mark.slow
def test_the_newest_run_that_measured_all_of_it_tells_what_a_second_of_audio_takes(
    lake: Lake, rows: Callable[..., DataFrame]
) -> None:
    now = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
    with lake.hold("fill", "lake", "r") as hold:
        for name, ago, hours, chunks, written, more in RAN:
            end = now - timedelta(minutes=ago)
            told = {
                "job": "extract-signals",
                "outcome": "done",
                "arguments": json.dumps({"extractors": [["whisper", "w1", [], []]], **more}),
                "versions_written": dict.fromkeys(written, 1),
                "started_at": end - timedelta(hours=hours),
                "finished_at": end,
            }
            if name != "was interrupted":
                hold.append_missing("runs", rows(RUNS, (name, told)))
            costs = [
                dict(zip(("audio_s", "cpu_s", "device_s", "model_loads"), each, strict=True))
                for each in chunks
            ]
            said = [(name, {"chunk": n, "fingerprints": ["a1", "w1"], **c}) for n, c in enumerate(costs)]
            hold.append_missing("chunks", rows(CHUNKS, *said))
    assert past_rate(lake, WANTED, on_device=False) == Rate(0.25, 0.0)
    assert past_rate(lake, WANTED, on_device=True) == Rate(0.01, 0.0005)
    assert past_rate(lake, WANTED[:1], on_device=False) is None
