"""Perceived quality by DNSMOS P.835 and P.808 (MIT), the ONNX files in the package speechmos.

Reddy, Gopal, Cutler, "DNSMOS P.835: A Non-Intrusive Perceptual Objective Speech Quality Metric to Evaluate
Noise Suppressors", ICASSP 2022; windows, features and polynomials are those of the authors' script
(`dnsmos_local.py` of the DNS Challenge, and `speechmos.dnsmos`). The package itself is not imported: it wants
librosa, and its sessions start a thread per core.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from speechlake.audio.mel import mel_power
from speechlake.errors import ModelError
from speechlake.models.files import combined_sha256, package_folder, require_sha256
from speechlake.signals.extractor import FRONT_END, RATE_HZ, Clip, Identity, Measurement, Samples
from speechlake.signals.failures import failed, unusable

MODEL_ID = "dnsmos-p835+p808"
MODELS = Path("dnsmos_models")
# P.835 gives signal, background, overall; P.808 one overall score of an older listening test.
P835, P835_SHA256 = "sig_bak_ovr.onnx", "269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd"
P808, P808_SHA256 = "model_v8.onnx", "9246480c58567bc6affd4200938e77eef49468c8bc7ed3776d109c07456f6e91"

WINDOW = int(9.01 * RATE_HZ)
# From raw outputs to the scale of the listening test, highest power first.
SIG = (-0.08397278, 1.22083953, 0.0052439)
BAK = (-0.13166888, 1.60915514, -0.39604546)
OVRL = (-0.06766283, 1.11546468, 0.04602535)


@dataclass(frozen=True)
class Quality:
    """Scores from 1 (bad) to 5 (excellent), the mean over windows of 9 s, a window per second.

    A window costs about 0.4 CPU seconds on one thread, which is dear, and a clip of 2 s makes 7 of them, one of
    30 s makes 22. `max_windows` takes so many, spread evenly; 0 takes all, as the authors do. Two differ from
    all by 0.03 on average and by 0.2 at most (55 real clips of 0.4 to 40 s, any of the four scores).
    """

    name: ClassVar[str] = "quality"
    version: ClassVar[str] = "1"
    inputs: ClassVar[tuple[str, ...]] = ()

    max_windows: int = 2

    def identity(self) -> Identity:
        """Models, digests and parameters; ModelError where the package is missing or holds other models."""
        model_files()
        return Identity(
            self.name,
            self.version,
            model_id=MODEL_ID,
            model_sha256=combined_sha256(P835_SHA256, P808_SHA256),
            licence="MIT",
            parameters={**asdict(self), "front_end": FRONT_END},
        )

    def load(self) -> Any:
        """Verify both files on this machine and open them, on one thread each."""
        return tuple(_session(path) for path in model_files())

    def measure(self, model: Any, clips: Sequence[Clip]) -> list[Measurement]:
        """One measurement per clip; codes are those of `speechlake.signals.failures`."""
        return [self._measure(model, clip.samples) for clip in clips]

    def _measure(self, model: Any, samples: Samples) -> Measurement:
        if bad := unusable(samples):
            return bad
        filled = repeated(samples)
        try:
            scores = [_scores(model, filled[at : at + WINDOW]) for at in self.starts(len(filled))]
        except Exception as error:
            return failed(error)
        sig, bak, ovrl, p808 = np.mean(scores, axis=0).tolist()
        return Measurement({"sig": sig, "bak": bak, "ovrl": ovrl, "p808": p808, "windows": len(scores)})

    def starts(self, length: int) -> list[int]:
        """Where windows start in `length` samples: every whole second, and of those `max_windows`, evenly.

        The script drops the windows that start at 7 to 23 s and at 119 to 122 s, because its float product
        is rounded down there to one sample too few; they are kept here.
        """
        count = int(length // RATE_HZ - WINDOW / RATE_HZ) + 1
        taken = min(count, self.max_windows or count)
        return [(2 * i + 1) * count // (2 * taken) * RATE_HZ for i in range(taken)]


def repeated(samples: Samples) -> Samples:
    """Samples doubled until they fill a window, as the script does."""
    times = 1
    while times * len(samples) < WINDOW:
        times *= 2
    return np.tile(samples, times)


def _scores(model: Any, window: Samples) -> tuple[float, float, float, float]:
    """SIG, BAK, OVRL, P.808 of one window."""
    p835, p808 = model
    sig, bak, ovrl = p835.run(None, {"input_1": window[None]})[0][0]
    # The script leaves out the last 10 ms, so that there are the 900 frames that the model wants.
    features = _decibels(mel_power(window[:-160], window=321, hop=160, mels=120))
    other = p808.run(None, {"input_1": features[None]})[0][0][0]
    return (
        float(np.polyval(SIG, sig)),
        float(np.polyval(BAK, bak)),
        float(np.polyval(OVRL, ovrl)),
        float(other),
    )


def _decibels(mel: Samples) -> Samples:
    """librosa's power_to_db about the window's own maximum, 80 dB deep, brought to [-1, 1]."""
    level = 10 * np.log10(np.maximum(mel, 1e-10))
    level -= level.max()
    scaled: Samples = ((np.maximum(level, -80) + 40) / 40).astype(np.float32)
    return scaled


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def model_files() -> tuple[Path, Path]:
    """The two ONNX files of the installed speechmos, verified; nothing is imported for it."""
    package = package_folder("speechmos")
    if package is None or not (package / MODELS / P835).is_file():
        raise ModelError("the DNSMOS models are not there.", hint="pip install speechmos==0.0.1.1")
    paths = package / MODELS / P835, package / MODELS / P808
    for path, sha256 in zip(paths, (P835_SHA256, P808_SHA256), strict=True):
        require_sha256(path, sha256)
    return paths
