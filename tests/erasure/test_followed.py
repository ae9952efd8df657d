"""Successors of releases: what can never be cut is told, what may pass keeps the stage for the same command."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from lake_tools import QUIET

from speechlake import logs
from speechlake.erasure.alone import alone
from speechlake.erasure.releases import Held
from speechlake.errors import Busy, ConfigError, Conflict, DiskFull, LeakFound, Overtaken
from speechlake.jobs import erase_speakers
from speechlake.lake import Lake

# Whose lines the log says they are.
OWN = {"job": "erase-speakers", "scope": "lake", "run_id": "e"}


def followed(
    monkeypatch: pytest.MonkeyPatch, lake: Lake, error: Exception, *, successor: str = "first.e1"
) -> tuple[Any, list[str]]:
    """What is told of release `first`, whose successor cannot be built because of `error`."""
    monkeypatch.setattr(erase_speakers, "policy_of", Mock())
    monkeypatch.setattr(erase_speakers.build_splits, "run", Mock(side_effect=error))
    hold: Any = Mock(**OWN, lake=lake)
    held = Held("first", "build of first", splits=1, decisions=0, successor=successor, newest=True)
    stage: Any = SimpleNamespace(note={"releases": [asdict(held)]})
    try:
        return hold, erase_speakers._followed(hold, [stage], 0, QUIET, lambda step: None)
    except type(error):
        return hold, ["raised"]


@pytest.mark.slow
@pytest.mark.parametrize("error", [Busy("b"), Conflict("c"), Overtaken("o"), DiskFull("d")])
def test_what_may_pass_is_raised_and_the_stage_stays(
    monkeypatch: pytest.MonkeyPatch, sample: Lake, error: Exception
) -> None:
    hold, told = followed(monkeypatch, sample, error)
    assert told == ["raised"]
    assert not hold.staging.delete.called


@pytest.mark.slow
@pytest.mark.parametrize("error", [LeakFound("it leaks"), ConfigError("no such side")])
def test_a_successor_that_can_never_be_cut_is_told_and_the_stage_goes(
    monkeypatch: pytest.MonkeyPatch, sample: Lake, error: Exception
) -> None:
    hold, [told] = followed(monkeypatch, sample, error)
    assert told.startswith("release first has no successor")
    assert hold.staging.delete.called


@pytest.mark.slow
def test_a_successor_that_an_interrupted_run_cut_is_there_and_the_log_is_the_erasures_again(
    monkeypatch: pytest.MonkeyPatch, sample: Lake
) -> None:
    logs.note_run("build-splits", "main", "another")
    hold, told = followed(monkeypatch, sample, LeakFound("never asked"), successor="second")
    assert told == []
    assert logs._run == OWN
    assert hold.staging.delete.called


def test_an_erasure_that_keeps_all_others_out_is_still_the_one_that_speaks() -> None:
    hold: Any = Mock(**OWN)

    def held(job: str, scope: str, run_id: str, **_: Any) -> Any:
        logs.note_run(job, scope, run_id)
        return nullcontext()

    hold.lake = Mock(is_local=True, root="/lake", hold=held)
    hold.lake.read.return_value.select.return_value.collect.return_value = []
    hold.lake.files.names.return_value = []
    with alone(hold, 0):
        assert logs._run == OWN
