"""Voice activity by Silero VAD v6 (MIT), the ONNX file bundled with faster-whisper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from speechlake.models.files import package_file
from speechlake.signals.extractor import FRONT_END, RATE_HZ, Clip, Identity, Measurement
from speechlake.signals.failures import failed, no_samples

MODEL_ID = "silero-vad-v6"
MODEL_SHA256 = "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2"
ASSET = Path("assets") / "silero_vad_v6.onnx"


@dataclass(frozen=True)
class Speech:
    """Speech segments and their share. The defaults are Silero's own, with one exception.

    faster-whisper's join pauses of up to 2 s and pad by 0.4 s, which suits its decoder; a share of
    speech should leave pauses out. Silero drops speech under 250 ms, and with it 5 of 300 one-word
    prompts; 100 ms kept them, and no tone or noise among the 300.
    """

    name: ClassVar[str] = "speech"
    version: ClassVar[str] = "1"
    inputs: ClassVar[tuple[str, ...]] = ()

    threshold: float = 0.5
    min_speech_duration_ms: int = 100
    min_silence_duration_ms: int = 100
    speech_pad_ms: int = 30

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

    def load(self) -> Any:
        """Verify the ONNX file on this machine and open it, on one thread."""
        model_file()
        from faster_whisper.vad import get_vad_model

        # The session that get_speech_timestamps uses: one per process, one thread.
        return get_vad_model()

    def measure(self, model: Any, clips: Sequence[Clip]) -> list[Measurement]:
        """One measurement per clip; codes are those of `speechlake.signals.failures`."""
        return [self._measure(clip) for clip in clips]

    def _measure(self, clip: Clip) -> Measurement:
        if len(clip.samples) == 0:
            return no_samples()
        try:
            spans = self._spans(clip)
        except Exception as error:
            return failed(error)
        segments = [{"start_s": start / RATE_HZ, "end_s": end / RATE_HZ} for start, end in spans]
        spoken = sum(end - start for start, end in spans)
        return Measurement(
            {
                "speech_ratio": spoken / len(clip.samples),
                "speech_duration_s": spoken / RATE_HZ,
                "segments": segments,
            }
        )

    def _spans(self, clip: Clip) -> list[tuple[int, int]]:
        from faster_whisper.vad import VadOptions, get_speech_timestamps

        found = get_speech_timestamps(clip.samples, VadOptions(**asdict(self)))
        return [(int(span["start"]), int(span["end"])) for span in found]


def model_file() -> Path:
    """The ONNX file of the installed faster-whisper, verified; nothing heavy is imported for it."""
    hint = "Install faster-whisper==1.2.1, which bundles it."
    return package_file("faster_whisper", ASSET, MODEL_SHA256, missing=f"{ASSET} is not there.", hint=hint)
