"""Successors of releases: what can never be cut is told, what may pass keeps the stage for the same command."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
from erasure_story import request
from lake_tools import QUIET

from speechlake import logs
from speechlake.commands import erase_speakers
from speechlake.erasure.alone import alone
from speechlake.erasure.releases import Held
from speechlake.errors import Busy, ConfigError, Conflict, DiskFull, LeakFound, Overtaken
from speechlake.lake import Lake
from speechlake.splits import reuse

# Whose lines the log says they are.
OWN = {"job": "erase-speakers", "scope": "lake", "run_id": "e"}


def followed(
    monkeypatch: pytest.MonkeyPatch, lake: Lake, error: Exception, *, successor: str = "first.e1"
) -> tuple[Any, list[Any]]:
    """What is told of release `first`, whose successor cannot be built because of `error`."""
    monkeypatch.setattr(erase_speakers, "policy_of", Mock())
    monkeypatch.setattr(erase_speakers, "run_cut", Mock(side_effect=error))
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
    assert isinstance(told, type(error))
    assert told.message.startswith("release first has no successor")
    assert hold.staging.delete.called


@pytest.mark.parametrize(
    ("problems", "code"), [([LeakFound("it leaks", hint="Look.")], 3), ([ConfigError("no side")], 0), ([], 0)]
)
def test_an_erasure_after_which_the_gate_refused_a_successor_is_done_and_says_so_by_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, problems: list[Any], code: int
) -> None:
    lake: Any = MagicMock(root="/lake")
    lake.hold.return_value.__enter__.return_value = SimpleNamespace(versions_written={})
    told: list[list[str]] = []
    monkeypatch.setattr(erase_speakers, "alone", lambda *_: nullcontext())
    monkeypatch.setattr(erase_speakers, "_carried_out", lambda *_: (None, []))
    monkeypatch.setattr(erase_speakers, "_followed", lambda *_: problems)
    monkeypatch.setattr(erase_speakers.reports, "write_report", lambda *said: told.append(said[-1]))
    report = erase_speakers.run(lake, request(), progress=QUIET)
    assert (report.refusal.exit_code if report.refusal else 0) == code
    assert told == [[erase_speakers._in_a_line(problem) for problem in problems]]


@pytest.mark.slow
def test_while_somebody_is_half_erased_only_the_erasure_and_what_mends_a_lake_go_on(lake: Lake) -> None:
    with lake.hold("erase-speakers", "lake", "e1") as hold:
        stage = hold.staging.write("digest", "e1", lake.spark.range(1), {})
        with lake.hold("build-splits", "main", "b1"):
            pass
    for job in ("build-splits", "ingest-manifests"):
        with pytest.raises(Busy, match=r"erasure .* was interrupted"), lake.hold(job, "main", "b2"):
            pass
    for job in ("erase-speakers", "repair-table", "maintain-tables"):
        with lake.hold(job, "lake", "r"):
            pass
    with lake.hold("erase-speakers", "lake", "e2") as hold:
        hold.staging.delete(stage)
    with lake.hold("build-splits", "main", "b3"):
        pass


@pytest.mark.slow
def test_a_successor_that_an_interrupted_run_cut_is_there_and_the_log_is_the_erasures_again(
    monkeypatch: pytest.MonkeyPatch, sample: Lake
) -> None:
    logs.note_run("build-splits", "main", "another")
    hold, told = followed(monkeypatch, sample, LeakFound("never asked"), successor="second")
    assert told == []
    assert logs._run == OWN
    assert hold.staging.delete.called


@pytest.mark.slow
def test_policies_of_successors_are_named_before_the_first_is_cut(
    monkeypatch: pytest.MonkeyPatch, sample: Lake
) -> None:
    waiting: list[int] = []

    def cut(*_: Any, **__: Any) -> None:
        waiting.append(len(reuse._REUSE.get().waiting))  # type: ignore[union-attr]

    monkeypatch.setattr(erase_speakers, "policy_of", lambda release: Mock())
    monkeypatch.setattr(erase_speakers, "run_cut", cut)
    # The third was begun by an erasure that this one finishes, the last one was published by an interrupted run.
    named = [("first", "first.e1"), ("second", "second.e1"), ("first", "first.e1"), ("first", "second")]
    held = [Held(name, "build", splits=1, decisions=0, successor=to, newest=True) for name, to in named]
    stage: Any = SimpleNamespace(note={"releases": [asdict(each) for each in held]})
    hold: Any = Mock(**OWN, lake=sample)
    assert erase_speakers._followed(hold, [stage], 0, QUIET, lambda step: None) == []
    assert waiting == [2, 2]


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
