"""CPU time of a worker and of its children, while they run and when they have ended."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from speechlake.signals.cpu_time import cpu_seconds

BUSY = (
    "import sys, time\nwhile time.process_time() < 0.5: pass\nprint('done', flush=True)\nsys.stdin.read()\n"
)

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="children that run are told by /proc"
)


def test_a_child_is_counted_while_it_runs_and_once_when_it_has_ended() -> None:
    before, counted = cpu_seconds(), []

    def run() -> None:
        # From another thread, as readers start their decode children.
        with subprocess.Popen(
            [sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            counted.append(cpu_seconds() - before)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    (running,), ended = counted, cpu_seconds() - before
    assert running >= 0.45
    assert running - 0.05 <= ended < running + 0.4
