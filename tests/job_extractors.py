"""Extractors that hear the same in every clip, for tests of jobs. Ships to workers as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from speechlake.ids import text_sha256
from speechlake.signals.extractor import Clip, Identity, Measurement

HEARD = "the quick brown fox"


@dataclass(frozen=True)
class AllSpeech:
    """Voice activity that finds speech everywhere."""

    name: ClassVar[str] = "speech"
    version: ClassVar[str] = "all-speech"
    inputs: ClassVar[tuple[str, ...]] = ()

    def identity(self) -> Identity:
        """Always the same."""
        return Identity(self.name, self.version, model_id="all-speech", model_sha256="0" * 64)

    def load(self) -> Any:
        """Nothing to open."""

    def measure(self, model: Any, clips: Sequence[Clip]) -> list[Measurement]:
        """One segment from end to end."""
        return [Measurement({"speech_ratio": 1.0, "speech_duration_s": clip.duration_s}) for clip in clips]


@dataclass(frozen=True)
class Parrot:
    """Recognition that says `HEARD` of every clip."""

    name: ClassVar[str] = "whisper"
    version: ClassVar[str] = "parrot"
    inputs: ClassVar[tuple[str, ...]] = ("language",)

    def identity(self) -> Identity:
        """Always the same."""
        return Identity(self.name, self.version, model_id="parrot", model_sha256="1" * 64)

    def load(self) -> Any:
        """Nothing to open."""

    def measure(self, model: Any, clips: Sequence[Clip]) -> list[Measurement]:
        """The same words, in the declared language."""
        return [
            Measurement(
                {
                    "text": HEARD,
                    "text_sha256": text_sha256(HEARD),
                    "language": "en",
                    "language_probability": 1.0,
                    "decoded_language": clip.inputs["language"],
                }
            )
            for clip in clips
        ]
