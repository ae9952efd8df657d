"""Text and language by Whisper (MIT), converted for CTranslate2, clip by clip."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from speechlake.errors import UsageError
from speechlake.ids import text_sha256
from speechlake.models.registry import ModelFiles, resolve, resolve_pinned
from speechlake.signals.extractor import FRONT_END, Clip, Identity, Measurement
from speechlake.signals.failures import failed, no_samples

if TYPE_CHECKING:
    from speechlake.signals.whisper_decoder import Decoder, Transcription

COMPUTE_TYPES: Mapping[str, str] = {"cpu": "int8", "cuda": "float16"}


@dataclass(frozen=True)
class Whisper:
    """Text, detected language, and how sure the model is.

    `model` is a registry id, a folder or a hub id; `compute_type` defaults by device and is part of the
    fingerprint, the device is not. The other fields are those of `WhisperModel.transcribe`. Decoding is
    at temperature 0 only: above it Whisper samples, and the same clip would get another text in another
    run. Greedy by default: on 20 prompts beam 5 cost 17 % more and gained no word.

    The declared language is used for decoding where there is one, and detection is recorded beside it.
    Text is stored as decoded, without the space that Whisper puts before it; no speech is the text "".
    """

    name: ClassVar[str] = "whisper"
    version: ClassVar[str] = "1"
    inputs: ClassVar[tuple[str, ...]] = ("language",)

    model: str = "whisper-base"
    device: str = "cpu"
    compute_type: str | None = None
    beam_size: int = 1
    patience: float = 1.0
    length_penalty: float = 1.0
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    log_prob_threshold: float | None = -1.0
    no_speech_threshold: float | None = 0.6
    condition_on_previous_text: bool = False
    suppress_blank: bool = True
    without_timestamps: bool = False
    max_initial_timestamp: float = 1.0
    max_new_tokens: int | None = None
    # The weights that the driver found; workers refuse others. Filled when the extractor is shipped.
    sha256: str | None = field(default=None, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """Ship the digest with the extractor: another machine's copy of the model must be the same."""
        return {**self.__dict__, "sha256": self.sha256 or self._files().sha256}

    def identity(self) -> Identity:
        """Model, weights and parameters; ModelError where the model cannot be had."""
        files = self._files()
        return Identity(
            self.name,
            self.version,
            model_id=files.model_id,
            model_sha256=files.sha256,
            licence=files.licence,
            parameters={**self._decoding(), "compute_type": self._compute_type(), "front_end": FRONT_END},
        )

    def load(self) -> Decoder:
        """Verify the weights on this machine, then open them on one thread; ModelError if they differ."""
        files = self._files()
        # For libraries that are loaded from here on: one task is one core.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        from speechlake.signals.whisper_decoder import Decoder

        return Decoder(files.folder, self.device, self._compute_type(), self.transcribe_arguments())

    def measure(self, model: Decoder, clips: Sequence[Clip]) -> list[Measurement]:
        """One measurement per clip; codes are those of `speechlake.signals.failures`."""
        return [self._measure(model, clip) for clip in clips]

    def transcribe_arguments(self) -> dict[str, Any]:
        """Keywords with which `WhisperModel.transcribe` gives the same text."""
        return {**self._decoding(), "temperature": 0.0}

    def _measure(self, model: Decoder, clip: Clip) -> Measurement:
        from speechlake.text.languages import to_whisper

        if len(clip.samples) == 0:
            return no_samples()
        declared = clip.inputs.get("language")
        code = to_whisper(declared)
        if declared is not None and (code is None or not model.knows(code)):
            return Measurement(error="UNSUPPORTED_LANGUAGE", detail=f"{self.model} does not know {declared}")
        try:
            return Measurement(_values(model.decode(clip.samples, code), clip.duration_s))
        except Exception as error:
            return failed(error)

    def _files(self) -> ModelFiles:
        return resolve(self.model) if self.sha256 is None else resolve_pinned(self.model, self.sha256)

    def _compute_type(self) -> str:
        if self.device not in COMPUTE_TYPES:
            raise UsageError(f"device {self.device!r} is not known.", hint="Known: cpu, cuda.")
        return self.compute_type or COMPUTE_TYPES[self.device]

    def _decoding(self) -> dict[str, Any]:
        apart = ("model", "device", "compute_type", "sha256")
        return {name: value for name, value in asdict(self).items() if name not in apart}


def _values(heard: Transcription, duration_s: float) -> dict[str, Any]:
    """The columns of `signals_whisper` that are ours."""
    segments = heard.segments
    text = "".join(segment.text for segment in segments).strip()
    counts = [sum(token < heard.end_of_text for token in segment.tokens) for segment in segments]
    # Windows without a segment were skipped as silence: they speak only where nothing else does.
    silence = [s.no_speech_prob for s in segments] or [w.no_speech_probability for w in heard.windows]
    return {
        "text": text,
        "text_sha256": text_sha256(text),
        "language": heard.detected,
        "language_probability": heard.probability,
        "decoded_language": heard.decoded_as,
        "mean_log_probability": _weighted([s.avg_logprob for s in segments], counts),
        "no_speech_probability": float(max(silence)) if silence else None,
        "compression_ratio": max((float(s.compression_ratio) for s in segments), default=None),
        "tokens": sum(counts),
        "tokens_per_second": sum(counts) / duration_s,
        "truncated": any(window.truncated for window in heard.windows),
    }


def _weighted(values: Sequence[float], weights: Sequence[int]) -> float | None:
    """Mean of `values` by `weights`; None without any weight."""
    total = sum(weights)
    return sum(v * w for v, w in zip(values, weights, strict=True)) / total if total else None
