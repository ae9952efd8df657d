"""SPEECHLAKE_FAULT: what it names, and that a process ends there and nowhere else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from speechlake import faults
from speechlake.errors import UsageError

PASSED = ["a:a", "b:b", "c:c", "b:b"]
SCRIPT = f"""
from speechlake.faults import point
for name in {PASSED}:
    point(name)
    print(name, flush=True)
"""


def passed(said: str) -> tuple[int, list[str]]:
    """Exit code, and the points that a process passed which is told `said`."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {faults.VARIABLE: said},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.split()


def test_without_the_variable_no_point_does_anything() -> None:
    assert passed("") == (0, PASSED)


def test_a_process_is_killed_at_the_first_passage_of_the_named_point() -> None:
    assert passed("b:b") == (-signal.SIGKILL, ["a:a"])


def test_a_later_passage_and_another_signal_can_be_named() -> None:
    assert passed("b:b:2=TERM") == (-signal.SIGTERM, ["a:a", "b:b", "c:c"])


def test_a_point_that_is_not_passed_ends_nothing() -> None:
    assert passed("b:b:3") == (0, PASSED)


@pytest.mark.parametrize("said", ["b:b=NOSIGNAL", "b:b:0", "=KILL", "B", "b:b:2=TERM;"])
def test_what_names_nothing_is_refused(said: str) -> None:
    with pytest.raises(UsageError, match="expected POINT"):
        faults.ending_at(said)


def test_no_hook_is_set_in_a_process_that_is_not_told() -> None:
    assert faults.hook is None
