"""What an extractor is: named, versioned code (and maybe a model) that measures clips.

An extractor is a small frozen dataclass: it travels to the workers, its model never does. Adding one
is a file beside this one, a contract in `schemas/`, and a line in `EXTRACTORS`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from speechlake.ids import canonical_json

Samples = npt.NDArray[np.float32]

RATE_HZ = 16_000
# How native samples become `Clip.samples`; in the identity of every extractor that hears those.
FRONT_END = "soxr-hq-16000"


@dataclass(frozen=True)
class Clip:
    """One utterance, decoded.

    `native` is mono float32 in [-1, 1] at `native_rate_hz`; `samples` is the same at 16 kHz.
    `inputs` holds the per-utterance inputs that the extractor declares, by name; null where unknown.
    """

    utterance_id: str
    native: Samples
    native_rate_hz: int
    samples: Samples
    container: str
    codec: str
    channels: int
    recording_duration_s: float
    header_duration_s: float | None
    inputs: Mapping[str, str | None]

    @property
    def duration_s(self) -> float:
        """Decoded length in seconds."""
        return len(self.native) / self.native_rate_hz


@dataclass(frozen=True)
class Measurement:
    """What an extractor says of one clip: values for its table's own columns, or an error code.

    A `transient` error becomes a row of `attempts` and is tried by later runs; any other is final.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    detail: str | None = None
    transient: bool = False


class Extractor(Protocol):
    """One signature for everything that measures.

    `name` gives the table (`signals_<name>`), `version` is raised by hand when results change,
    `inputs` names columns of `utterances` that the result depends on (they enter `inputs_hash`).
    `identity()` is everything else that changes results: model, its sha256, parameters.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]]

    def identity(self) -> Identity:
        """What the fingerprint is made of, on the driver; ModelError when the model cannot be had."""

    def load(self) -> Any:
        """Import the framework and return a ready model; called once per worker process."""

    def measure(self, model: Any, clips: Sequence[Clip]) -> list[Measurement]:
        """One measurement per clip, in order; a clip that cannot be measured yields an error code."""


@dataclass(frozen=True)
class Identity:
    """Everything that changes results, as written to `extractors`."""

    name: str
    version: str
    model_id: str | None = None
    model_sha256: str | None = None
    licence: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """16 hex digits; the licence and the model's name are not in it, its weights are."""
        said = {k: v for k, v in asdict(self).items() if k not in ("licence", "model_id")}
        return hashlib.sha256(canonical_json(said).encode()).hexdigest()[:16]
