"""Whisper through faster-whisper: one clip in, its text and detected language out, one encoder pass.

Importing this module imports faster-whisper; only `load()` of the extractor does, on a worker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer

from speechlake.errors import ModelError
from speechlake.signals.extractor import RATE_HZ, Samples


@dataclass(frozen=True)
class Window:
    """What decoding one window of at most 30 s gave, said or skipped as silence."""

    no_speech_probability: float
    truncated: bool


@dataclass(frozen=True)
class Transcription:
    """`segments` are faster-whisper's; `decoded_as` and detection are null where no frame was heard."""

    segments: Sequence[Any]
    windows: Sequence[Window]
    detected: str | None
    probability: float | None
    decoded_as: str | None
    end_of_text: int


class Decoder(WhisperModel):  # type: ignore[misc]  # faster-whisper has no types
    """`WhisperModel` on one thread, whose `decode` gives the text of `transcribe`, bit for bit.

    `transcribe` encodes the first window twice where it detects the language, does not detect it where
    it is told one, and does not say when a window ran into the token limit. Nothing else differs.
    """

    def __init__(self, folder: Path, device: str, compute_type: str, parameters: Mapping[str, Any]) -> None:
        try:
            super().__init__(
                str(folder), device=device, compute_type=compute_type, cpu_threads=1, num_workers=1
            )
        except (RuntimeError, ValueError) as error:
            raise ModelError(
                f"{folder} cannot be opened on {device} as {compute_type}: {error}",
                hint="Choose another --device, or a compute type that it supports.",
            ) from error
        # The library's own reading of the parameters; its generator is never started, so nothing runs.
        _, info = self.transcribe(np.zeros(RATE_HZ, np.float32), language="en", **parameters)
        self.options = info.transcription_options
        self.windows: list[Window] = []

    def knows(self, code: str) -> bool:
        """True where this model has a token for Whisper's code of a language (only large-v3 has yue)."""
        if not self.model.is_multilingual:
            return code == "en"
        return code in self.supported_languages and self.hf_tokenizer.token_to_id(f"<|{code}|>") is not None

    def decode(self, samples: Samples, language: str | None) -> Transcription:
        """Text of 16 kHz samples of any length, in `language`, else in the one detected."""
        features = self.feature_extractor(samples)
        # Its last frame is the padding that it appended itself; `generate_segments` leaves it out too.
        frames = min(features.shape[-1] - 1, self.feature_extractor.nb_max_frames)
        if frames == 0:
            return Transcription((), (), None, None, language, 0)
        encoded = self.encode(pad_or_trim(features[:, :frames]))
        detected, probability = self._detected(encoded)
        code = language or detected
        tokenizer = Tokenizer(self.hf_tokenizer, self.model.is_multilingual, task="transcribe", language=code)
        self.windows = []
        segments = list(self.generate_segments(features, tokenizer, self.options, False, encoded))
        return Transcription(segments, tuple(self.windows), detected, probability, code, tokenizer.eot)

    def _detected(self, encoded: Any) -> tuple[str, float | None]:
        """Most probable language of an encoded window; an English-only model has no opinion."""
        if not self.model.is_multilingual:
            return "en", None
        token, probability = self.model.detect_language(encoded)[0][0]
        return token[2:-2], float(probability)

    def generate_with_fallback(
        self, encoder_output: Any, prompt: list[int], tokenizer: Any, options: Any
    ) -> Any:
        """The library's, taking note of each window."""
        decoded = super().generate_with_fallback(encoder_output, prompt, tokenizer, options)
        result = decoded[0]
        # CTranslate2 stops at half of the maximum length it is given; a sequence that long has no end token.
        allowed = self.max_length if options.max_new_tokens is None else len(prompt) + options.max_new_tokens
        truncated = len(result.sequences_ids[0]) >= allowed // 2
        self.windows.append(Window(float(result.no_speech_prob), truncated))
        return decoded
