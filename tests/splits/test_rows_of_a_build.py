"""Which tables a build vouches for: also those of its own that an earlier, killed run wrote. Without Spark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from lake_tools import QUIET

from speechlake.commands import build_splits
from speechlake.ledger import Run
from speechlake.splits.candidates import TABLES_READ

OWN = {"splits", "decisions", "fixed_sets", "releases", "assignments"}
POLICY: Any = SimpleNamespace(splits=SimpleNamespace(scheme="main"), digest=lambda: "p")


class NoTables:
    """A lake of which every table is at version 3."""

    root = "lake"

    def version(self, _: str) -> int:
        return 3

    @contextmanager
    def hold(self, *_: Any, **__: Any) -> Iterator[Any]:
        yield SimpleNamespace(versions_written={"releases": 3})


@pytest.mark.parametrize("adopted", [False, True])
def test_a_row_that_somebody_deletes_from_a_build_is_missed_whichever_run_wrote_it(
    monkeypatch: pytest.MonkeyPatch, adopted: bool
) -> None:
    note = {
        "policy_sha256": "p",
        "versions_read": dict.fromkeys(TABLES_READ, 2),
        "counts": [],
        "warnings": [],
    }
    ledger: list[Mapping[str, int]] = []
    monkeypatch.setattr(build_splits, "_adopted", lambda *_: note if adopted else None)
    for name in ("nothing_to_do", "_prepare"):
        monkeypatch.setattr(build_splits, name, lambda *_: None)
    monkeypatch.setattr(build_splits, "_publish", lambda *_: note)
    monkeypatch.setattr(Run, "finish", lambda self, _: ledger.append(self.versions_read))
    lake: Any = NoTables()
    build_splits.run(lake, POLICY, "", release="r", progress=QUIET)
    (read,) = ledger
    assert {name: read.get(name) for name in OWN} == dict.fromkeys(OWN, 3)
    # Of an adopted build, the rest was read when it was made.
    assert read["utterances"] == (2 if adopted else 3)
