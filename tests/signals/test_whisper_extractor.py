"""Whisper: failures as values, what is in the fingerprint, and the same text as the direct call."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from signal_clips import clip_from, clip_of

from speechlake.errors import ConfigError, ModelError, UsageError
from speechlake.schemas import SIGNALS_WHISPER
from speechlake.signals import DEFAULT_EXTRACTORS, EXTRACTORS, Audio, Speech, Whisper
from speechlake.signals.extractor import Clip, Measurement
from speechlake.signals.rebuild import rebuild
from speechlake.signals.whisper_decoder import Decoder, Transcription, Window

VOICES = {
    "en_US_f_Allison": "en-US",
    "es_MX_f_Allison": "es",
    "fr_CA_f_June": "fr-CA",
    "it_IT_m_Carlo": "it",
    "ru_RU_f_IvrvoiceRU": "ru",
}
PROMPTS = ("vm-goodbye", "agent-loggedoff", "vm-reenterpassword")
Load = Callable[[str], Decoder]


@pytest.fixture(scope="module")
def load() -> Load:
    """Models by name, each opened once; English-only `whisper-tiny.en`, multilingual `whisper-base`."""
    opened: dict[str, Decoder] = {}

    def of(model: str) -> Decoder:
        if model not in opened:
            opened[model] = Whisper(model=model).load()
        return opened[model]

    return of


class FakeDecoder:
    """Knows English; decodes to a fixed outcome, or raises it."""

    def __init__(self, outcome: Transcription | Exception) -> None:
        self.outcome = outcome

    def knows(self, code: str) -> bool:
        return code == "en"

    def decode(self, samples: Any, language: str | None) -> Transcription:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def heard(outcome: Transcription | Exception, *clips: Clip) -> list[Measurement]:
    """Measurements of `clips` by a decoder with that outcome."""
    return Whisper().measure(cast(Decoder, FakeDecoder(outcome)), clips)


def segment(
    text: str, tokens: list[int], mean: float, no_speech: float = 0.1, ratio: float = 1.0
) -> SimpleNamespace:
    """A segment as faster-whisper yields it; tokens from 100 on are timestamps."""
    return SimpleNamespace(
        text=text, tokens=tokens, avg_logprob=mean, no_speech_prob=no_speech, compression_ratio=ratio
    )


TWO_SEGMENTS = Transcription(
    segments=(
        segment(" One two", [100, 1, 2, 101], -0.2, 0.1, 1.5),
        segment(" three.", [3, 4, 5, 6, 7, 8], -0.6, 0.3),
    ),
    windows=(Window(0.1, False), Window(0.9, False), Window(0.3, True)),
    detected="de",
    probability=0.8,
    decoded_as="en",
    end_of_text=100,
)
SILENCE = Transcription((), (Window(0.95, False),), "en", 0.4, "en", 100)


def test_segments_become_one_text_with_means_weighted_by_their_tokens() -> None:
    (measurement,) = heard(TWO_SEGMENTS, clip_of(np.zeros(32_000), language="en"))
    values = measurement.values
    assert values["text"] == "One two three."
    assert values["mean_log_probability"] == pytest.approx((-0.2 * 2 - 0.6 * 6) / 8)
    assert (values["tokens"], values["tokens_per_second"]) == (8, 4.0)
    assert (values["no_speech_probability"], values["compression_ratio"]) == (0.3, 1.5)
    assert (values["language"], values["language_probability"], values["decoded_language"]) == (
        "de",
        0.8,
        "en",
    )
    assert values["truncated"] is True


def test_silence_is_an_empty_text_without_a_mean_and_no_error() -> None:
    (measurement,) = heard(SILENCE, clip_of(np.zeros(1600)))
    values = measurement.values
    assert measurement.error is None
    assert (values["text"], values["tokens"], values["mean_log_probability"]) == ("", 0, None)
    assert values["no_speech_probability"] == 0.95


def test_the_values_are_the_columns_of_the_contract() -> None:
    engine = {"corpus", "utterance_id", "content_sha256", "fingerprint", "inputs_hash", "error", "run_id"}
    (measurement,) = heard(SILENCE, clip_of([0.1]))
    assert set(measurement.values) == {column.name for column in SIGNALS_WHISPER.columns} - engine


@pytest.mark.parametrize("language", ["ru", "gsw", "x-private"])
def test_a_declared_language_that_the_model_lacks_is_an_error_never_text(language: str) -> None:
    foreign, english = heard(
        TWO_SEGMENTS, clip_of([0.1], language=language), clip_of([0.1], language="en-GB")
    )
    assert (foreign.error, foreign.transient, foreign.values) == ("UNSUPPORTED_LANGUAGE", False, {})
    assert english.error is None


def test_an_empty_interval_is_an_error() -> None:
    (measurement,) = heard(TWO_SEGMENTS, clip_of([]))
    assert (measurement.error, measurement.transient) == ("INTERVAL_OUTSIDE", False)


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (RuntimeError("CUDA failed with error out of memory"), "OUT_OF_MEMORY"),
        (MemoryError(), "OUT_OF_MEMORY"),
        (ValueError("something else"), "MODEL_FAILED"),
    ],
)
def test_an_exception_is_a_transient_code_of_its_clip(raised: Exception, code: str) -> None:
    (measurement,) = heard(raised, clip_of([0.1]))
    assert (measurement.error, measurement.transient) == (code, True)
    assert type(raised).__name__ in str(measurement.detail)


def test_parameters_weights_and_compute_type_are_in_the_fingerprint_and_the_device_is_not() -> None:
    plain = Whisper(model="whisper-tiny.en").identity()
    same = Whisper(model="whisper-tiny.en", device="cuda", compute_type="int8").identity()
    assert plain.fingerprint == same.fingerprint
    others = [
        Whisper(model="whisper-tiny.en", beam_size=5),
        Whisper(model="whisper-tiny.en", device="cuda"),
        Whisper(model="whisper-base"),
    ]
    assert len({plain.fingerprint, *(other.identity().fingerprint for other in others)}) == 4


def test_a_shipped_extractor_carries_the_digest_that_workers_must_find() -> None:
    shipped = pickle.loads(pickle.dumps(Whisper(model="whisper-tiny.en")))
    assert shipped == Whisper(model="whisper-tiny.en")
    assert shipped.sha256 == shipped.identity().model_sha256
    with pytest.raises(ModelError, match="on this machine"):
        replace(shipped, sha256="0" * 64).load()


def test_an_unknown_device_is_a_mistake_of_the_user() -> None:
    with pytest.raises(UsageError, match="'tpu'"):
        Whisper(model="whisper-tiny.en", device="tpu").identity()


def test_extractors_are_listed_in_the_order_in_which_they_run() -> None:
    assert tuple(EXTRACTORS)[:3] == DEFAULT_EXTRACTORS == ("audio", "speech", "whisper")
    assert all(name == extractor.name for name, extractor in EXTRACTORS.items())


@pytest.mark.parametrize(
    "extractor", [Audio(), Speech(threshold=0.4), Whisper(model="whisper-tiny.en", beam_size=5)]
)
def test_an_extractor_is_rebuilt_from_its_identity(extractor: Any) -> None:
    said = extractor.identity()
    again = rebuild(said.name, said.model_id, said.parameters, fingerprint=said.fingerprint)
    assert again.identity() == said


def test_a_fingerprint_that_this_code_cannot_give_is_refused() -> None:
    said = Speech().identity()
    with pytest.raises(ConfigError, match="expected 0000"):
        rebuild("speech", said.model_id, said.parameters, fingerprint="0000")
    with pytest.raises(ConfigError, match="loudness"):
        rebuild("speech", said.model_id, {"loudness": 1}, fingerprint=said.fingerprint)


def direct(model: Decoder, extractor: Whisper, clip: Clip, language: str | None) -> str:
    """The text of faster-whisper's own `transcribe`."""
    segments, _ = model.transcribe(clip.samples, language=language, **extractor.transcribe_arguments())
    return "".join(segment.text for segment in segments).strip()


