"""Whether somebody changed a table beside the jobs, by its log and by what a run has seen."""

from __future__ import annotations

from typing import Any

import pytest
from lake_tools import Log, run_row

from speechlake.by_hand import _is_changed, changed_by_hand
from speechlake.ledger import Run
from speechlake.schemas import CONTENT_HASHES

TABLE = CONTENT_HASHES.name
JOB, OWN, HAND = "ingest-manifests/d/another", "ingest-manifests/c/mine", "by hand"
# The commits of a table after the first; the versions that a run read and wrote; was it changed by hand?
CHANGED = [
    ([JOB, OWN], 0, 2, False),
    ([JOB, JOB], 1, None, False),
    ([JOB, HAND], 0, None, True),
    ([OWN, HAND], 0, 1, True),
    ([HAND, OWN], 0, 2, True),  # between what the run read and what it wrote
    ([HAND, OWN], 1, 2, False),
    ([JOB], -1, None, False),
    ([HAND], -1, None, True),
    ([JOB], 0, 2, True),  # a folder put back from a copy
    ([JOB, JOB, JOB], 0, 2, True),  # and written by others since
    ([JOB, JOB, JOB, JOB], 4, None, True),  # the same, after it had ended in second 3
]


@pytest.mark.parametrize(("commits", "read", "written", "found"), CHANGED)
def test_a_commit_without_a_note_was_made_by_hand(
    commits: list[str], read: int, written: int | None, found: bool
):
    log: Any = Log(commits)
    assert _is_changed(log, TABLE, run_row(TABLE, read, written)) == found


@pytest.mark.parametrize(("commit", "found"), [(JOB, False), (HAND, True)])
def test_without_a_run_every_commit_by_hand_counts(commit: str, found: bool):
    log: Any = Log([commit])
    assert _is_changed(log, TABLE, None) == found


@pytest.mark.slow
def test_what_was_done_by_hand_is_seen_by_each_command_that_reads_sources_of_its_own(lake, rows):
    from delta.tables import DeltaTable

    def seen(source: str) -> list[str]:
        run = Run("ingest-manifests", "c", {"sources": [source]})
        run.reads(lake, [TABLE])
        found = changed_by_hand(lake, run, [TABLE])
        with lake.hold(run.job, run.scope, run.run_id) as hold:
            run.finish(hold)
        return found

    with lake.hold("extract-signals", "c", "r") as hold:
        hold.append_missing(TABLE, rows(CONTENT_HASHES, ("a", {"listing_key": "1", "content_sha256": "x"})))
    assert (seen("A"), seen("B")) == ([], [])
    DeltaTable.forPath(lake.spark, lake.path(TABLE)).delete()
    assert (seen("A"), seen("B")) == ([TABLE], [TABLE])
    assert (seen("A"), seen("B")) == ([], [])
