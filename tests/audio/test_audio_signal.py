"""Channels, intervals and rates of decoded samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechlake.audio.errors import AudioError
from speechlake.audio.signal import cut, select_channel, to_16k

STEREO = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, -1.0]], dtype=np.float32)
SECOND = np.arange(8000, dtype=np.float32)


@pytest.mark.parametrize(
    ("channel", "expected"), [("mix", [0.5, 0.5, -0.5]), ("0", [1.0, 0.5, 0.0]), ("1", [0.0, 0.5, -1.0])]
)
def test_a_channel_is_one_of_them_or_their_mean(channel: str, expected: list[float]) -> None:
    got = select_channel(STEREO, channel)
    assert got.tolist() == expected
    assert got.dtype == np.float32


@pytest.mark.parametrize("channel", ["2", "-1", "left", "", "1.0", "²"])
def test_a_channel_that_is_not_there_is_missing(channel: str) -> None:
    with pytest.raises(AudioError, match="CHANNEL_MISSING"):
        select_channel(STEREO, channel)


@pytest.mark.parametrize(
    ("start_ms", "end_ms", "first", "length"),
    [
        (0, None, 0, 8000),
        (0, 1000, 0, 8000),
        (250, 500, 2000, 2000),
        (999, None, 7992, 8),
        (0, 1100, 0, 8000),  # 0.1 s behind the end: cut there
        (500, 1050, 4000, 4000),
    ],
)
def test_an_interval_is_cut_to_the_nearest_sample(
    start_ms: int, end_ms: int | None, first: int, length: int
) -> None:
    got = cut(SECOND, 8000, start_ms, end_ms)
    assert (int(got[0]), len(got)) == (first, length)


@pytest.mark.parametrize(
    ("start_ms", "end_ms"), [(1000, None), (2000, 3000), (0, 1101), (500, 500), (500, 400), (-5, 100)]
)
def test_an_interval_outside_the_recording_is_refused(start_ms: int, end_ms: int | None) -> None:
    with pytest.raises(AudioError, match="INTERVAL_OUTSIDE"):
        cut(SECOND, 8000, start_ms, end_ms)


@given(st.integers(0, 1000), st.integers(0, 1000), st.sampled_from([8000, 11_025, 16_000, 44_100]))
def test_neighbouring_intervals_neither_overlap_nor_leave_a_gap(a: int, b: int, rate_hz: int) -> None:
    start, middle, end = 0, *sorted((a + 1, b + 1002))
    samples = np.arange(3 * rate_hz, dtype=np.float32)
    pieces = [cut(samples, rate_hz, start, middle), cut(samples, rate_hz, middle, end)]
    assert np.array_equal(np.concatenate(pieces), cut(samples, rate_hz, start, end))


def test_16_khz_stays_as_it_is() -> None:
    assert to_16k(SECOND, 16_000) is SECOND


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 22_050, 44_100, 48_000])
def test_a_tone_keeps_its_pitch_level_and_length(rate_hz: int) -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(rate_hz) / rate_hz).astype(np.float32)
    got = to_16k(tone, rate_hz)
    assert len(got) == 16_000
    assert int(np.argmax(np.abs(np.fft.rfft(got)))) == 1000
    assert np.sqrt(np.mean(got[1000:-1000] ** 2)) == pytest.approx(0.5**0.5, abs=1e-3)


def test_what_16_khz_cannot_hold_is_gone_and_every_call_gives_the_same_bits() -> None:
    ultrasound = np.sin(2 * np.pi * 9000 * np.arange(48_000) / 48_000).astype(np.float32)
    got = to_16k(ultrasound, 48_000)
    assert np.abs(got[1000:-1000]).max() < 1e-5
    assert np.array_equal(got, to_16k(ultrasound, 48_000))
