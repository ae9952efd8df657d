"""Whisper's log-mel features of silence-padded samples: by NumPy, or by torch on the device.

Both give what faster-whisper's own extractor gives for the padded samples. Silence is appended to samples,
never zeros to features: those ran away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from speechlake.signals.extractor import RATE_HZ, Samples

Features = npt.NDArray[np.float32]

FFT = 400
HOP = 160
FRAMES_PER_SECOND = RATE_HZ // HOP
# log10 of the least power that is told from none, and how far below a clip's loudest value its floor lies.
LEAST_POWER = 1e-10
RANGE = 8.0


def numpy_features(batch: Sequence[Samples], window_s: float, extractor: Any) -> Features:
    """(clips, mels, frames) of a window; `extractor` is faster-whisper's, whose mel matrix it uses.

    The silence behind a clip is not transformed: its value is the clip's floor.
    """
    frames = round(window_s * FRAMES_PER_SECOND)
    made = np.empty((len(batch), len(extractor.mel_filters), frames), dtype=np.float32)
    for row, samples in zip(made, batch, strict=True):
        # Beyond this much silence no frame touches a sample.
        heard = samples[: frames * HOP]
        padded = np.pad(heard, (0, min(FFT + HOP, frames * HOP - len(heard))))
        spoken = extractor(padded, padding=HOP)[:, :frames]
        row[:, : spoken.shape[1]] = spoken
        row[:, spoken.shape[1] :] = spoken[:, -1:]
    return made


def torch_features(batch: Sequence[Samples], window_s: float, extractor: Any, device: str) -> Any:
    """The same as a contiguous float32 tensor on `device`, ready to be read by another library."""
    import torch

    frames = round(window_s * FRAMES_PER_SECOND)
    padded = torch.zeros((len(batch), frames * HOP), dtype=torch.float32)
    for row, samples in zip(padded, batch, strict=True):
        heard = samples[: frames * HOP]
        row[: len(heard)] = torch.from_numpy(np.ascontiguousarray(heard))
    padded = padded.to(device)
    window = torch.hann_window(FFT, device=device)
    # HOP zeros behind, as faster-whisper appends, then centred frames with reflected edges; the last goes.
    spectrum = torch.stft(
        torch.nn.functional.pad(padded, (0, HOP)), FFT, HOP, window=window, return_complex=True
    )[..., :-1][..., :frames]
    power = spectrum.abs() ** 2
    mels = torch.from_numpy(extractor.mel_filters).to(device) @ power
    logs = mels.clamp(min=LEAST_POWER).log10()
    floor = logs.amax(dim=(1, 2), keepdim=True) - RANGE
    made = ((torch.maximum(logs, floor) + 4.0) / 4.0).contiguous()
    if made.is_cuda:
        # CTranslate2 reads it on streams of its own.
        torch.cuda.current_stream(made.device).synchronize()
    return made
