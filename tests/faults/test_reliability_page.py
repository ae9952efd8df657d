"""docs/reliability.md counts the boundaries that are tried."""

from __future__ import annotations

import re
from pathlib import Path

from boundaries import PASSED, table

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reliability.md"


def test_the_page_counts_the_boundaries_of_the_list() -> None:
    """Rebuild the table: `python tests/faults/boundaries.py docs/reliability.md`."""
    shown = re.search(r"<!-- boundaries -->\n(.*)<!-- end boundaries -->", PAGE.read_text("utf-8"), re.DOTALL)
    assert shown is not None
    assert shown[1] == table()


def test_the_page_names_the_test_files_that_there_are() -> None:
    named = set(re.findall(r"`(test_\w+\.py)`", PAGE.read_text("utf-8")))
    there = {file.name for file in Path(__file__).parent.glob("test_*.py")}
    assert named <= there
    assert there - named == {"test_fault_points.py", "test_reliability_page.py"}


def test_every_step_passes_the_boundaries_that_the_design_names() -> None:
    for step, points in PASSED.items():
        said = {point.rpartition(":")[0] if ":commit:" in point else point for point in points}
        assert said >= {"before:commit", "after:commit"}, step
        assert points["before:commit:runs"] == points["after:commit:runs"] == 1, step
    assert {"before:commit:releases", "after:commit:releases"} <= PASSED["build-splits"].keys()
