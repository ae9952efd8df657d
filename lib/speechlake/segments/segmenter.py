"""What cuts long recordings: parameters and voice activity, under one fingerprint."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import ClassVar

from speechlake.errors import UsageError
from speechlake.signals.extractor import Identity
from speechlake.signals.speech import MODEL_ID, MODEL_SHA256, model_file

# How native samples become what the model hears: as `extractor.FRONT_END`, block by block.
FRONT_END = "soxr-hq-16000-stream"


@dataclass(frozen=True)
class Segmenter:
    """Cuts what is longer than `longer_than_s` into utterances of `min_s` to `max_s`.

    Speech is what Silero says with its own thresholds, without clicks under `min_speech_ms` (see
    `signals.speech`) and across pauses under `min_silence_ms`. Speech is joined over pauses of up to
    `pause_ms`: a second is where phrases end, and Whisper's decoding starts to skip. Pieces that stay
    under `min_s` reach for a neighbour over `reach_ms`. Where nobody pauses for `max_s`, the cut is in
    the middle of the `valley_ms` with the least speech. `pad_ms` of what is around speech stays with it:
    soft first and last sounds lie below the model's threshold.
    """

    name: ClassVar[str] = "segmenter"
    version: ClassVar[str] = "1"

    longer_than_s: float = 30.0
    min_s: float = 2.0
    max_s: float = 30.0
    threshold: float = 0.5
    release: float = 0.35
    min_speech_ms: int = 100
    min_silence_ms: int = 100
    pause_ms: int = 1000
    reach_ms: int = 2000
    valley_ms: int = 320
    pad_ms: int = 200

    def __post_init__(self) -> None:
        """UsageError where the lengths contradict each other: a piece is no longer than what is cut."""
        if not 0 < 2 * self.min_s <= self.max_s <= self.longer_than_s < math.inf:
            raise UsageError(
                f"--min-s {self.min_s:g}, --max-s {self.max_s:g} and --longer-than {self.longer_than_s:g} contradict each other",
                hint="Twice the minimum may not exceed the maximum, nor the maximum the length that is left whole; all are finite.",
            )
        speech_s = self.max_s - 2 * self.pad_ms / 1000
        # Also a few of the model's frames of 32 ms: of less there is nothing to cut.
        if speech_s < max(self.min_s, 0.1):
            raise UsageError(
                f"--max-s {self.max_s:g} leaves {speech_s:g} s of speech between {self.pad_ms} ms before and behind it, too little for --min-s {self.min_s:g}",
                hint="The maximum must be longer than the minimum by that, and hold a tenth of a second of speech.",
            )

    def identity(self) -> Identity:
        """Model, digest and parameters; ModelError where the installed model is another one."""
        model_file()
        return Identity(
            self.name,
            self.version,
            model_id=MODEL_ID,
            model_sha256=MODEL_SHA256,
            licence="MIT",
            parameters={**asdict(self), "front_end": FRONT_END},
        )
