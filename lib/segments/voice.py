"""Voice activity of a stream: Silero's probability of speech for every 32 ms, in blocks of any size."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from speechlake.audio.signal import MODEL_RATE_HZ

Samples = npt.NDArray[np.float32]
Probabilities = npt.NDArray[np.float32]

FRAME_SAMPLES = 512
FRAME_MS = 1000 * FRAME_SAMPLES // MODEL_RATE_HZ
# What the model sees of the frame before.
_CONTEXT_SAMPLES = 64
# Frames in one call, always as many: results then cannot depend on how a stream comes in blocks.
_BATCH_FRAMES = 256
_STATE = (1, 1, 128)


def open_voice_model() -> Any:
    """The ONNX session of faster-whisper's Silero, verified, one per process, on one thread."""
    from faster_whisper.vad import get_vad_model

    from speechlake.signals.speech import model_file

    model_file()
    return get_vad_model().session


class Voice:
    """Hears mono samples at `rate_hz`; the state of model and resampler is carried from block to block.

    The probabilities are those that `faster_whisper.vad` computes of the whole recording, except of its
    last frame, whose tail that sets to zero.
    """

    def __init__(self, session: Any, rate_hz: int) -> None:
        self._session = session
        self._resampler: Any = None
        if rate_hz != MODEL_RATE_HZ:
            import soxr

            self._resampler = soxr.ResampleStream(rate_hz, MODEL_RATE_HZ, 1, dtype="float32", quality="HQ")
        self._h, self._c = np.zeros(_STATE, np.float32), np.zeros(_STATE, np.float32)
        self._context = np.zeros(_CONTEXT_SAMPLES, np.float32)
        self._rest = np.empty(0, np.float32)
        self._said: list[Probabilities] = []

    def hear(self, samples: Samples) -> None:
        """The next samples."""
        self._take(samples if self._resampler is None else self._resampler.resample_chunk(samples))

    def finish(self) -> Probabilities:
        """The probabilities of all frames, the last one padded with silence; call it once."""
        if self._resampler is not None:
            self._take(self._resampler.resample_chunk(np.empty(0, np.float32), last=True))
        if len(self._rest):
            missing = -len(self._rest) % FRAME_SAMPLES
            self._run(np.pad(self._rest, (0, missing)).reshape(-1, FRAME_SAMPLES))
        return np.concatenate(self._said) if self._said else np.empty(0, np.float32)

    def _take(self, samples: Samples) -> None:
        waiting = np.concatenate([self._rest, samples])
        batch = _BATCH_FRAMES * FRAME_SAMPLES
        whole = len(waiting) // batch * batch
        for start in range(0, whole, batch):
            self._run(waiting[start : start + batch].reshape(-1, FRAME_SAMPLES))
        self._rest = waiting[whole:].copy()

    def _run(self, frames: Samples) -> None:
        contexts = np.concatenate([self._context[None], frames[:-1, -_CONTEXT_SAMPLES:]])
        heard = {"input": np.concatenate([contexts, frames], axis=1), "h": self._h, "c": self._c}
        said, self._h, self._c = self._session.run(None, heard)
        self._context = frames[-1, -_CONTEXT_SAMPLES:].copy()
        self._said.append(np.asarray(said, np.float32).reshape(-1))
