"""Whether anything is left to do, by what the log says of every table since."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lake_tools import Log, run_row

from speechlake.commands import (
    extract_signals,
    import_signals,
    ingest_manifests,
    score_transcripts,
    segment_recordings,
)
from speechlake.lake import PROPERTIES
from speechlake.ledger import OF_A_CORPUS, Run, _is_as_left, unchanged
from speechlake.schemas import CONTENT_HASHES

TABLE = "content_hashes"


@pytest.fixture
def since(lake, rows, monkeypatch) -> int:
    """The version of a table after a commit of corpus c; corpus d wrote two more. Each has a checkpoint."""
    monkeypatch.setitem(PROPERTIES, "delta.checkpointInterval", "1")
    written = []
    for corpus, name in (("c", "a"), ("d", "b"), ("d", "e")):
        with lake.hold("extract-signals", corpus, f"run of {name}") as hold:
            said = {"corpus": corpus, "listing_key": "1", "content_sha256": name}
            hold.append_missing(TABLE, rows(CONTENT_HASHES, (name, said)))
        written.append(lake.version(TABLE))
    return int(written[0])


def test_commits_of_another_corpus_leave_a_corpus_unchanged_and_the_lake_changed(lake, since):
    assert unchanged(lake, TABLE, since, "c")
    assert not unchanged(lake, TABLE, since, "d")
    assert not unchanged(lake, TABLE, since, None)


def test_a_commit_that_deltas_clean_up_removed_counts_as_a_change(lake, since):
    for version in range(since + 2):
        Path(lake.path(TABLE), "_delta_log", f"{version:020d}.json").unlink()
    assert not unchanged(lake, TABLE, since, "c")


@pytest.mark.parametrize("singly", [0, 20])
def test_who_committed_is_read_once_and_the_same_whoever_reads_it(lake, since, monkeypatch, singly):
    monkeypatch.setattr("speechlake.lake.READ_SINGLY", singly)
    told = list(lake.notes(TABLE, -1))
    assert [json.loads(note.said)["scope"] if note.said else None for note in told] == ["d", "d", "c", None]
    assert [note.operation for note in told] == ["WRITE", "WRITE", "WRITE", "CREATE TABLE"]
    monkeypatch.setattr(lake, "commit", None)
    monkeypatch.setattr(lake, "history", None)
    assert list(lake.notes(TABLE, since)) == told[:2]


def test_what_an_import_commits_concerns_every_corpus_whatever_it_is_called(lake, since, rows):
    now = lake.version(TABLE)
    with lake.hold("import-signals", "d", "run of f") as hold:
        said = {"corpus": "c", "listing_key": "1", "content_sha256": "f"}
        hold.append_missing(TABLE, rows(CONTENT_HASHES, ("f", said)))
    assert not unchanged(lake, TABLE, now, "c")


def test_jobs_of_a_corpus_are_called_as_they_call_themselves():
    jobs = (ingest_manifests, segment_recordings, extract_signals, score_transcripts)
    assert tuple(job.NAME for job in jobs) == OF_A_CORPUS


OWN, OTHERS = "extract-signals/c/mine", "extract-signals/d/other"
INGEST, HAND = "ingest-manifests/c/other", "by hand"
# The commits of a table after the first; version read and version written by a run; is it as the run left it?
LEFT = [
    ([OWN, OWN], 0, 2, True),
    ([OWN, OWN, INGEST], 0, 2, False),
    ([INGEST, OWN], 0, 2, False),  # while it ran
    ([OTHERS, OWN, OTHERS], 0, 2, True),
    ([HAND, OWN], 0, 2, False),
    ([OWN, OWN], -1, 2, True),  # a table that it made
    ([OWN], 0, 2, False),  # a folder put back from a copy
    ([OTHERS, OTHERS, OTHERS], 0, 2, False),  # and written by others since
    ([OTHERS, OTHERS, OTHERS], 2, None, True),
    ([OWN, OTHERS], 2, 1, True),  # it took up a stage, and read later
    ([OTHERS, OTHERS], 2, 1, False),
    ([OTHERS, OTHERS, OTHERS, OTHERS], 4, None, False),  # written after it had ended, in second 3
]


@pytest.mark.parametrize(("commits", "read", "written", "found"), LEFT)
def test_what_others_commit_while_a_run_works_counts_and_what_it_commits_itself_does_not(
    commits, read, written, found
):
    log: Any = Log(commits)
    run = Run("extract-signals", "c", {}, by_corpus=True)
    assert _is_as_left(log, run, run_row(TABLE, read, written)) == found


NEWS = [
    # tables written; what the last such run left to retry, and this one; does the ledger lack it?
    ({"scores": 1}, 0, 0, True),
    ({}, None, 0, True),  # it, or one that was killed before its row
    ({}, 0, 0, False),
    ({}, 1, 0, True),  # a file that had gone is known to be missing by now
    ({}, 1, 1, False),
    ({}, 2, 1, False),  # the last one had taken up what a killed one left
    ({}, 0, 1, True),
]


@pytest.mark.parametrize(("written", "last", "left", "found"), NEWS)
def test_a_run_stands_in_the_ledger_where_that_lets_the_next_one_end_at_once(
    monkeypatch, written, last, left, found
):
    row = None if last is None else SimpleNamespace(left_to_retry=last)
    monkeypatch.setattr("speechlake.ledger._last_done", lambda *_: row)
    hold: Any = SimpleNamespace(lake=None, versions_written=written)
    assert Run("extract-signals", "c", {}, left_to_retry=left).is_news(hold) == found


def test_what_a_job_writes_and_can_write_again_is_among_what_it_reads():
    written = {"signals_imported", "import_refusals", "transcripts", "extractors", "profiles"}
    assert written <= set(import_signals.READS)