@pytest.mark.slow
@pytest.mark.parametrize("beam_size", [1, 5])
def test_english_text_equals_the_direct_call(speech: Path, load: Load, beam_size: int) -> None:
    model = Whisper(model="whisper-tiny.en", beam_size=beam_size).load()
    extractor = Whisper(model="whisper-tiny.en", beam_size=beam_size)
    clips = [clip_from(speech / "en_US_f_Allison" / f"{prompt}.wav", "en-US") for prompt in PROMPTS]
    texts = [measurement.values["text"] for measurement in extractor.measure(model, clips)]
    assert texts == [direct(model, extractor, clip, "en") for clip in clips]
    assert texts[0] == "Goodbye."


@pytest.mark.slow
def test_declared_language_decodes_and_detection_is_recorded_beside_it(speech: Path, load: Load) -> None:
    model, extractor = load("whisper-base"), Whisper()
    clips = [clip_from(speech / voice / "vm-intro.wav", language) for voice, language in VOICES.items()]
    found = [measurement.values for measurement in extractor.measure(model, clips)]
    assert [values["text"] for values in found] == [
        direct(model, extractor, clip, language[:2])
        for clip, language in zip(clips, VOICES.values(), strict=True)
    ]
    assert [values["decoded_language"] for values in found] == [language[:2] for language in VOICES.values()]
    assert all(0 < values["language_probability"] <= 1 for values in found)


