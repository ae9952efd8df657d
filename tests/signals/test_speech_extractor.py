"""Silero on real speech, silence and noise."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from signal_clips import clip_from, clip_of, noise, sine

from speechlake.errors import ModelError
from speechlake.schemas import SIGNALS_SPEECH
from speechlake.signals import speech as module
from speechlake.signals.extractor import Clip, Measurement
from speechlake.signals.speech import MODEL_SHA256, Speech


def measured(*clips: Clip) -> list[Measurement]:
    """Measurements by a freshly loaded model."""
    extractor = Speech()
    return extractor.measure(extractor.load(), clips)


def test_a_spoken_prompt_is_mostly_speech_and_its_segments_add_up(speech: Path) -> None:
    clip = clip_from(speech / "en_US_f_Allison" / "demo-congrats.wav")
    (measurement,) = measured(clip)
    values = measurement.values
    assert values["speech_ratio"] > 0.7
    assert values["speech_duration_s"] == pytest.approx(values["speech_ratio"] * clip.duration_s, abs=0.01)
    assert values["speech_duration_s"] == pytest.approx(
        sum(s["end_s"] - s["start_s"] for s in values["segments"])
    )


def test_segments_lie_in_order_inside_the_interval(speech: Path) -> None:
    clip = clip_from(speech / "en_US_f_Allison" / "demo-congrats.wav")
    (measurement,) = measured(clip)
    edges = [edge for s in measurement.values["segments"] for edge in (s["start_s"], s["end_s"])]
    assert edges == sorted(edges)
    assert edges[0] >= 0
    assert edges[-1] <= clip.duration_s + 1e-3


def test_speech_after_two_seconds_of_silence_starts_after_two_seconds(speech: Path) -> None:
    spoken = clip_from(speech / "en_US_f_Allison" / "vm-goodbye.wav")
    (measurement,) = measured(clip_of(np.concatenate([np.zeros(32_000, np.float32), spoken.samples])))
    assert measurement.values["segments"][0]["start_s"] == pytest.approx(2.0, abs=0.3)


@pytest.mark.parametrize("samples", [np.zeros(32_000), noise(count=32_000), sine(440, seconds=2.0), [0.1]])
def test_silence_noise_a_tone_and_a_single_sample_are_no_speech(samples: np.ndarray) -> None:
    (measurement,) = measured(clip_of(samples))
    assert measurement.values == {"speech_ratio": 0, "speech_duration_s": 0, "segments": []}


def test_an_empty_interval_is_an_error_of_that_clip_alone() -> None:
    empty, silent = measured(clip_of([]), clip_of(np.zeros(1600)))
    assert (empty.error, silent.error) == ("INTERVAL_OUTSIDE", None)


def test_a_clip_measures_the_same_alone_and_after_others(speech: Path) -> None:
    clip = clip_from(speech / "en_US_f_Allison" / "vm-goodbye.wav")
    assert measured(clip) == measured(clip_of(noise()), clip)[1:]


def test_the_values_are_the_columns_of_the_contract() -> None:
    engine = {"corpus", "utterance_id", "content_sha256", "fingerprint", "inputs_hash", "error", "run_id"}
    (measurement,) = measured(clip_of(np.zeros(1600)))
    assert set(measurement.values) == {column.name for column in SIGNALS_SPEECH.columns} - engine


def test_parameters_change_the_fingerprint_and_nothing_else_does() -> None:
    one = Speech().identity()
    assert one.model_sha256 == MODEL_SHA256
    assert one.fingerprint == Speech(threshold=0.5).identity().fingerprint
    assert one.fingerprint == pickle.loads(pickle.dumps(Speech())).identity().fingerprint
    assert one.fingerprint != Speech(threshold=0.6).identity().fingerprint


def test_another_model_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MODEL_SHA256", "0" * 64)
    with pytest.raises(ModelError, match=r"silero_vad_v6\.onnx"):
        Speech().load()


def test_a_failure_of_the_model_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(self: Speech, clip: Clip) -> list[tuple[int, int]]:
        raise RuntimeError("bad_alloc")

    monkeypatch.setattr(Speech, "_spans", breaks)
    (measurement,) = Speech().measure(None, [clip_of(np.zeros(1600))])
    assert (measurement.error, measurement.transient) == ("OUT_OF_MEMORY", True)
