"""Batches do not pay for memory again and again."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

# As a model's thread does: the same large blocks again and again.
WORK = """
import resource, threading
from speechlake.signals.heap import keep_freed_memory

def batches():
    for _ in range(count):
        b"x" * 80_000_000

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    thread = threading.Thread(target=batches)
    thread.start()
    thread.join()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if {keep}:
    keep_freed_memory()
count = 1
faults()
count = 5
print(faults())
"""
PAGES = 5 * 80_000_000 // 4096


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="a C library without mallopt")
@pytest.mark.parametrize("keep", [True, False])
def test_memory_that_a_batch_gave_back_serves_the_next_without_faults(keep):
    done = subprocess.run([sys.executable, "-c", WORK.format(keep=keep)], capture_output=True, check=True)
    assert (int(done.stdout) < PAGES / 100) is keep
