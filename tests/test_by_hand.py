"""Whether somebody changed a table beside the jobs, by its log and by what a run has seen."""

from __future__ import annotations

from typing import Any

import pytest
from lake_tools import Log

from speechlake.by_hand import _is_changed, changed_by_hand
from speechlake.ledger import Run
from speechlake.schemas import CONTENT_HASHES

JOB, HAND = "ingest-manifests/c/run", "by hand"
# The commits of a table after the first; since which version, and at which one it was left; was it changed by hand?
CHANGED = [
    ([JOB, JOB], 0, 2, False),
    ([JOB, HAND], 0, 1, True),
    ([HAND, JOB], 0, 2, True),  # between what a run read and what it wrote
    ([HAND, JOB], 1, 2, False),
    ([JOB], -1, -1, False),
    ([HAND], -1, -1, True),
    ([JOB], 0, 2, True),  # a folder put back from a copy
]


@pytest.mark.parametrize(("commits", "since", "left", "found"), CHANGED)
def test_a_commit_without_a_note_was_made_by_hand(commits: list[str], since: int, left: int, found: bool):
    log: Any = Log(commits)
    assert _is_changed(log, "utterances", since, left) == found


@pytest.mark.slow
def test_what_was_done_by_hand_is_seen_by_each_command_that_reads_sources_of_its_own(lake, rows):
    from delta.tables import DeltaTable

    table = CONTENT_HASHES.name

    def seen(source: str) -> list[str]:
        run = Run("ingest-manifests", "c", {"sources": [source]})
        run.reads(lake, [table])
        found = changed_by_hand(lake, run, [table])
        with lake.hold(run.job, run.scope, run.run_id) as hold:
            run.finish(hold)
        return found

    with lake.hold("extract-signals", "c", "r") as hold:
        hold.append_missing(table, rows(CONTENT_HASHES, ("a", {"listing_key": "1", "content_sha256": "x"})))
    assert (seen("A"), seen("B")) == ([], [])
    DeltaTable.forPath(lake.spark, lake.path(table)).delete()
    assert (seen("A"), seen("B")) == ([table], [table])
    assert (seen("A"), seen("B")) == ([], [])
