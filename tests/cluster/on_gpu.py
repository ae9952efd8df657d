"""Measure a corpus with an extractor that asks for a device and says which one it was given; no device is touched.

spark-submit --py-files dist/speechlake.zip,tests/cluster/on_gpu.py tests/cluster/on_gpu.py LAKE
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from speechlake.ids import text_sha256
from speechlake.signals.batching import Asked, Piece
from speechlake.signals.devices import device_named, visible_index
from speechlake.signals.extractor import Clip, Identity, Measurement


@dataclass(frozen=True)
class OnGpu:
    """Recognition that says of every clip on which device it was heard."""

    name: ClassVar[str] = "whisper"
    version: ClassVar[str] = "on-gpu"
    inputs: ClassVar[tuple[str, ...]] = ("language",)

    device: str = "cuda"
    batch_s: float = 10.0
    streams: int = 2
    seconds_per_second: float = 1.0

    def identity(self) -> Identity:
        """Always the same."""
        return Identity(self.name, self.version, model_id="on-gpu", model_sha256="2" * 64)

    def load(self) -> int:
        """As Whisper does: the model is opened on the device that this process was given."""
        return visible_index()

    def ask(self, model: int, clip: Clip) -> Asked | Measurement:
        """One piece per clip."""
        return Asked([Piece(clip.samples, "any", clip.duration_s)], lambda heard: _said(heard[0]))

    def decode(self, model: int, pieces: Sequence[Piece]) -> Sequence[Any]:
        """The device of the model."""
        return [model] * len(pieces)

    def measure(self, model: int, clips: Sequence[Clip]) -> list[Measurement]:
        """The same, clip by clip."""
        return [_said(model) for _ in clips]


def _said(device: int) -> Measurement:
    text = f"device {device}"
    return Measurement({"text": text, "text_sha256": text_sha256(text)})


def main(root: str) -> int:
    """Measure all corpora of the lake; the exit code."""
    # Imported by its name, so that the workers import it too, rather than get it by value.
    from on_gpu import OnGpu as Shipped

    from speechlake.commands import extract_signals
    from speechlake.job import open_lake
    from speechlake.progress import Progress
    from speechlake.signals.plan import wanted_of

    lake = open_lake(root, "on_gpu")
    assert device_named("cuda", lake.spark) == device_named("auto", lake.spark) == "cuda"
    extract_signals.run(lake, wanted_of([Shipped()]), corpus=None, progress=Progress())
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
