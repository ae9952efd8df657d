"""GE2E on real voices: Resemblyzer's own numbers, same and other voices, and what a clip may be."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from signal_clips import clip_from, clip_of, noise, sine

from speechlake.errors import ModelError
from speechlake.models import files
from speechlake.schemas import SIGNALS_SPEAKER
from speechlake.signals import speaker as module
from speechlake.signals.extractor import RATE_HZ, Clip, Measurement
from speechlake.signals.rebuild import rebuild
from speechlake.signals.speaker import MODEL_SHA256, Speaker, part_starts, raised

VOICES = ("en_US_f_Allison", "fr_CA_f_June", "it_IT_f_Menardi", "it_IT_m_Carlo", "ru_RU_f_IvrvoiceRU")
PROMPTS = ("agent-alreadyon", "agent-incorrect", "agent-newlocation")


@pytest.fixture(scope="module")
def model() -> Any:
    """The network, filled once."""
    return Speaker().load()


def measured(model: Any, *clips: Clip) -> list[Measurement]:
    """Measurements of clips."""
    return Speaker().measure(model, clips)


def embedding(model: Any, clip: Clip) -> npt.NDArray[np.float64]:
    """The embedding of one clip."""
    (measurement,) = measured(model, clip)
    return np.array(measurement.values["embedding"])


# The six highest values that resemblyzer 0.1.4 itself gives, with librosa 0.11, untrimmed, at 16 kHz.
@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "gain", "highest"),
    [
        (
            "agent-alreadyon",
            1.0,
            {89: 0.24954, 20: 0.21096, 243: 0.20807, 116: 0.19399, 58: 0.19236, 148: 0.18409},
        ),
        (
            "vm-goodbye",
            0.01,
            {0: 0.3738, 62: 0.28073, 20: 0.2391, 11: 0.21385, 58: 0.18977, 136: 0.18675},
        ),  # raised
    ],
)
def test_the_embedding_is_that_of_the_authors_package(
    model: Any, speech: Path, name: str, gain: float, highest: Mapping[int, float]
) -> None:
    clip = clip_from(speech / "en_US_f_Allison" / f"{name}.wav")
    found = embedding(model, clip_of(clip.samples * np.float32(gain)))
    assert set(np.argsort(-found)[:6].tolist()) == set(highest)
    assert found[list(highest)].tolist() == pytest.approx(list(highest.values()), abs=1e-4)


@pytest.mark.torch
def test_every_clip_is_closer_to_each_of_its_own_voice_than_to_any_of_another(
    model: Any, speech: Path
) -> None:
    clips = [clip_from(speech / voice / f"{prompt}.wav") for voice in VOICES for prompt in PROMPTS]
    found = np.stack([each.values["embedding"] for each in measured(model, *clips)])
    alike, voice = found @ found.T, np.repeat(np.arange(len(VOICES)), len(PROMPTS))
    same, itself = voice[:, None] == voice, np.eye(len(voice), dtype=bool)
    for row in range(len(voice)):
        assert alike[row][same[row] & ~itself[row]].min() > alike[row][~same[row]].max()


@pytest.mark.torch
def test_an_embedding_has_unit_length_256_numbers_and_is_the_same_every_time(
    model: Any, speech: Path
) -> None:
    clip = clip_from(speech / "it_IT_m_Carlo" / "vm-goodbye.wav")
    one, other = embedding(model, clip), embedding(Speaker().load(), clip)
    assert one.shape == (256,)
    assert float(np.linalg.norm(one)) == pytest.approx(1, abs=1e-5)
    assert one.tolist() == other.tolist()


@pytest.mark.torch
def test_a_clip_measures_the_same_alone_and_after_others(model: Any, speech: Path) -> None:
    clip = clip_from(speech / "it_IT_m_Carlo" / "vm-goodbye.wav")
    assert measured(model, clip) == measured(model, clip_of(noise()), clip)[1:]


@pytest.mark.torch
def test_two_minutes_go_through_the_network_in_batches_and_count_their_parts(
    model: Any, speech: Path
) -> None:
    clip = clip_from(speech / "en_US_f_Allison" / "demo-congrats.wav")
    (measurement,) = measured(model, clip_of(np.tile(clip.samples, 4)))
    assert measurement.values["parts"] == len(part_starts(4 * len(clip.samples))) > 2 * module.PARTS_PER_BATCH
    assert float(embedding(model, clip) @ measurement.values["embedding"]) > 0.98


@pytest.mark.torch
def test_silence_has_no_voice_a_single_sample_has_a_rough_one_and_bad_samples_have_codes(model: Any) -> None:
    silent, single, empty, wrong = measured(
        model, clip_of(np.zeros(16_000)), clip_of([0.1]), clip_of([]), clip_of([0.0, np.nan])
    )
    assert (silent.error, silent.values) == (None, {"embedding": None, "parts": 1})
    assert len(single.values["embedding"]) == 256
    assert (empty.error, wrong.error) == ("INTERVAL_OUTSIDE", "NOT_FINITE")


@pytest.mark.torch
def test_the_values_are_the_columns_of_the_contract(model: Any) -> None:
    engine = {"corpus", "utterance_id", "content_sha256", "fingerprint", "inputs_hash", "error", "run_id"}
    (measurement,) = measured(model, clip_of(noise()))
    assert set(measurement.values) == {column.name for column in SIGNALS_SPEAKER.columns} - engine


def test_quiet_clips_are_raised_to_minus_30_and_loud_ones_stay() -> None:
    quiet, loud = sine(440, amplitude=0.001), sine(440, amplitude=0.5)
    assert 20 * np.log10(np.sqrt(np.mean(raised(quiet) ** 2))) == pytest.approx(-30, abs=0.01)
    assert raised(loud) is loud
    assert not raised(np.zeros(10, np.float32)).any()


@pytest.mark.parametrize(
    ("seconds", "starts"),
    [
        (0.1, [0]),
        (1.6, [0]),
        (1.9, [0]),  # a second part would be 71 % there
        (2.0, [0, 77]),
        (3.0, [0, 77, 154]),
        (4.0, [0, 77, 154, 231]),
    ],
)
def test_parts_of_160_frames_start_every_77_and_the_last_is_three_quarters_there(
    seconds: float, starts: list[int]
) -> None:
    assert part_starts(round(seconds * RATE_HZ)) == starts


@pytest.mark.torch
def test_the_weights_are_in_the_fingerprint_and_it_is_rebuilt_from_its_identity() -> None:
    said = Speaker().identity()
    assert said.model_sha256 == MODEL_SHA256
    assert said.fingerprint == pickle.loads(pickle.dumps(Speaker())).identity().fingerprint
    assert rebuild("speaker", said.model_id, said.parameters, fingerprint=said.fingerprint) == Speaker()


@pytest.mark.torch
def test_other_weights_are_refused_before_they_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MODEL_SHA256", "0" * 64)
    with pytest.raises(ModelError, match=r"pretrained\.pt"):
        Speaker().load()


@pytest.mark.parametrize(
    ("missing", "command"),
    [("torch", "pip install torch=="), ("resemblyzer", "pip install --no-deps resemblyzer==")],
)
def test_what_is_missing_is_a_model_error_that_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str, command: str
) -> None:
    for asks in (module, files):
        monkeypatch.setattr(asks, "package_folder", lambda name: None if name == missing else tmp_path)
    with pytest.raises(ModelError) as error:
        Speaker().identity()
    assert command in str(error.value.hint)


def test_a_failure_of_the_model_is_tried_again_later() -> None:
    (measurement,) = measured({}, clip_of(noise()))  # a network without its layers
    assert (measurement.error, measurement.transient) == ("MODEL_FAILED", True)
