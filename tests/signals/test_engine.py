"""Measuring inside a task: whatever an extractor does, its clip has a code and the others their results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from batch_fakes import InBatches
from signal_clips import clip_of

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
