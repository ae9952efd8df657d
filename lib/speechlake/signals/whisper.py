"""Text and language by Whisper (MIT), converted for CTranslate2, in batches of clips of one window."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from speechlake.errors import UsageError
from speechlake.models.files import WEIGHTS
from speechlake.models.registry import ModelFiles, resolve, resolve_pinned
from speechlake.signals.batching import Asked, Piece
from speechlake.signals.devices import check_device, visible_index
from speechlake.signals.extractor import FRONT_END, Clip, Identity, Measurement
from speechlake.signals.failures import device_failed, no_samples
from speechlake.signals.heap import keep_freed_memory
from speechlake.signals.whisper_memory import dimensions_of, fitting
from speechlake.signals.whisper_prompt import require_room
from speechlake.signals.whisper_text import measurement_of, needs_another_try, silent, worth_keeping
from speechlake.signals.whisper_windows import FULL_S, parts, window_s

if TYPE_CHECKING:
    from speechlake.signals.whisper_decoder import Decoder, Transcription

COMPUTE_TYPES: Mapping[str, str] = {"cpu": "int8", "cuda": "float16"}
# How often a stretch is sampled at a temperature above 0, as Whisper does.
SAMPLES = 5
# Fewer samples than one hop of the features hold no frame, and no speech.
FEWEST_SAMPLES = 160


@dataclass(frozen=True)
class Whisper:
    """Text, detected language, and how sure the model is.

    `model` is a registry id, a folder or a hub id; `compute_type` defaults by device and is part of the
    fingerprint, the device is not. `windows` says whether short clips are heard in windows of 10 to 30 s
    (`cut`) or always of 30 s (`full`); `timestamps` adds segments, or segments and words. Greedy by default:
    on 20 prompts beam 5 cost 17 % more and gained no word.

    A clip whose text runs away in a cut window is heard again in a full one. What fails the thresholds there
    is tried at the further `temperatures`, if any are given: above 0 Whisper samples, so that another run may
    give such a clip another text.

    The declared language is used for decoding where there is one, and detection is recorded beside it.
    Text is stored as decoded, without the space that Whisper puts before it; no speech is the text "".
    """

    name: ClassVar[str] = "whisper"
    version: ClassVar[str] = "2"
    # Raised alone where texts stay as they are: segments reach to the end of the text.
    version_with_times: ClassVar[str] = "3"
    inputs: ClassVar[tuple[str, ...]] = ("language",)

    model: str = "whisper-base"
    device: str = "cpu"
    compute_type: str | None = None
    windows: Literal["cut", "full"] = "full"
    task: Literal["transcribe", "translate"] = "transcribe"
    timestamps: Literal["none", "segments", "words"] = "none"
    beam_size: int = 1
    patience: float = 1.0
    length_penalty: float = 1.0
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    temperatures: tuple[float, ...] = (0.0,)
    log_prob_threshold: float | None = -1.0
    no_speech_threshold: float | None = 0.6
    initial_prompt: str | None = None
    hotwords: str | None = None
    suppress_blank: bool = True
    max_initial_timestamp: float = 1.0
    max_new_tokens: int | None = None
    # Where and how it runs; results do not depend on these.
    batch_s: float = field(default=120.0, compare=False)
    streams: int = field(default=1, compare=False)
    # Which of the two `fitted` sets from the memory of the device; flags leave none.
    fit: tuple[str, ...] = field(default=(), compare=False)
    # The weights that the driver found; workers refuse others. Filled when the extractor is shipped.
    sha256: str | None = field(default=None, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """Ship the digest with the extractor: another machine's copy of the model must be the same."""
        return {**self.__dict__, "sha256": self.sha256 or self._files().sha256}

    @property
    def computed_in(self) -> str:
        """CTranslate2's compute type; UsageError for an unknown device."""
        if self.device not in COMPUTE_TYPES:
            raise UsageError(f"device {self.device!r} is not known.", hint="Known: cpu, cuda.")
        return self.compute_type or COMPUTE_TYPES[self.device]

    @property
    def model_key(self) -> tuple[str, str, str]:
        """What a loaded copy of the weights depends on: not the windows, prompts or timestamps."""
        return (self.sha256 or self._files().sha256, self.computed_in, self.device)

    def fitted(self, free_bytes: int) -> Whisper:
        """Return this with a batch and streams for `free_bytes` of device memory, where flags did not set them."""
        if not self.fit:
            return self
        beams = max(self.beam_size, SAMPLES if self.temperatures[-1] > 0 else 1)
        batch_s, streams = fitting(
            free_bytes, dimensions_of(self._files().folder, self.computed_in), beams=beams
        )
        return replace(
            self,
            batch_s=batch_s if "batch_s" in self.fit else self.batch_s,
            streams=streams if "streams" in self.fit else self.streams,
            fit=(),
        )

    @property
    def device_index(self) -> int:
        """Which of the visible devices this process measures on."""
        return visible_index() if self.device == "cuda" else 0

    @property
    def weights_bytes(self) -> int:
        """Size of the model's weights on this machine."""
        return (self._files().folder / WEIGHTS).stat().st_size

    @property
    def seconds_per_second(self) -> float:
        """The slowest honest rate: large-v3 on one slow core takes 2 to 3 s per padded second, greedy.

        Each beam or sample is decoded on its own, and aligning words takes half as long again.
        """
        decoded = max(self.beam_size, SAMPLES if self.temperatures[-1] > 0 else 1)
        greedy = 5.0 if self.device == "cpu" else 0.2
        return greedy * decoded * (1.5 if self.timestamps == "words" else 1.0)

    def identity(self) -> Identity:
        """Model, weights and parameters; ModelError where the model cannot be had, UsageError for a long prompt."""
        files = self._files()
        require_room(files.folder, self.initial_prompt, self.hotwords)
        return Identity(
            self.name,
            self.version if self.timestamps == "none" else self.version_with_times,
            model_id=files.model_id,
            model_sha256=files.sha256,
            licence=files.licence,
            parameters={**self._decoding(), "compute_type": self.computed_in, "front_end": FRONT_END},
        )

    def load(self) -> Decoder:
        """Verify the weights on this machine, then open them on one thread; ModelError if they differ.

        DeviceFailed where the device does not carry out one tiny operation.
        """
        files = self._files()
        if self.device == "cuda":
            missing = check_device(self.device_index)
            if missing is not None:
                raise device_failed(missing)
        # For libraries that are loaded from here on: one task is one core.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        if self.device == "cpu":
            keep_freed_memory()
        from speechlake.signals.whisper_decoder import Decoder

        return Decoder(files.folder, self)

    def ask(self, model: Decoder, clip: Clip) -> Asked | Measurement:
        """The stretches of a clip to be decoded; codes are those of `speechlake.signals.failures`."""
        from speechlake.text.languages import to_whisper

        if len(clip.samples) == 0:
            return no_samples()
        declared = clip.inputs.get("language")
        code = to_whisper(declared)
        if declared is not None and (code is None or not model.knows(code)):
            return Measurement(error="UNSUPPORTED_LANGUAGE", detail=f"{self.model} does not know {declared}")
        duration_s = clip.duration_s
        if len(clip.samples) < FEWEST_SAMPLES:
            return Measurement(silent(duration_s, code))
        stretches = parts(clip.samples)
        pieces = [self._piece(clip.samples[part.start : part.end], code) for part in stretches]
        offsets_s = [part.offset_s for part in stretches]
        return Asked(pieces, lambda heard: measurement_of(heard, offsets_s, duration_s, self))

    def decode(self, model: Decoder, pieces: Sequence[Piece]) -> list[Transcription | Piece]:
        """What each stretch said, or the stretch again where it is to be heard otherwise."""
        if not pieces:
            return []
        window, temperature = pieces[0].key
        codes = [piece.note[0] for piece in pieces]
        heard = model.hear([piece.samples for piece in pieces], codes, window, temperature)
        return [self._judged(piece, one) for piece, one in zip(pieces, heard, strict=True)]

    def measure(self, model: Decoder, clips: Sequence[Clip]) -> list[Measurement]:
        """One measurement per clip, in order; what the engine does, for these clips alone."""
        from speechlake.signals.lookahead import Lookahead

        found: dict[int, Measurement] = {}
        ahead = Lookahead(self, lambda: model)
        for i, clip in enumerate(clips):
            asked = self.ask(model, clip)
            if isinstance(asked, Measurement):
                found[i] = asked
            else:
                ahead.put(asked, lambda result, i=i: found.__setitem__(i, result))  # type: ignore[misc]
        ahead.flush()
        ahead.close()
        return [found[i] for i in range(len(clips))]

    def generation(self, temperature: float) -> dict[str, Any]:
        """CTranslate2's arguments: beam search at 0, the best of several samples above."""
        same = {
            name: getattr(self, name)
            for name in ("length_penalty", "repetition_penalty", "no_repeat_ngram_size", "suppress_blank")
        }
        if temperature > 0:
            return same | {
                "beam_size": 1,
                "num_hypotheses": SAMPLES,
                "sampling_topk": 0,
                "sampling_temperature": temperature,
            }
        return same | {"beam_size": self.beam_size, "patience": self.patience}

    def _piece(self, samples: Any, code: str | None) -> Piece:
        window = window_s(len(samples), cut=self.windows == "cut")
        return Piece(samples, (window, self.temperatures[0]), window, (code, ()))

    def _judged(self, piece: Piece, one: Transcription) -> Transcription | Piece:
        """Heard again in a full window when it ran away in a cut one, then at the next temperature."""
        code, before = piece.note
        window, temperature = piece.key
        # The first test is for speech, whichever the window: silence is not tried again.
        if not needs_another_try(one, self, window):
            return one
        tried = (*before, one) if window == FULL_S else ()
        if window < FULL_S:
            return Piece(piece.samples, (FULL_S, temperature), FULL_S, (code, tried))
        following = self.temperatures[self.temperatures.index(temperature) + 1 :]
        if following:
            return Piece(piece.samples, (FULL_S, following[0]), FULL_S, (code, tried))
        return worth_keeping(tried)

    def _files(self) -> ModelFiles:
        return resolve(self.model) if self.sha256 is None else resolve_pinned(self.model, self.sha256)

    def _decoding(self) -> dict[str, Any]:
        apart = ("model", "device", "compute_type", "sha256", "batch_s", "streams", "fit")
        said = {name: value for name, value in asdict(self).items() if name not in apart}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}
