"""A table that an operator restored to an older version: the same command brings back what that took away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fault_story import FaultStory
from watched import copied, difference, forget_logs, values

from speechlake.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.slow

# What each step writes of the data, and can write again.
WRITTEN: dict[str, Sequence[str]] = {
    "ingest-manifests": (
        *("corpora", "recordings", "utterances", "transcripts", "repeats", "quarantine", "manifests"),
    ),
    "extract-signals": (
        *("extractors", "profiles", "content_hashes", "attempts"),
        *("signals_audio", "signals_speech", "signals_whisper", "signals_audio_keys"),
    ),
    "score-transcripts": ("scores",),
    "find-duplicates": ("key_buckets", "audio_pairs", "duplicates"),
    "build-splits": ("splits", "decisions", "assignments", "releases"),
    "import-signals": ("extractors", "profiles", "signals_imported", "transcripts", "import_refusals"),
    "profile": ("profiles",),
    "ingest-manifests, changed": (
        *("corpora", "recordings", "utterances", "transcripts", "repeats", "quarantine", "manifests"),
    ),
    "extract-signals, changed": ("content_hashes", "signals_audio", "signals_whisper"),
    "score-transcripts, changed": ("scores",),
    "find-duplicates, changed": ("key_buckets", "audio_pairs", "duplicates"),
    "build-splits, changed": ("splits", "decisions", "assignments", "releases"),
    "calibrate": ("calibrations",),
    "segment-recordings": ("content_hashes", "segmentations", "utterances"),
}
QUICK = {("ingest-manifests", "transcripts")}


def every_table() -> Iterator[object]:
    for step, names in WRITTEN.items():
        for name in names:
            yield pytest.param(step, name, marks=[] if (step, name) in QUICK else [pytest.mark.long])


def restored(lake: Lake, name: str, version: int) -> None:
    """What an operator does to a table: RESTORE."""
    from delta.tables import DeltaTable

    DeltaTable.forPath(lake.spark, lake.path(name)).restoreToVersion(version)


@pytest.mark.parametrize(("step", "name"), every_table())
@pytest.mark.long
def test_a_table_restored_to_what_it_was_before_a_job_is_brought_back_by_the_same_command(
    story: FaultStory, tmp_path: Path, step: str, name: str
) -> None:
    done = story[step]
    lake = Lake(story.lake.spark, copied(done.left, tmp_path / "lake"))
    before = Lake(story.lake.spark, done.before).version(name)
    # A table that the job made has a version without rows, and then those of its commits.
    restored(lake, name, before or 0)
    assert difference(values(Path(lake.root)), done.after).keys() == {name}, "nothing was taken away"
    done.command(lake)
    assert difference(values(Path(lake.root)), done.after) == {}
    settled = lake.versions()
    done.command(lake)
    if step.split(",")[0] != "extract-signals":  # what fails for now is tried three times
        assert lake.versions() == settled
    forget_logs(lake)


@pytest.mark.long
def test_ingest_trusts_a_table_that_was_only_compacted(story: FaultStory, tmp_path: Path) -> None:
    from delta.tables import DeltaTable

    done = story["ingest-manifests, changed"]
    lake = Lake(story.lake.spark, copied(done.left, tmp_path / "lake"))
    DeltaTable.forPath(lake.spark, lake.path("utterances")).optimize().executeCompaction()
    settled = lake.versions()
    done.command(lake)
    assert lake.versions() == settled
    forget_logs(lake)
