"""A lake that is watched: what it holds at every fault point that a job passes, as a kill there would leave it.

A killed process leaves files and nothing else, so a copy of the lake's folder at a point is the lake that a kill
there leaves (test_kill_points.py compares one with a real kill). From each copy the same command runs again.
"""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from speechlake import faults
from speechlake.lake import Lake
from speechlake.schemas import TABLES

Values = dict[str, list[str]]
# Not rows of the data: what runs did and cost.
APART = frozenset({"runs", "chunks"})
# When, by whom and from which versions: no part of a row's value. `n` counts the runs in which a transient
# failure happened, and a run that was killed is one more.
NO_VALUE: dict[str, frozenset[str]] = {
    "attempts": frozenset({"run_id", "n"}),
    "releases": frozenset({"published_at", "versions_read"}),
}


@dataclass
class Step:
    """One job of the story. `copies` are lakes by point and passage; points between which no file changed share one.

    `before` and `left` are the lake before and after it, `after` the values then.
    """

    name: str
    command: Callable[[Lake], object]
    passed: list[str] = field(default_factory=list)
    copies: dict[str, Path] = field(default_factory=dict)
    before: Path = Path()
    left: Path = Path()
    after: Values = field(default_factory=dict)

    @property
    def passages(self) -> dict[str, int]:
        """How often each point was passed, by name."""
        return dict(sorted(Counter(label.rpartition(":")[0] for label in self.passed).items()))


def stored(root: Path, name: str) -> list[dict[str, Any]]:
    """All rows of a table, read by delta-rs: another reader than the one that is tested, and a quick one."""
    rows: list[dict[str, Any]] = DeltaTable(str(root / name)).to_pyarrow_table().to_pylist()
    return rows


def values(root: Path) -> Values:
    """Every table of the data as sorted rows, times and run ids left out; each key must be there once."""
    found = {}
    for name, table in TABLES.items():
        if not (root / name / "_delta_log").exists():
            continue
        rows = stored(root, name)
        keys = Counter(tuple(row[column] for column in table.key) for row in rows)
        assert {key: n for key, n in keys.items() if n > 1} == {}, f"{name} repeats keys"
        if name not in APART:
            without = NO_VALUE.get(name, frozenset({"run_id"}))
            plain = ({key: row[key] for key in sorted(row) if key not in without} for row in rows)
            # Attempts of several runs that differ by their number alone are one.
            found[name] = sorted({repr(row) for row in plain})
    return found


def difference(found: Values, expected: Values) -> dict[str, tuple[list[str], list[str]]]:
    """By table: rows that are there and should not be, and rows that are lacking; empty for equal lakes.

    A table without rows is like one that was never written.
    """
    apart = {}
    for name in sorted(found.keys() | expected.keys()):
        there, wanted = set(found.get(name, ())), set(expected.get(name, ()))
        if there != wanted:
            apart[name] = (sorted(there - wanted), sorted(wanted - there))
    return apart


def copied(source: Path, target: Path) -> Path:
    """A copy of a lake's folder; what another thread deletes meanwhile is left out."""

    def copy(one: str, other: str) -> str:
        try:
            return str(shutil.copy2(one, other))
        except FileNotFoundError:
            return other

    try:
        shutil.copytree(source, target, copy_function=copy, dirs_exist_ok=True)
    except shutil.Error as error:
        gone = all("No such file" in reason for _, _, reason in error.args[0])
        if not gone:
            raise
    return target


def forget_logs(lake: Lake) -> None:
    """Let Delta forget the logs that it has read: hundreds of lakes would fill the memory."""
    jvm: Any = lake.spark._jvm
    jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


def played(step: Step, lake: Lake, folder: Path) -> Step:
    """Run the step's command on `lake` once, and keep under `folder` what lay there at each point."""
    root = Path(lake.root)
    step.before = copied(root, folder / "before") if root.exists() else folder / "nothing"
    with _watching(step, root, folder):
        step.command(lake)
    step.left, step.after = copied(root, folder / "left"), values(root)
    return step


@contextmanager
def _watching(step: Step, root: Path, folder: Path) -> Iterator[None]:
    seen, guard = Counter[str](), threading.Lock()
    states: dict[frozenset[tuple[str, int]], Path] = {}

    def keep(point: str) -> None:
        with guard:  # chunks are staged from several threads
            seen[point] += 1
            label, state = f"{point}:{seen[point]}", _files(root)
            step.passed.append(label)
            if state not in states:
                states[state] = copied(root, folder / f"{len(states):03d}")
            step.copies[label] = states[state]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faults, "hook", keep)
        yield


def _files(root: Path) -> frozenset[tuple[str, int]]:
    """Names and sizes of all files but locks, which a kill releases."""
    found = set()
    for path in root.rglob("*"):
        try:
            if path.is_file() and path.parent.name != "_locks":
                found.add((str(path.relative_to(root)), path.stat().st_size))
        except FileNotFoundError:
            continue
    return frozenset(found)


def again(step: Step, lake: Lake, left: Path, folder: Path) -> dict[str, tuple[list[str], list[str]]]:
    """What differs from the undisturbed run after the same command ran again on the lake `left` by a kill."""
    root = copied(left, folder / "lake") if left.exists() else folder / "lake"
    step.command(Lake(lake.spark, root))
    found = difference(values(root), step.after)
    forget_logs(lake)
    shutil.rmtree(folder)
    return found
