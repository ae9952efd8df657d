"""Mel spectrograms against what librosa 0.11 says of the same samples."""

from __future__ import annotations

import numpy as np
import pytest

from speechlake.audio.mel import mel_power, slaney_filters


@pytest.mark.parametrize(
    ("window", "mels", "band", "highest_bin", "height", "area"),
    [
        (400, 40, 0, 2, 0.0124045, 0.0248090),
        (400, 40, 20, 44, 0.00719192, 0.0252198),
        (400, 40, 39, 185, 0.00172494, 0.0249788),
        (321, 120, 5, 3, 0.0400506, 0.0400506),  # narrower than a bin
        (321, 120, 119, 156, 0.00445257, 0.0200681),
    ],
)
def test_filters_are_those_of_librosa(
    window: int, mels: int, band: int, highest_bin: int, height: float, area: float
) -> None:
    filters = slaney_filters(window, mels)
    assert filters.shape == (mels, window // 2 + 1)
    assert int(filters[band].argmax()) == highest_bin
    assert float(filters[band].max()) == pytest.approx(height, rel=1e-5)
    assert float(filters[band].sum()) == pytest.approx(area, rel=1e-5)


def test_a_tone_is_the_power_that_librosa_finds_in_the_middle_and_at_the_padded_edge() -> None:
    tone = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(1600) / 16_000)).astype(np.float32)
    found = mel_power(tone, window=400, hop=160, mels=40)
    assert found.shape == (11, 40)
    assert int(found[5].argmax()) == 13
    assert found[5, 12:14].tolist() == pytest.approx([22.10516, 26.12999], rel=1e-5)
    assert float(found[0].max()) == pytest.approx(10.03464, rel=1e-5)


def test_blocks_do_not_change_the_spectrum(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    whole = mel_power(samples, window=400, hop=160, mels=40)
    monkeypatch.setattr("speechlake.audio.mel.BLOCK_FRAMES", 7)
    assert np.allclose(mel_power(samples, window=400, hop=160, mels=40), whole, rtol=1e-6)
