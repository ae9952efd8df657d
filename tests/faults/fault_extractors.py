"""Extractors of the story of faults: one fails for long clips, one is another model. Ships to workers as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from job_extractors import Parrot

from speechlake.signals.extractor import Clip, Identity, Measurement

LONGEST_S = 3.0


@dataclass(frozen=True)
class SomeSpeech:
    """Voice activity that finds speech everywhere, and cannot hear clips of more than LONGEST_S for now."""

    name: ClassVar[str] = "speech"
    version: ClassVar[str] = "some-speech"
    inputs: ClassVar[tuple[str, ...]] = ()

    def identity(self) -> Identity:
        """Always the same."""
        return Identity(self.name, self.version, model_id="some-speech", model_sha256="2" * 64)

    def load(self) -> Any:
        """Nothing to open."""

    def measure(self, model: Any, clips: Sequence[Clip]) -> list[Measurement]:
        """One segment from end to end, or a failure that may pass."""
        return [
            Measurement(error="OUT_OF_MEMORY", detail="too long for now", transient=True)
            if clip.duration_s > LONGEST_S
            else Measurement({"speech_ratio": 1.0, "speech_duration_s": clip.duration_s})
            for clip in clips
        ]


@dataclass(frozen=True)
class Starling(Parrot):
    """Another bird that says the same."""

    version: ClassVar[str] = "starling"
