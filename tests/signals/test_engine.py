"""Measuring inside a task: whatever an extractor does, its clip has a code and the others their results."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from batch_fakes import InBatches
from signal_clips import clip_of

from speechlake.errors import DeviceFailed
from speechlake.signals import engine
from speechlake.signals.batching import Asked, Piece
from speechlake.signals.engine import Task
from speechlake.signals.extractor import Clip, Measurement
from speechlake.signals.plan import wanted_of
from speechlake.signals.reading import Heard


@dataclass(frozen=True)
class Choosy(InBatches):
    """Says the same of every clip, in batches, but refuses to make pieces of clips in German."""

    name: ClassVar[str] = "whisper"
    version: ClassVar[str] = "choosy"
    inputs: ClassVar[tuple[str, ...]] = ("language",)

    def load(self) -> Any:
        return "model"

    def ask(self, model: Any, clip: Clip) -> Asked:
        if clip.inputs["language"] == "de":
            raise ValueError("not this one")
        return Asked([Piece(clip.samples, 10, 10.0)], lambda said: Measurement({"text": said[0]}))

    def decode(self, model: Any, pieces: Sequence[Piece]) -> Sequence[Any]:
        return ["heard"] * len(pieces)


def test_an_extractor_that_raises_when_asked_costs_that_clip_an_attempt_and_the_others_nothing() -> None:
    (wanted,) = wanted_of([Choosy()])
    spoken = {"u1": "en", "u2": "de", "u3": "en"}
    utterances = [
        {
            "utterance_id": name,
            "needs": [wanted.fingerprint],
            "inputs": {"language": language},
            "inputs_hashes": {"whisper": ""},
        }
        for name, language in spoken.items()
    ]
    clips = [replace(clip_of(np.zeros(1600)), utterance_id=name) for name in spoken]
    recording = {"recording_id": "r", "listing_key": "k", "utterances": utterances}
    (rows,) = Task([wanted]).rows(iter([Heard(recording, "content", 1, clips)]))
    found = [row[wanted.column] for row in rows]
    assert [(one["text"], one["error"], one["transient"]) for one in found] == [
        ("heard", None, False),
        (None, "MODEL_FAILED", True),
        ("heard", None, False),
    ]


class Weights:
    """A model that counts how often it is moved off its device."""

    released = 0

    def release(self) -> None:
        self.released += 1


@dataclass(frozen=True)
class OnCard(InBatches):
    """Says the same of every clip, on a device that is sound or broken."""

    name: ClassVar[str] = "whisper"
    version: ClassVar[str] = "on a card"
    inputs: ClassVar[tuple[str, ...]] = ()

    device: str = "cuda"
    weights: Weights | None = None
    is_broken: bool = False

    def load(self) -> Any:
        return self.weights

    def ask(self, model: Any, clip: Clip) -> Asked:
        return Asked([Piece(clip.samples, 10, 10.0)], lambda said: Measurement({"text": said[0]}))

    def decode(self, model: Any, pieces: Sequence[Piece]) -> Sequence[Any]:
        if self.is_broken:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return ["heard"] * len(pieces)


@pytest.mark.parametrize(("is_broken", "released"), [(False, 1), (True, 0)])
def test_close_moves_weights_off_a_device_only_if_it_is_sound(
    monkeypatch: pytest.MonkeyPatch, is_broken: bool, released: int
) -> None:
    """To move them off a broken one would end the process before it has told what failed."""
    monkeypatch.setattr(engine, "held_device", lambda count: nullcontext(0))
    monkeypatch.setattr(engine, "device_count", lambda: 1)
    monkeypatch.setattr(engine, "free_memory", lambda index: None)
    monkeypatch.setattr(engine, "_models", {})
    weights = Weights()
    (wanted,) = wanted_of([OnCard(weights=weights, is_broken=is_broken)])
    utterance = {
        "utterance_id": "u",
        "needs": [wanted.fingerprint],
        "inputs": {},
        "inputs_hashes": {"whisper": ""},
    }
    recording = {"recording_id": "r", "listing_key": "k", "utterances": [utterance]}
    clip = replace(clip_of(np.zeros(1600)), utterance_id="u")
    task = Task([wanted])
    with pytest.raises(DeviceFailed) if is_broken else nullcontext():
        list(task.rows(iter([Heard(recording, "content", 1, [clip])])))
    task.close()
    assert weights.released == released