@pytest.mark.slow
def test_undeclared_language_is_detected_with_one_encoder_pass(
    speech: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, extractor = load("whisper-base"), Whisper()
    passes: list[Any] = []
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda features: passes.append(1) or encode(features))
    (measurement,) = extractor.measure(
        model, [clip := clip_from(speech / "ru_RU_f_IvrvoiceRU" / "vm-intro.wav")]
    )
    assert len(passes) == 1
    assert (measurement.values["language"], measurement.values["decoded_language"]) == ("ru", "ru")
    assert measurement.values["text"] == direct(model, extractor, clip, None)


@pytest.mark.slow
def test_a_clip_over_thirty_seconds_is_heard_to_its_end(speech: Path, load: Load) -> None:
    model, extractor = load("whisper-tiny.en"), Whisper(model="whisper-tiny.en")
    goodbye = clip_from(speech / "en_US_f_Allison" / "vm-goodbye.wav")
    congratulations = clip_from(speech / "en_US_f_Allison" / "demo-congrats.wav")
    clip = clip_of(np.concatenate([congratulations.samples, np.zeros(16_000, np.float32), goodbye.samples]))
    (measurement,) = extractor.measure(model, [clip])
    assert measurement.values["text"].startswith("Congratulations")
    assert "Goodbye" in measurement.values["text"][-10:]
    assert measurement.values["text"] == direct(model, extractor, clip, "en")


@pytest.mark.slow
def test_the_token_limit_shows_as_truncated(speech: Path, load: Load) -> None:
    clip = clip_from(speech / "en_US_f_Allison" / "vm-intro.wav")
    short = Whisper(model="whisper-tiny.en", max_new_tokens=8, without_timestamps=True)
    (cut,) = short.measure(short.load(), [clip])
    (whole,) = Whisper(model="whisper-tiny.en").measure(load("whisper-tiny.en"), [clip])
    assert (cut.values["truncated"], whole.values["truncated"]) == (True, False)
    assert cut.values["tokens"] < whole.values["tokens"]


@pytest.mark.slow
def test_silence_and_a_single_sample_give_no_invented_text(load: Load) -> None:
    for model in ("whisper-tiny.en", "whisper-base"):
        silent, tiny = Whisper(model=model).measure(load(model), [clip_of(np.zeros(48_000)), clip_of([0.1])])
        assert (silent.error, tiny.error) == (None, None)
        assert (tiny.values["text"], tiny.values["language_probability"]) == ("", None)
        assert silent.values["no_speech_probability"] > 0.3


@pytest.mark.slow
def test_an_english_model_has_no_opinion_about_the_language(speech: Path, load: Load) -> None:
    clip = clip_from(speech / "en_US_f_Allison" / "vm-goodbye.wav")
    (measurement,) = Whisper(model="whisper-tiny.en").measure(load("whisper-tiny.en"), [clip])
    values = measurement.values
    assert (values["language"], values["language_probability"], values["decoded_language"]) == (
        "en",
        None,
        "en",
    )
