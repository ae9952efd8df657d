"""faster-whisper's model as a UDF keeps it: one per worker.

A module of its own, which Spark ships: a worker keeps its modules from task to task, and no globals of a function that
is sent to it.
"""

from __future__ import annotations

from functools import cache
from typing import Any


def opened(folder: str, device: str, threads: int) -> Any:
    """faster-whisper's model."""
    from faster_whisper import WhisperModel

    kind = {"cpu": "int8", "cuda": "float16"}[device]
    return WhisperModel(folder, device=device, compute_type=kind, cpu_threads=threads)


@cache
def kept(folder: str, device: str) -> Any:
    """The same on one thread, opened once in this process."""
    return opened(folder, device, 1)
