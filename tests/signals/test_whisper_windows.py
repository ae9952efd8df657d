"""Windows, stretches and features of Whisper: functions of a clip alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from signal_clips import clip_from, noise

from speechlake.signals.extractor import RATE_HZ
from speechlake.signals.whisper_features import numpy_features, torch_features
from speechlake.signals.whisper_windows import parts, window_s

WINDOWS = [
    # seconds of a clip, its window when cut
    (0.1, 10.0),
    (7.0, 10.0),
    (7.1, 12.0),
    (12.0, 15.0),
    (17.99, 21.0),
    (22.0, 25.0),
    (22.1, 30.0),
    (30.0, 30.0),
]


@pytest.mark.parametrize(("seconds", "window"), WINDOWS)
def test_a_cut_window_leaves_three_seconds_of_silence_and_a_full_one_is_always_thirty(
    seconds: float, window: float
) -> None:
    samples = round(seconds * RATE_HZ)
    assert window_s(samples, cut=True) == window
    assert window_s(samples, cut=False) == 30.0


def test_up_to_thirty_seconds_are_one_stretch() -> None:
    assert [(p.start, p.end) for p in parts(np.zeros(30 * RATE_HZ, np.float32))] == [(0, 30 * RATE_HZ)]


def test_longer_clips_are_cut_where_they_are_quietest() -> None:
    loud = noise(0.1, 70 * RATE_HZ)
    for second in (20, 44):
        loud[second * RATE_HZ : round((second + 0.3) * RATE_HZ)] = 0
    found = parts(loud)
    assert [round(p.start / RATE_HZ) for p in found] == [0, 20, 44]
    assert 20 <= found[1].offset_s <= 20.3
    assert 44 <= found[2].offset_s <= 44.3


def test_stretches_cover_a_clip_once_and_none_is_longer_than_thirty_seconds() -> None:
    rng = np.random.default_rng(7)
    for seconds in (30.001, 45.0, 61.7, 200.0):
        samples = rng.normal(0, 0.1, round(seconds * RATE_HZ)).astype(np.float32)
        found = parts(samples)
        assert [p.start for p in found[1:]] == [p.end for p in found[:-1]]
        assert (found[0].start, found[-1].end) == (0, len(samples))
        assert all(0 < p.end - p.start <= 30 * RATE_HZ for p in found)


@pytest.fixture(scope="module")
def extractor() -> Any:
    from faster_whisper.feature_extractor import FeatureExtractor

    return FeatureExtractor()


@pytest.mark.parametrize("samples", [1, 159, 160, 161, 48_001, 120_000, 159_999, 160_000])
@pytest.mark.parametrize("window", [10.0, 30.0])
def test_features_are_those_of_the_padded_clip_by_the_library(
    extractor: Any, samples: int, window: float
) -> None:
    clip = noise(0.1, samples)
    padded = np.pad(clip, (0, round(window * RATE_HZ) - samples))
    (found,) = numpy_features([clip], window, extractor)
    assert found.shape == (80, round(window * 100))
    np.testing.assert_allclose(found, extractor(padded)[:, : found.shape[1]], atol=1e-5)


@pytest.mark.torch
def test_torch_features_equal_the_librarys_within_a_ten_thousandth(extractor: Any, speech: Any) -> None:
    names = ("vm-goodbye", "vm-intro", "demo-congrats")
    clips = [clip_from(speech / "en_US_f_Allison" / f"{name}.wav").samples for name in names]
    clips = [clip[: 12 * RATE_HZ] for clip in clips]
    found = torch_features(clips, 15.0, extractor, "cpu").numpy()
    np.testing.assert_allclose(found, numpy_features(clips, 15.0, extractor), atol=1e-4)
    alone = torch_features(clips[1:2], 15.0, extractor, "cpu").numpy()
    np.testing.assert_array_equal(found[1:2], alone)
