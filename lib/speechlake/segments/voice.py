"""Voice activity of a stream: Silero's probability of speech for every 32 ms, in blocks of any size."""

from __future__ import annotations

from array import array
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
        self._batch = np.zeros((_BATCH_FRAMES, FRAME_SAMPLES), np.float32)
        self._filled = 0
        self._context = np.zeros(_CONTEXT_SAMPLES, np.float32)
        # Each frame behind the end of the one before it.
        self._input = np.zeros((_BATCH_FRAMES, _CONTEXT_SAMPLES + FRAME_SAMPLES), np.float32)
        # One growing array: thousands of small ones between large blocks would keep malloc from reusing
        # those, 2 GB in three hours.
        self._said = array("f")

    def hear(self, samples: Samples) -> None:
        """The next samples."""
        self._take(samples if self._resampler is None else self._resampler.resample_chunk(samples))

    def finish(self) -> Probabilities:
        """The probabilities of all frames, the last one padded with silence; call it once."""
        if self._resampler is not None:
            self._take(self._resampler.resample_chunk(np.empty(0, np.float32), last=True))
        self._batch.reshape(-1)[self._filled :] = 0
        self._run(-(-self._filled // FRAME_SAMPLES))
        return np.array(self._said, np.float32)

    def _take(self, samples: Samples) -> None:
        batch = self._batch.reshape(-1)
        while len(samples):
            room = len(batch) - self._filled
            batch[self._filled : self._filled + room][: len(samples)] = samples[:room]
            self._filled += len(samples[:room])
            samples = samples[room:]
            if self._filled == len(batch):
                self._run(_BATCH_FRAMES)
                self._filled = 0

    def _run(self, count: int) -> None:
        """Let the model hear the first `count` frames of the batch."""
        if not count:
            return
        frames, heard = self._batch[:count], self._input[:count]
        heard[:, _CONTEXT_SAMPLES:] = frames
        heard[1:, :_CONTEXT_SAMPLES] = frames[:-1, -_CONTEXT_SAMPLES:]
        heard[0, :_CONTEXT_SAMPLES] = self._context
        said, self._h, self._c = self._session.run(None, {"input": heard, "h": self._h, "c": self._c})
        self._context = frames[-1, -_CONTEXT_SAMPLES:].copy()
        self._said.frombytes(np.asarray(said, np.float32).tobytes())
