"""DNSMOS on real speech: the authors' numbers, and what a clip may be."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from signal_clips import clip_from, clip_of, noise

from speechlake.errors import ModelError
from speechlake.schemas import SIGNALS_QUALITY
from speechlake.signals import quality as module
from speechlake.signals.extractor import RATE_HZ, Clip, Measurement
from speechlake.signals.quality import WINDOW, Quality, repeated
from speechlake.signals.rebuild import rebuild

SCORES = ("sig", "bak", "ovrl", "p808")


@pytest.fixture(scope="module")
def model() -> Any:
    """Both sessions, opened once."""
    return Quality().load()


def measured(model: Any, *clips: Clip, max_windows: int = 2) -> list[Measurement]:
    """Measurements of clips."""
    return Quality(max_windows=max_windows).measure(model, clips)


# What speechmos 0.0.1.1 itself says, with librosa 0.11, of the same samples at 16 kHz.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "scores"),
    [
        ("vm-intro", (3.62226, 4.17857, 3.39973, 3.75099)),  # 5.7 s, heard twice
        ("vm-goodbye", (3.28861, 3.36097, 2.71753, 2.98875)),  # 0.9 s, heard sixteen times
    ],
)
def test_all_windows_give_the_numbers_of_the_authors_package(
    model: Any, speech: Path, name: str, scores: tuple[float, ...]
) -> None:
    (measurement,) = measured(model, clip_from(speech / "en_US_f_Allison" / f"{name}.wav"), max_windows=0)
    assert [measurement.values[score] for score in SCORES] == pytest.approx(scores, abs=1e-3)


def test_two_windows_of_a_long_clip_are_near_the_mean_of_all_and_noise_lowers_the_scores(
    model: Any, speech: Path
) -> None:
    clip = clip_from(speech / "en_US_f_Allison" / "demo-congrats.wav")
    noisy = clip_of(clip.samples + noise(0.05, len(clip.samples)))
    clean, worse = (each.values for each in measured(model, clip, noisy))
    assert clean["windows"] == 2
    # The mean of all of its 22 windows; by speechmos, of 7 of them.
    assert [clean[score] for score in SCORES] == pytest.approx((3.650, 4.202, 3.430, 3.661), abs=0.15)
    # Noise is heard as such: the background suffers most, the speech signal itself hardly.
    assert worse["bak"] < clean["bak"] - 2
    assert worse["ovrl"] < clean["ovrl"] - 1
    assert worse["p808"] < clean["p808"] - 0.5


@pytest.mark.parametrize(
    ("seconds", "limit", "starts"),
    [
        (9.01, 0, [0]),
        (10.0, 0, [0]),
        (11.0, 0, [0, 1]),
        (20.0, 0, list(range(11))),
        (20.0, 1, [5]),
        (20.0, 2, [2, 8]),
        (20.0, 3, [1, 5, 9]),
        (10.0, 3, [0]),
    ],
)
def test_windows_start_every_second_and_a_limit_spreads_them_evenly(
    seconds: float, limit: int, starts: list[int]
) -> None:
    found = Quality(max_windows=limit).starts(round(seconds * RATE_HZ))
    assert [at / RATE_HZ for at in found] == starts


def test_every_window_lies_within_the_samples() -> None:
    for length in range(WINDOW, 40 * RATE_HZ, 777):
        assert Quality(max_windows=0).starts(length)[-1] + WINDOW <= length


def test_a_short_clip_is_doubled_until_it_fills_a_window() -> None:
    assert len(repeated(np.zeros(WINDOW - 1, np.float32))) == 2 * (WINDOW - 1)
    assert len(repeated(np.zeros(WINDOW, np.float32))) == WINDOW
    assert repeated(np.array([1, 2, 3], np.float32))[:7].tolist() == [1, 2, 3, 1, 2, 3, 1]


def test_silence_and_a_single_sample_have_scores_and_bad_samples_have_codes(model: Any) -> None:
    silent, single, empty, wrong = measured(
        model, clip_of(np.zeros(1600)), clip_of([0.1]), clip_of([]), clip_of([0.0, np.nan]), max_windows=1
    )
    assert all(0 < silent.values[score] < 5 for score in SCORES)
    assert single.values["windows"] == 1
    assert (empty.error, wrong.error) == ("INTERVAL_OUTSIDE", "NOT_FINITE")


@pytest.mark.slow
def test_a_clip_measures_the_same_alone_and_after_others(model: Any, speech: Path) -> None:
    clip = clip_from(speech / "en_US_f_Allison" / "vm-goodbye.wav")
    assert measured(model, clip) == measured(model, clip_of(noise()), clip)[1:]


def test_the_values_are_the_columns_of_the_contract(model: Any) -> None:
    engine = {"corpus", "utterance_id", "content_sha256", "fingerprint", "inputs_hash", "error", "run_id"}
    (measurement,) = measured(model, clip_of(np.zeros(1600)), max_windows=1)
    assert set(measurement.values) == {column.name for column in SIGNALS_QUALITY.columns} - engine


def test_the_number_of_windows_is_in_the_fingerprint_and_it_is_rebuilt_from_its_identity() -> None:
    said = Quality(max_windows=5).identity()
    assert said.fingerprint != Quality().identity().fingerprint
    assert said.fingerprint == pickle.loads(pickle.dumps(Quality(max_windows=5))).identity().fingerprint
    again = rebuild("quality", said.model_id, said.parameters, fingerprint=said.fingerprint)
    assert again == Quality(max_windows=5)


def test_other_weights_are_refused_before_they_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "P808_SHA256", "0" * 64)
    with pytest.raises(ModelError, match=r"model_v8\.onnx"):
        Quality().load()


def test_a_missing_package_is_a_model_error_that_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "package_folder", lambda name: None)
    with pytest.raises(ModelError) as error:
        Quality().identity()
    assert "pip install speechmos==" in str(error.value.hint)


def test_a_failure_of_the_model_is_tried_again_later() -> None:
    class Breaks:
        def run(self, outputs: Any, inputs: Any) -> Any:
            raise RuntimeError("bad allocation")

    (measurement,) = measured((Breaks(), Breaks()), clip_of(np.zeros(1600)))
    assert (measurement.error, measurement.transient) == ("MODEL_FAILED", True)
