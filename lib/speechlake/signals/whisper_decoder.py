"""Whisper on CTranslate2, many stretches of audio at once: features, one encoder pass, language, text.

Importing this module imports faster-whisper; only `load()` of the extractor does, on a worker. What a
stretch gives depends on itself and its window, not on what shares its batch (on a CPU; a GPU may round
differently by batch size).
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_compression_ratio, get_suppressed_tokens

from speechlake.errors import ModelError
from speechlake.signals.extractor import RATE_HZ, Samples
from speechlake.signals.whisper_features import numpy_features, torch_features
from speechlake.signals.whisper_prompt import token_limits
from speechlake.signals.whisper_windows import FULL_S

if TYPE_CHECKING:
    from speechlake.signals.whisper import Whisper

# Tokens that a second of a window may yield, and some: what a runaway costs at most. Whisper itself allows
# 224 in 30 s; a clip that reaches a lower cap in a cut window is heard again in a full one.
TOKENS_PER_SECOND = 7
TOKENS_MORE = 8


@dataclass(frozen=True)
class Word:
    """A word with its times in the stretch, in seconds."""

    text: str
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True)
class Said:
    """What was heard in a stretch between two of Whisper's own timestamps, in seconds from its start."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Transcription:
    """What one stretch gave. `text` is verbatim, its leading space included; `tokens` counts those of text.

    Detection is null for English-only models; `segments` and `words` where they were not asked for.
    """

    text: str
    tokens: int
    mean_log_probability: float
    no_speech_probability: float
    compression_ratio: float
    truncated: bool
    detected: str | None
    probability: float | None
    decoded_as: str
    segments: Sequence[Said] | None = None
    words: Sequence[Word] | None = None


class Decoder(WhisperModel):  # type: ignore[misc]  # faster-whisper has no types
    """Weights opened once; `hear` may be called from as many threads as it has streams."""

    def __init__(self, folder: Path, how: Whisper) -> None:
        try:
            super().__init__(
                str(folder),
                device=how.device,
                compute_type=how.computed_in,
                device_index=how.device_index,
                cpu_threads=1,
                num_workers=how.streams,
            )
        except (RuntimeError, ValueError) as error:
            raise ModelError(
                f"{folder} cannot be opened on {how.device} as {how.computed_in}: {error}",
                hint="Choose another --device, or a compute type that it supports.",
            ) from error
        self._how = how
        self._tokenizers: dict[str, Tokenizer] = {}
        self._suppressed = list(get_suppressed_tokens(self.tokenizer_of("en"), [-1]))

    def bound_to(self, how: Whisper) -> Decoder:
        """The same weights for other windows, prompts or timestamps: no second copy on the device."""
        if how == self._how:
            self.resume()
            return self
        other = copy.copy(self)
        other._how = how
        other._tokenizers = {}
        other.resume()
        return other

    def release(self) -> None:
        """Move the weights off the device, into this machine's memory; `resume` brings them back."""
        self.model.unload_model(to_cpu=True)
        if "torch" in sys.modules:
            sys.modules["torch"].cuda.empty_cache()

    def resume(self) -> None:
        """Have the weights on the device."""
        if not self.model.model_is_loaded:
            self.model.load_model()

    def knows(self, code: str) -> bool:
        """True where this model has a token for Whisper's code of a language (only large-v3 has yue)."""
        if not self.model.is_multilingual:
            return code == "en"
        return code in self.supported_languages and self.hf_tokenizer.token_to_id(f"<|{code}|>") is not None

    def tokenizer_of(self, code: str) -> Tokenizer:
        """The tokenizer for a language, with the task that was asked for."""
        if code not in self._tokenizers:
            self._tokenizers[code] = Tokenizer(
                self.hf_tokenizer, self.model.is_multilingual, task=self._how.task, language=code
            )
        return self._tokenizers[code]

    def hear(
        self, batch: Sequence[Samples], languages: Sequence[str | None], window_s: float, temperature: float
    ) -> list[Transcription]:
        """Texts of stretches of 16 kHz samples in one window, each in its language, else in the one detected."""
        encoded = self.encode(self._features(batch, window_s))
        detected = self._detected(encoded, len(batch))
        codes = [said or found for said, (found, _) in zip(languages, detected, strict=True)]
        prompts = [self._prompt(code) for code in codes]
        length, most = token_limits(self._most_tokens(window_s), len(prompts[0]), self.max_length)
        results = self.model.generate(
            encoded,
            prompts,
            max_length=length,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._suppressed,
            max_initial_timestamp_index=round(self._how.max_initial_timestamp / self.time_precision),
            **self._how.generation(temperature),
        )
        heard = [
            self._transcription(result, code, found, most)
            for result, code, found in zip(results, codes, detected, strict=True)
        ]
        if self._how.timestamps == "none":
            return heard
        from speechlake.signals.whisper_times import with_times

        lengths_s = [len(samples) / RATE_HZ for samples in batch]
        return with_times(self, heard, results, encoded, lengths_s, words=self._how.timestamps == "words")

    def _features(self, batch: Sequence[Samples], window_s: float) -> Any:
        if self._how.device == "cuda":
            import ctranslate2

            device = f"cuda:{self._how.device_index}"
            return ctranslate2.StorageView.from_array(
                torch_features(batch, window_s, self.feature_extractor, device)
            )
        return numpy_features(batch, window_s, self.feature_extractor)

    def encode(self, features: Any) -> Any:
        """The library's for NumPy features; features that lie on the device stay there."""
        if hasattr(features, "__cuda_array_interface__") or self._how.device == "cuda":
            return self.model.encode(features)
        return super().encode(features)

    def _detected(self, encoded: Any, count: int) -> list[tuple[str, float | None]]:
        """Most probable language of each encoded stretch; an English-only model has no opinion."""
        if not self.model.is_multilingual:
            return [("en", None)] * count
        return [(found[0][0][2:-2], float(found[0][1])) for found in self.model.detect_language(encoded)]

    def _prompt(self, code: str) -> list[int]:
        tokenizer, how = self.tokenizer_of(code), self._how
        before = tokenizer.encode(" " + how.initial_prompt.strip()) if how.initial_prompt else []
        prompt: list[int] = self.get_prompt(
            tokenizer, before, without_timestamps=how.timestamps == "none", hotwords=how.hotwords
        )
        return prompt

    def _most_tokens(self, window_s: float) -> int:
        """How many tokens a window may yield: Whisper's own limit of 224 in a full one."""
        asked = self._how.max_new_tokens
        own: int = self.max_length // 2
        if window_s < FULL_S:
            own = TOKENS_MORE + int(TOKENS_PER_SECOND * window_s)
        return own if asked is None else min(own, asked)

    def _transcription(
        self, result: Any, code: str, found: tuple[str, float | None], most: int
    ) -> Transcription:
        tokens = result.sequences_ids[0]
        tokenizer = self.tokenizer_of(code)
        text = tokenizer.decode(tokens)
        count = len(tokens)
        # `scores` is the sum of log probabilities, the end token's included, over n ** penalty.
        total = result.scores[0] * (count**self._how.length_penalty)
        return Transcription(
            text=text,
            tokens=sum(token < tokenizer.eot for token in tokens),
            mean_log_probability=float(total / (count + 1)),
            no_speech_probability=float(result.no_speech_prob),
            compression_ratio=float(get_compression_ratio(text.strip())) if text.strip() else 0.0,
            truncated=count >= most,
            detected=found[0],
            probability=found[1],
            decoded_as=code,
        )
