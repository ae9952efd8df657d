"""Extractors that measure clip by clip: whatever one does, its clip has a code and the next one its result."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from signal_clips import clip_of

from speechlake.signals.extractor import Clip, Identity, Measurement
from speechlake.signals.singly import Singly


@dataclass(frozen=True)
class Moody:
    """Measures the length, and misbehaves as the declared language says."""

    name: ClassVar[str] = "moody"
    version: ClassVar[str] = "1"
    inputs: ClassVar[tuple[str, ...]] = ("language",)

    loads: list[int] = field(default_factory=list)

    def identity(self) -> Identity:
        return Identity(self.name, self.version)

    def load(self) -> threading.Event:
        self.loads.append(1)
        return threading.Event()

    def measure(self, model: threading.Event, clips: Sequence[Clip]) -> list[Measurement]:
        mood = clips[0].inputs["language"]
        if mood == "raises":
            raise ValueError("not this one")
        if mood == "times out":
            raise TimeoutError("by itself")
        if mood == "memory":
            raise MemoryError
        if mood == "hangs":
            model.wait(30)
        return [] if mood == "few" else [Measurement({"length": clips[0].duration_s})]


@pytest.mark.parametrize(
    ("mood", "code", "transient"),
    [
        ("raises", "EXTRACTOR_FAILED", False),
        ("times out", "EXTRACTOR_FAILED", False),
        ("few", "EXTRACTOR_FAILED", False),
        ("memory", "OUT_OF_MEMORY", True),
        ("hangs", "TIME_OUT", True),
    ],
)
def test_a_clip_gets_a_code_and_the_next_its_result(mood: str, code: str, transient: bool) -> None:
    extractor = Moody()
    singly = Singly(extractor, extractor.load, grace_s=0.3)
    bad = singly.measure(clip_of([0.1], language=mood))
    good = singly.measure(clip_of([0.1] * 16_000))
    singly.close()
    assert (bad.error, bad.transient) == (code, transient)
    assert (good.error, good.values["length"]) == (None, 1.0)
    assert len(extractor.loads) == (2 if mood == "hangs" else 1)
