"""What is asked of decoded samples: one channel, one interval, 16 kHz."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from speechlake.audio.errors import AudioError

Samples = npt.NDArray[np.float32]

MIX = "mix"
MODEL_RATE_HZ = 16_000
# How far an interval may end behind the decoded end and still be cut there: manifests round, encoders
# pad, and decoders drop padding, by a frame (0.026 s in mp3) or a hop or two; more means another file.
OVERSHOOT_S = 0.1


def select_channel(samples: Samples, channel: str) -> Samples:
    """One channel of (frames, channels) samples as mono: `mix` is the mean of all, else a number from 0.

    CHANNEL_MISSING where there is no such channel.
    """
    if channel == MIX:
        return samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
    if not (channel.isascii() and channel.isdigit()) or int(channel) >= samples.shape[1]:
        raise AudioError("CHANNEL_MISSING", f"channel {channel!r} of {samples.shape[1]}")
    return np.ascontiguousarray(samples[:, int(channel)])


def cut(samples: Samples, rate_hz: int, start_ms: int, end_ms: int | None) -> Samples:
    """The samples of an interval in milliseconds, `end_ms` None for the end; a view, never a copy.

    INTERVAL_OUTSIDE as `span` says.
    """
    start, end = span(len(samples), rate_hz, start_ms, end_ms)
    return samples[start:end]


def span(length: int, rate_hz: int, start_ms: int, end_ms: int | None) -> tuple[int, int]:
    """First sample, and the one behind the last, of an interval of a recording of `length` samples.

    INTERVAL_OUTSIDE where it is empty, begins at or after the decoded end, or ends more than
    OVERSHOOT_S behind it; a smaller overshoot is cut at the end.
    """
    start = sample_at(start_ms, rate_hz)
    end = length if end_ms is None else sample_at(end_ms, rate_hz)
    too_far = end > length + OVERSHOOT_S * rate_hz
    if start_ms < 0 or start >= min(end, length) or too_far:
        raise AudioError(
            "INTERVAL_OUTSIDE", f"{start_ms} to {end_ms} ms of {1000 * length / rate_hz:.0f} ms decoded"
        )
    return start, min(end, length)


def to_16k(samples: Samples, rate_hz: int) -> Samples:
    """Mono samples at 16 kHz by soxr HQ: aliases below -131 dB, the same bits on every call."""
    if rate_hz == MODEL_RATE_HZ:
        return samples
    import soxr

    resampled: Samples = soxr.resample(samples, rate_hz, MODEL_RATE_HZ, quality="HQ")
    return resampled


def sample_at(ms: int, rate_hz: int) -> int:
    """The sample nearest to a time, half up, in integers."""
    return (ms * rate_hz + 500) // 1000
