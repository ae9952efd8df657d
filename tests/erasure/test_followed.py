"""Successors of releases: what can never be cut is told, what may pass keeps the stage for the same command."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from lake_tools import QUIET

from speechlake.errors import Busy, ConfigError, Conflict, DiskFull, LeakFound, Overtaken
from speechlake.jobs import erase_speakers

HELD = {"release": "r1", "build_id": "b", "splits": 1, "decisions": 0, "successor": "r1.e1", "newest": True}


def followed(monkeypatch: pytest.MonkeyPatch, error: Exception) -> tuple[Any, list[str]]:
    monkeypatch.setattr(erase_speakers, "release_named", lambda lake, name: {"policy": "p"})
    monkeypatch.setattr(erase_speakers, "policy_of", Mock())
    monkeypatch.setattr(erase_speakers.build_splits, "run", Mock(side_effect=error))
    hold: Any = Mock()
    stage: Any = SimpleNamespace(note={"releases": [HELD]})
    try:
        return hold, erase_speakers._followed(hold, [stage], 0, QUIET, lambda step: None)
    except type(error):
        return hold, ["raised"]


@pytest.mark.parametrize("error", [Busy("b"), Conflict("c"), Overtaken("o"), DiskFull("d")])
def test_what_may_pass_is_raised_and_the_stage_stays(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    hold, told = followed(monkeypatch, error)
    assert told == ["raised"]
    assert not hold.staging.delete.called


@pytest.mark.parametrize("error", [LeakFound("it leaks"), ConfigError("no such side")])
def test_a_successor_that_can_never_be_cut_is_told_and_the_stage_goes(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    hold, [told] = followed(monkeypatch, error)
    assert told.startswith("release r1 has no successor")
    assert hold.staging.delete.called
