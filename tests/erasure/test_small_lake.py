"""The whole way on a lake that was only ingested: what is searched is found before, and is nowhere afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from erasure_story import WHO, filled, needles, request
from erasure_traces import traces
from lake_tools import QUIET, ingest, says, wav, write_lines

from speechlake.jobs import erase_speakers, extract_signals
from speechlake.signals.audio import Audio
from speechlake.signals.plan import wanted_of

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


def test_an_erased_corpus_leaves_its_name_in_no_file_lock_or_log(lake: Lake, tmp_path: Path) -> None:
    gone = "zebrafarm"
    for corpus in ("stays", gone):
        wav(tmp_path / corpus / "a.wav")
        ingest(lake, write_lines(tmp_path / corpus / "m.jsonl", says("a.wav", "hello")), corpus=corpus)
    # The first to measure: what it registers is nobody's, and its commit names the corpus.
    extract_signals.run(lake, wanted_of([Audio()]), corpus=gone, progress=QUIET)
    where = {Path(file).parts[0] for file in traces(lake.root, [gone])[gone]}
    assert {"_locks", "corpora", "extractors", "runs"} <= where

    erase_speakers.run(lake, request(erase=[{"corpus": gone}]), progress=QUIET)
    assert traces(lake.root, [gone]) == {}
    assert [row.corpus for row in lake.read("utterances").collect()] == ["stays"]
