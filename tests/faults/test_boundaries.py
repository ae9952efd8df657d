"""Killed at any boundary of any job, the same command again gives the tables of a run that nobody disturbed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from boundaries import PASSED, QUICK, labels
from fault_story import FaultStory
from watched import again

from speechlake.commands.pipeline import STEPS

pytestmark = pytest.mark.slow
# Points at which no file had changed since an earlier one are proved by that one.
_TRIED: dict[Path, object] = {}


def every_boundary() -> Iterator[object]:
    """(step, point and passage), the quick ones first."""
    for step in PASSED:
        for label in labels(step):
            yield pytest.param(step, label, marks=[] if (step, label) in QUICK else [pytest.mark.long])


def test_every_job_of_the_pipeline_is_in_the_list() -> None:
    assert {step.partition(",")[0] for step in PASSED} >= set(STEPS)


@pytest.mark.parametrize(
    "step", [pytest.param(step, marks=[] if step == STEPS[0] else [pytest.mark.long]) for step in PASSED]
)
def test_the_list_is_what_the_jobs_pass(story: FaultStory, step: str) -> None:
    assert story[step].passages == PASSED[step]


@pytest.mark.parametrize(("step", "label"), every_boundary())
def test_killed_here_the_same_command_again_gives_the_undisturbed_tables(
    story: FaultStory, tmp_path: Path, step: str, label: str
) -> None:
    left = story[step].copies[label]
    if left not in _TRIED:
        _TRIED[left] = again(story[step], story.lake, left, tmp_path)
    assert _TRIED[left] == {}
