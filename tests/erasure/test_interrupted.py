"""An erasure killed at any step is finished by the same command, as if nobody had killed it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from erasure_story import filled, needles, released, request
from erasure_traces import traces
from lake_tools import QUIET, Tables, tables

from speechlake.commands import erase_speakers
from speechlake.lake import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.slow, pytest.mark.long]

# Salted, timed, or about runs.
APART = {"tombstones", "erasures", "runs", "chunks", "releases"}


class Prepared:
    """A lake before, kept to be copied, and what an undisturbed erasure makes of it."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.spark, self.folder = spark, folder
        lake = Lake(spark, folder / "before")
        filled(lake, folder / "audio")
        released(lake)
        self.needles = needles(lake)
        assert set(traces(lake.root, self.needles)) == set(self.needles)
        undisturbed = self.copy("undisturbed")
        erase_speakers.run(undisturbed, request(), progress=QUIET)
        self.undisturbed = values(undisturbed)

    def copy(self, name: str) -> Lake:
        shutil.copytree(self.folder / "before", self.folder / name)
        return Lake(self.spark, self.folder / name)


def values(lake: Lake) -> Tables:
    return {name: rows for name, rows in tables(lake).items() if name not in APART}


@pytest.fixture(scope="module")
def prepared(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return Prepared(spark, tmp_path_factory.mktemp("interrupted"))


@pytest.mark.parametrize(
    "step",
    [
        *("tombstones", "stages", "splits", "signals_audio", "utterances", "recordings", "runs"),
        *("releases", "history of splits", "history of utterances", "history of corpora", "locks"),
        *("successors", "stage"),
    ],
)
def test_killed_at_a_step_it_is_finished_by_the_same_command(prepared: Prepared, step: str) -> None:
    lake = prepared.copy(step.replace(" ", "-"))
    report = prepared.folder / f"{step.replace(' ', '-')}.md"

    def dies(now: str) -> None:
        if now == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        erase_speakers.run(lake, request(), report=report, progress=QUIET, told=dies)
    begun = json.loads(report.with_suffix(".json").read_text())
    assert begun["state"] == "under way"
    # What is staged names nobody, once the rows that do are gone.
    assert not [
        f
        for files in traces(f"{lake.root}/_staging/erase-speakers", prepared.needles).values()
        for f in files
    ]

    erase_speakers.run(lake, request(), report=report, progress=QUIET)
    assert traces(lake.root, prepared.needles) == {}
    assert values(lake) == prepared.undisturbed
    done = json.loads(report.with_suffix(".json").read_text())
    assert done["state"] == "done"
    assert done["files"] == begun["files"]
    before = lake.versions()
    assert erase_speakers.run(lake, request(), progress=QUIET).outcome == "nothing to do"
    assert lake.versions() == before
