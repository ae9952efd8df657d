"""A speaker's voice as 256 numbers, by GE2E with the weights of Resemblyzer (Apache-2.0).

Wan, Wang, Papir, Moreno, "Generalized End-to-End Loss for Speaker Verification", ICASSP 2018. Front end and
network are those of `resemblyzer` 0.1.4, without its trimming of pauses: `speech` says where speech is. That
package is not imported: it wants librosa and webrtcvad, which wants a compiler.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from speechlake.audio.mel import mel_power
from speechlake.errors import ModelError
from speechlake.models.files import package_file, package_folder
from speechlake.signals.extractor import FRONT_END, RATE_HZ, Clip, Identity, Measurement, Samples
from speechlake.signals.failures import failed, unusable

MODEL_ID = "resemblyzer-ge2e"
MODEL_SHA256 = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
WEIGHTS = "pretrained.pt"

MELS, HIDDEN, LAYERS, SIZE = 40, 256, 3, 256
FRAME, HOP = round(0.025 * RATE_HZ), round(0.01 * RATE_HZ)
# A clip is heard in parts of 1.6 s, 1.3 of them per second; the last counts if three quarters are there.
PART_FRAMES = 160
STEP_FRAMES = round(RATE_HZ / 1.3 / HOP)
COVERAGE = 0.75
# Quieter clips are raised to this level, louder ones stay.
LEVEL_DBFS = -30.0
# An hour of audio in one batch would need gigabytes.
PARTS_PER_BATCH = 64


@dataclass(frozen=True)
class Speaker:
    """An embedding of unit length: the cosine of two tells how alike the voices are.

    The mean over the clip's parts; clips of less than about 1.6 s give rough ones.
    """

    name: ClassVar[str] = "speaker"
    version: ClassVar[str] = "1"
    inputs: ClassVar[tuple[str, ...]] = ()

    def identity(self) -> Identity:
        """Model and digest; ModelError where torch or the weights are missing or the weights are others."""
        model_file()
        return Identity(
            self.name,
            self.version,
            model_id=MODEL_ID,
            model_sha256=MODEL_SHA256,
            licence="Apache-2.0",
            parameters={"front_end": FRONT_END},
        )

    def load(self) -> Any:
        """Verify the weights on this machine and fill the network with them, on the CPU, on one thread."""
        path = model_file()
        import torch

        torch.set_num_threads(1)  # one worker per core already
        # Data only: a pickle of another kind is refused, not run.
        weights = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
        parts = {
            "lstm": torch.nn.LSTM(MELS, HIDDEN, LAYERS, batch_first=True),
            "linear": torch.nn.Linear(HIDDEN, SIZE),
        }
        for name, part in parts.items():
            own = {
                key.removeprefix(f"{name}."): value
                for key, value in weights.items()
                if key.startswith(f"{name}.")
            }
            part.load_state_dict(own)
            part.eval()
        return parts

    def measure(self, model: Any, clips: Sequence[Clip]) -> list[Measurement]:
        """One measurement per clip; codes are those of `speechlake.signals.failures`."""
        return [_measure(model, clip.samples) for clip in clips]


def _measure(model: Any, samples: Samples) -> Measurement:
    if bad := unusable(samples):
        return bad
    try:
        embeddings = _embeddings(model, _parts(raised(samples)))
    except Exception as error:
        return failed(error)
    mean = embeddings.mean(axis=0)
    length = float(np.linalg.norm(mean))
    # The network's last step cuts negative values off; nothing may be left of a clip without a voice.
    embedding = (mean / length).tolist() if length > 0 and np.any(samples) else None
    return Measurement({"embedding": embedding, "parts": len(embeddings)})


def raised(samples: Samples) -> Samples:
    """Samples at a root mean square of LEVEL_DBFS at least; digital silence stays."""
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    gain = 10 ** (LEVEL_DBFS / 20) / np.sqrt(power) if power > 0 else 1.0
    return samples if gain <= 1 else (samples * gain).astype(np.float32)


def part_starts(count: int) -> list[int]:
    """First frames of the parts of `count` samples."""
    frames = (count + HOP) // HOP  # those that hold a sample, and one more where they are full
    starts = list(range(0, max(1, frames - PART_FRAMES + STEP_FRAMES + 1), STEP_FRAMES))
    covered = (count / HOP - starts[-1]) / PART_FRAMES
    return starts[:-1] if covered < COVERAGE and len(starts) > 1 else starts


def _parts(samples: Samples) -> Samples:
    """Power mel spectrograms (not their logarithm), shape (parts, PART_FRAMES, MELS)."""
    starts = part_starts(len(samples))
    missing = (starts[-1] + PART_FRAMES) * HOP - len(samples)
    mel = mel_power(np.pad(samples, (0, max(0, missing))), window=FRAME, hop=HOP, mels=MELS)
    return np.stack([mel[at : at + PART_FRAMES] for at in starts])


def _embeddings(model: Any, parts: Samples) -> npt.NDArray[np.float32]:
    """A unit vector per part, or zeros; shape (parts, SIZE)."""
    import torch

    found = []
    with torch.inference_mode():
        for start in range(0, len(parts), PARTS_PER_BATCH):
            batch = torch.from_numpy(parts[start : start + PARTS_PER_BATCH])
            _, (hidden, _) = model["lstm"](batch)
            raw = torch.relu(model["linear"](hidden[-1]))
            found.append(torch.nn.functional.normalize(raw, dim=1).numpy())
    return np.concatenate(found)


def model_file() -> Path:
    """The weights in the installed resemblyzer, verified; neither it nor torch is imported for that."""
    if package_folder("torch") is None:
        raise ModelError("extractor speaker needs torch.", hint="pip install torch==2.11.0")
    return package_file(
        "resemblyzer",
        WEIGHTS,
        MODEL_SHA256,
        missing="the weights of Resemblyzer are not there.",
        hint="pip install --no-deps resemblyzer==0.1.4 (its requirements are not needed)",
    )
