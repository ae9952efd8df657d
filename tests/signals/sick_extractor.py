"""Recognition on a device that breaks. Ships to workers as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from speechlake.ids import text_sha256
from speechlake.signals.batching import Asked, Piece
from speechlake.signals.extractor import Clip, Identity, Measurement

BROKEN = "cuBLAS failed with status CUBLAS_STATUS_EXECUTION_FAILED"
# Whether the context of this process is broken.
_process = {"broken": False}


@dataclass(frozen=True)
class Sick:
    """Transcribes every clip as "fine", until its device breaks.

    Files in `notes` say when: `break_once` breaks the process that removes it, `broken` every process, `stumble` the
    next batch alone, and `poison` every batch that holds the clip whose samples have that length.
    """

    notes: str
    name: ClassVar[str] = "whisper"
    version: ClassVar[str] = "sick"
    inputs: ClassVar[tuple[str, ...]] = ()

    device: str = "cpu"
    batch_s: float = 1.0
    streams: int = 1
    seconds_per_second: float = 1.0

    def identity(self) -> Identity:
        """Always the same."""
        return Identity(self.name, self.version, model_id="sick", model_sha256="5" * 64)

    def load(self) -> Any:
        """Nothing to open."""

    def ask(self, model: Any, clip: Clip) -> Asked | Measurement:
        """One piece per clip; every batch holds one."""
        return Asked([Piece(clip.samples, "any", 1.0)], lambda texts: _transcribed(texts[0]))

    def decode(self, model: Any, pieces: Sequence[Piece]) -> Sequence[Any]:
        """The same text for all, or the error of a broken context."""
        notes = Path(self.notes)
        if _taken(notes / "break_once"):
            _process["broken"] = True
        if _process["broken"] or (notes / "broken").exists():
            raise RuntimeError(BROKEN)
        if _taken(notes / "stumble"):
            raise RuntimeError("the driver was busy")
        poison = notes / "poison"
        if poison.exists() and any(len(piece.samples) == int(poison.read_text()) for piece in pieces):
            raise RuntimeError("CUDA failed with error out of memory")
        return ["fine"] * len(pieces)

    def measure(self, model: Any, clips: Sequence[Clip]) -> list[Measurement]:
        """The same, clip by clip."""
        return [_transcribed("fine") for _ in clips]


def _taken(note: Path) -> bool:
    """Whether this process is the one that removes `note`."""
    try:
        note.unlink()
    except FileNotFoundError:
        return False
    return True


def _transcribed(text: str) -> Measurement:
    return Measurement({"text": text, "text_sha256": text_sha256(text)})
