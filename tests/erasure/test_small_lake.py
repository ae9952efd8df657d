"""The whole way on a lake that was only ingested: what is searched is found before, and is nowhere afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from erasure_story import WHO, filled, needles, request
from erasure_traces import traces
from lake_tools import QUIET, ingest, says, wav, write_lines

from speechlake.commands import erase_speakers, extract_signals
from speechlake.erasure.tombstones import hash_of
from speechlake.schemas import CORPORA, RELEASES, SPLITS, TOMBSTONES, UTTERANCES
from speechlake.signals.audio import Audio
from speechlake.signals.plan import wanted_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame

    from speechlake.lake import Lake

CALLS = {"speaker_namespace": "calls", "role": "training", "ids": "interval"}

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


def test_a_source_id_that_went_with_a_speaker_is_refused_from_now_on_where_a_request_names_it(
    lake: Lake, rows: Callable[..., DataFrame]
) -> None:
    pair = ("calls", "call-0007")
    gone = ("salt", "given", hash_of("salt", "given", *pair))
    with lake.hold("fill", "lake", "r") as hold:
        hold.append_missing(
            "corpora",
            rows(CORPORA, ("calls", CALLS)),
        )
        hold.append_missing("tombstones", lake.spark.createDataFrame([gone], TOMBSTONES.ddl))
    asked = request(erase=[{"source_id": "call-0007", "corpus": "calls"}])
    outcomes = [erase_speakers.run(lake, asked, progress=QUIET).outcome for _ in range(2)]
    assert outcomes == ["done", "nothing to do"]
    kinds = {row.kind: row.hash for row in lake.read("tombstones").collect()}
    assert kinds == {
        "given": gone[2],
        "source_id": hash_of("salt", "source_id", *pair),
        "lines": hash_of("salt", "lines", "calls"),
    }


def test_somebody_whom_a_release_alone_names_goes_from_it_and_the_row_of_today_stays(
    lake: Lake, rows: Callable[..., DataFrame]
) -> None:
    said = {"corpus": "calls", "speaker_id": "calls:ben"}
    row = {"build_id": "b1", "split": "train"}
    with lake.hold("fill", "lake", "r") as hold:
        hold.append_missing("corpora", rows(CORPORA, ("calls", CALLS)))
        hold.append_missing("utterances", rows(UTTERANCES, ("u1", said)))
        for speaker, utterance in (("calls:anna", "u1"), ("calls:ben", "u2")):
            hold.append_missing("splits", rows(SPLITS, (utterance, {**row, "speaker_id": speaker})))
        hold.append_missing("releases", rows(RELEASES, ("r1", {"build_id": "b1"})))
    asked = request(erase=[{"speaker": "anna", "corpus": "calls"}])
    assert [erase_speakers.run(lake, asked, progress=QUIET).outcome for _ in range(2)] == [
        "done",
        "nothing to do",
    ]
    assert [row.speaker_id for row in lake.read("splits").collect()] == ["calls:ben"]
    assert [row.utterance_id for row in lake.read("utterances").collect()] == ["u1"]
    assert [(row.release, row.splits) for row in lake.read("erasures").collect()] == [("r1", 1)]
    assert traces(lake.root, ["anna"]) == {}


def test_somebody_whom_a_refused_line_alone_names_is_erased(lake: Lake, tmp_path: Path) -> None:
    wav(tmp_path / "a.wav")
    good, bad = says("a.wav", "hello"), says("a.wav", "hello", speaker="zebrafalke", offset=0.2, duration=-1)
    ingest(lake, write_lines(tmp_path / "m.jsonl", good, bad), corpus="calls", max_reject=0.9)
    assert "quarantine" in {Path(file).parts[0] for file in traces(lake.root, ["zebrafalke"])["zebrafalke"]}
    asked = request(erase=[{"speaker": "zebrafalke", "corpus": "calls"}])
    assert [erase_speakers.run(lake, asked, progress=QUIET).outcome for _ in range(2)] == [
        "done",
        "nothing to do",
    ]
    assert traces(lake.root, ["zebrafalke"]) == {}
    assert [row.reason for row in lake.read("quarantine").collect()] == ["BAD_INTERVAL"]
