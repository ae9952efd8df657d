"""What fake extractors that measure in batches have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from speechlake.signals.batching import Asked, Piece
from speechlake.signals.extractor import Clip, Identity, Measurement


@dataclass(frozen=True)
class InBatches:
    """Four clips of ten seconds to a batch, one batch at a time, on the CPU; never asked for one clip alone."""

    name: ClassVar[str]
    version: ClassVar[str]

    batch_s: float = 40.0
    streams: int = 1
    seconds_per_second: float = 0.0
    device: str = "cpu"

    def identity(self) -> Identity:
        return Identity(self.name, self.version)

    def measure(self, model: Any, clips: Sequence[Clip]) -> list[Measurement]:
        raise AssertionError("measured one by one")


@dataclass(frozen=True)
class Hears(InBatches):
    """Recognition of which nothing is asked but where it would run."""

    name: ClassVar[str] = "whisper"
    version: ClassVar[str] = "1"
    inputs: ClassVar[tuple[str, ...]] = ()

    def load(self) -> Any:
        raise NotImplementedError

    def ask(self, model: Any, clip: Clip) -> Asked:
        raise NotImplementedError

    def decode(self, model: Any, pieces: Sequence[Piece]) -> Sequence[Any]:
        raise NotImplementedError
