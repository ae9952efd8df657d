"""What repair-table answers, before and after a table forgets its files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from lake_tools import QUIET

from speechlake.commands import repair_table
from speechlake.errors import UsageError


@contextmanager
def held(*_: Any, **__: Any) -> Iterator[None]:
    yield


LAKE: Any = SimpleNamespace(
    root="/lake",
    hold=held,
    versions=lambda: {"scores": 1, "utterances": 2},
    exists=lambda name: name != "runs",
)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("utterence", r"no table 'utterence'\n.*'utterances'"),
        ("zzz", r"(?s)no table 'zzz'\n.*utterances"),
        ("runs", "never written"),
    ],
)
def test_a_table_that_is_none_is_a_users_mistake(name: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        repair_table.run(LAKE, ["scores", name], progress=QUIET)


@pytest.mark.parametrize(("lost", "outcome"), [(["part-0.parquet"], "planned"), ([], "nothing to do")])
def test_a_plan_with_something_to_do_is_planned(
    monkeypatch: pytest.MonkeyPatch, lost: list[str], outcome: str
) -> None:
    monkeypatch.setattr(repair_table, "lost_files", lambda lake, name: lost if name == "scores" else [])
    found = repair_table.run(LAKE, [], plan=True, progress=QUIET)
    following = "speechlake repair-table --lake /lake scores" if lost else None
    assert (found.outcome, found.next_step) == (outcome, following)
