"""The whole way on a lake that was only ingested: what is searched is found before, and is nowhere afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from erasure_story import WHO, filled, needles, request
from erasure_traces import traces
from lake_tools import QUIET

from speechlake.jobs import erase_speakers

if TYPE_CHECKING:
    from speechlake.lake import Lake

pytestmark = [pytest.mark.slow, pytest.mark.long]


def test_an_ingested_speaker_is_erased_without_a_trace_and_others_stay(lake: Lake, tmp_path: Path) -> None:
    filled(lake, tmp_path / "audio")
    wanted = needles(lake)
    before = traces(lake.root, wanted)
    assert set(before) == set(wanted)
    assert any("_delta_log" in file for files in before.values() for file in files)
    others = lake.read("utterances").where(f"speaker_id != 'talks:{WHO}'").count()

    report = erase_speakers.run(lake, request(), report=tmp_path / "report.md", progress=QUIET)
    assert (report.outcome, report.counts["utterances"], report.counts["recordings"]) == ("done", 5, 4)
    assert traces(lake.root, wanted) == {}
    assert lake.read("utterances").count() == others
    assert WHO in (tmp_path / "report.md").read_text()
