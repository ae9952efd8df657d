"""Whisper: failures as values, what is in the fingerprint, and the same text as the direct call."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from signal_clips import clip_from, clip_of

from speechlake.errors import ConfigError, ModelError, UsageError
from speechlake.schemas import SIGNALS_WHISPER
from speechlake.signals import DEFAULT_EXTRACTORS, EXTRACTORS, Audio, Speech, Whisper
from speechlake.signals.extractor import Clip, Measurement
from speechlake.signals.rebuild import rebuild
from speechlake.signals.whisper_decoder import Decoder, Said, Transcription, Word
from speechlake.signals.whisper_text import measurement_of

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
    """Knows English; hears every stretch as a fixed outcome, by window, or raises it. Notes what it was asked."""

    def __init__(self, outcome: Transcription | Exception, in_full: Transcription | None = None) -> None:
        self.outcome, self.in_full = outcome, in_full
        self.asked: list[tuple[int, float, float]] = []

    def knows(self, code: str) -> bool:
        return code == "en"

    def hear(self, batch: Any, languages: Any, window_s: float, temperature: float) -> list[Transcription]:
        self.asked.append((len(batch), window_s, temperature))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        full = self.in_full if window_s == 30 and self.in_full is not None else self.outcome
        return [full] * len(batch)


def heard(outcome: Transcription | Exception, *clips: Clip, how: Whisper | None = None) -> list[Measurement]:
    """Measurements of `clips` by a decoder with that outcome."""
    return (how or Whisper()).measure(cast(Decoder, FakeDecoder(outcome)), clips)


def said(text: str, **other: Any) -> Transcription:
    """What a stretch gave."""
    usual: dict[str, Any] = {
        "tokens": len(text.split()),
        "mean_log_probability": -0.2,
        "no_speech_probability": 0.1,
        "compression_ratio": 1.0,
        "truncated": False,
        "detected": "en",
        "probability": 0.9,
        "decoded_as": "en",
    }
    return Transcription(text, **usual | other)


ONE_TWO = said(" One two", detected="de", probability=0.8)
SILENCE = said(" Thanks for watching", mean_log_probability=-1.5, no_speech_probability=0.95)
LOOP = said(" no no no no no no no no no", compression_ratio=4.0)


def test_stretches_become_one_text_with_means_weighted_by_their_tokens() -> None:
    three = said(
        " three.", tokens=6, mean_log_probability=-0.6, no_speech_probability=0.3, compression_ratio=1.5
    )
    values = measurement_of([ONE_TWO, three], [0.0, 20.0], 4.0, Whisper()).values
    assert values["text"] == "One two three."
    assert values["mean_log_probability"] == pytest.approx((-0.2 * 2 - 0.6 * 6) / 8)
    assert (values["tokens"], values["tokens_per_second"]) == (8, 2.0)
    assert (values["no_speech_probability"], values["compression_ratio"]) == (0.3, 1.5)
    found = (values["language"], values["language_probability"], values["decoded_language"])
    assert found == ("de", 0.8, "en")
    assert (values["truncated"], values["segments"], values["words"]) == (False, None, None)


def test_times_of_later_stretches_count_from_the_start_of_the_clip() -> None:
    one = said(" One", segments=[Said("One", 0.5, 1.0)], words=[Word("One", 0.6, 0.9, 0.7)])
    values = measurement_of([one, one], [0.0, 20.0], 40.0, Whisper(timestamps="words")).values
    assert [(s["start_s"], s["end_s"], s["text"]) for s in values["segments"]] == [
        (0.5, 1.0, "One"),
        (20.5, 21.0, "One"),
    ]
    assert [(w["start_s"], w["word"], w["probability"]) for w in values["words"]] == [
        (0.6, "One", 0.7),
        (20.6, "One", 0.7),
    ]


def test_silence_is_an_empty_text_without_a_mean_and_no_error() -> None:
    (measurement,) = heard(SILENCE, clip_of(np.zeros(1600)))
    values = measurement.values
    assert measurement.error is None
    assert (values["text"], values["tokens"], values["mean_log_probability"]) == ("", 0, None)
    assert values["no_speech_probability"] == 0.95


def test_the_values_are_the_columns_of_the_contract() -> None:
    engine = {"corpus", "utterance_id", "content_sha256", "fingerprint", "inputs_hash", "error", "run_id"}
    (measurement,) = heard(SILENCE, clip_of(np.zeros(1600)))
    assert set(measurement.values) == {column.name for column in SIGNALS_WHISPER.columns} - engine


def test_a_runaway_in_a_cut_window_is_heard_again_in_a_full_one() -> None:
    model = FakeDecoder(LOOP, in_full=ONE_TWO)
    (measurement,) = Whisper(windows="cut").measure(cast(Decoder, model), [clip_of(np.zeros(16_000))])
    assert measurement.values["text"] == "One two"
    assert model.asked == [(1, 10.0, 0.0), (1, 30.0, 0.0)]


def test_a_runaway_in_a_full_window_stays_as_it_is_without_further_temperatures() -> None:
    model = FakeDecoder(LOOP)
    (measurement,) = Whisper().measure(cast(Decoder, model), [clip_of(np.zeros(16_000))])
    assert measurement.values["text"] == LOOP.text.strip()
    assert model.asked == [(1, 30.0, 0.0)]


def test_further_temperatures_are_tried_in_turn_for_clips_that_need_them_and_the_best_is_kept() -> None:
    model = FakeDecoder(LOOP)
    how = Whisper(temperatures=(0.0, 0.4, 0.8))
    (measurement,) = how.measure(cast(Decoder, model), [clip_of(np.zeros(16_000))])
    assert measurement.values["text"] == LOOP.text.strip()
    assert model.asked == [(1, 30.0, 0.0), (1, 30.0, 0.4), (1, 30.0, 0.8)]


def test_clips_of_one_window_share_batches_that_are_bounded_by_padded_seconds() -> None:
    model = FakeDecoder(ONE_TWO)
    clips = [clip_of(np.zeros(16_000))] * 5 + [clip_of(np.zeros(20 * 16_000))]
    results = Whisper(windows="cut", batch_s=40.0).measure(cast(Decoder, model), clips)
    assert [r.values["text"] for r in results] == ["One two"] * 6
    assert sorted(model.asked) == [(1, 10.0, 0.0), (1, 25.0, 0.0), (4, 10.0, 0.0)]


@pytest.mark.parametrize("language", ["ru", "gsw", "x-private"])
def test_a_declared_language_that_the_model_lacks_is_an_error_never_text(language: str) -> None:
    clips = [clip_of(np.zeros(1600), language=tag) for tag in (language, "en-GB")]
    foreign, english = heard(ONE_TWO, *clips)
    assert (foreign.error, foreign.transient, foreign.values) == ("UNSUPPORTED_LANGUAGE", False, {})
    assert english.error is None


def test_an_empty_interval_is_an_error() -> None:
    (measurement,) = heard(ONE_TWO, clip_of([]))
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
    (measurement,) = heard(raised, clip_of(np.zeros(1600)))
    assert (measurement.error, measurement.transient) == (code, True)
    assert type(raised).__name__ in str(measurement.detail)


def test_parameters_weights_and_compute_type_are_in_the_fingerprint_and_the_device_is_not() -> None:
    plain = Whisper(model="whisper-tiny.en").identity()
    same = Whisper(model="whisper-tiny.en", device="cuda", compute_type="int8").identity()
    assert plain.fingerprint == same.fingerprint
    others = [
        Whisper(model="whisper-tiny.en", beam_size=5),
        Whisper(model="whisper-tiny.en", device="cuda"),
        Whisper(model="whisper-tiny.en", windows="cut"),
        Whisper(model="whisper-tiny.en", timestamps="words"),
        Whisper(model="whisper-tiny.en", task="translate"),
        Whisper(model="whisper-tiny.en", initial_prompt="Hello"),
        Whisper(model="whisper-tiny.en", hotwords="Hello"),
        Whisper(model="whisper-tiny.en", temperatures=(0.0, 0.2)),
        Whisper(model="whisper-base"),
    ]
    assert len({plain.fingerprint, *(other.identity().fingerprint for other in others)}) == 10
    assert Whisper(model="whisper-tiny.en", batch_s=1.0, streams=4).identity() == plain


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
    assert tuple(EXTRACTORS)[:3] == DEFAULT_EXTRACTORS[:3] == ("audio", "speech", "whisper")
    assert all(name == extractor.name for name, extractor in EXTRACTORS.items())


@pytest.mark.parametrize(
    "extractor",
    [Audio(), Speech(threshold=0.4), Whisper(model="whisper-tiny.en", temperatures=(0.0, 0.2))],
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


def direct(model: Decoder, clip: Clip, language: str | None, **how: Any) -> str:
    """The text of faster-whisper's own `transcribe`, on the clip padded with silence to a full window."""
    samples = np.pad(clip.samples, (0, max(0, 30 * 16_000 - len(clip.samples))))
    segments, _ = model.transcribe(
        samples,
        language=language,
        temperature=0.0,
        condition_on_previous_text=False,
        without_timestamps=True,
        **{"beam_size": 1, **how},
    )
    return "".join(segment.text for segment in segments).strip()


def nearly_the_same(texts: list[str], others: list[str]) -> bool:
    """Whether texts agree in all but a few signs.

    The last bit of a feature differs between kinds of CPU, and with 8-bit weights that is enough for a comma, or
    for another ending where two were nearly as likely.
    """
    from rapidfuzz import fuzz

    return all(fuzz.ratio(one, other) >= 90 for one, other in zip(texts, others, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("beam_size", [1, 5])
def test_english_text_in_full_windows_is_that_of_the_direct_call(speech: Path, beam_size: int) -> None:
    extractor = Whisper(model="whisper-tiny.en", beam_size=beam_size)
    model = extractor.load()
    clips = [clip_from(speech / "en_US_f_Allison" / f"{prompt}.wav", "en-US") for prompt in PROMPTS]
    texts = [measurement.values["text"] for measurement in extractor.measure(model, clips)]
    assert nearly_the_same(texts, [direct(model, clip, "en", beam_size=beam_size) for clip in clips])
    assert texts[0].startswith("Goodbye")


@pytest.mark.slow
def test_languages_mix_in_a_batch_and_detection_is_recorded_beside_the_declared(
    speech: Path, load: Load
) -> None:
    model, extractor = load("whisper-base"), Whisper()
    clips = [clip_from(speech / voice / "vm-intro.wav", language) for voice, language in VOICES.items()]
    found = [measurement.values for measurement in extractor.measure(model, clips)]
    texts = [values["text"] for values in found]
    assert texts == [extractor.measure(model, [clip])[0].values["text"] for clip in clips]
    asked = [direct(model, clip, language[:2]) for clip, language in zip(clips, VOICES.values(), strict=True)]
    assert nearly_the_same(texts, asked)
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
    assert nearly_the_same([measurement.values["text"]], [direct(model, clip, None)])


@pytest.mark.slow
@pytest.mark.parametrize("windows", ["cut", "full"])
def test_text_does_not_depend_on_batch_or_order(speech: Path, load: Load, windows: Any) -> None:
    count = 24 if windows == "cut" else 8
    names = sorted(path for path in (speech / "en_US_f_Allison").glob("*.wav"))[:count]
    clips = [clip_from(path, "en") for path in names]
    texts = []
    for batch_s, order in ((10.0, 1), (60.0, -1), (400.0, 1)):
        how = Whisper(model="whisper-tiny.en", windows=windows, batch_s=batch_s)
        found = how.measure(load("whisper-tiny.en"), clips[::order])[::order]
        texts.append([measurement.values for measurement in found])
    assert texts[0] == texts[1] == texts[2]


@pytest.mark.slow
def test_a_clip_over_thirty_seconds_is_heard_to_its_end(speech: Path, load: Load) -> None:
    model, extractor = load("whisper-tiny.en"), Whisper(model="whisper-tiny.en")
    goodbye = clip_from(speech / "en_US_f_Allison" / "vm-goodbye.wav")
    congratulations = clip_from(speech / "en_US_f_Allison" / "demo-congrats.wav")
    clip = clip_of(np.concatenate([congratulations.samples, np.zeros(16_000, np.float32), goodbye.samples]))
    (measurement,) = extractor.measure(model, [clip])
    assert measurement.values["text"].startswith("Congratulations")
    assert measurement.values["text"].endswith(("Goodbye.", "Goodbye!"))


@pytest.mark.slow
def test_the_token_limit_shows_as_truncated(speech: Path, load: Load) -> None:
    clip = clip_from(speech / "en_US_f_Allison" / "vm-intro.wav")
    short = Whisper(model="whisper-tiny.en", max_new_tokens=8)
    (cut,) = short.measure(short.load(), [clip])
    (whole,) = Whisper(model="whisper-tiny.en").measure(load("whisper-tiny.en"), [clip])
    assert (cut.values["truncated"], whole.values["truncated"]) == (True, False)
    assert cut.values["tokens"] == 8 < whole.values["tokens"]


@pytest.mark.long
@pytest.mark.slow
def test_words_and_segments_lie_in_the_clip_and_say_its_text(speech: Path) -> None:
    how = Whisper(timestamps="words")
    model = how.load()
    clips = [clip_from(speech / voice / "vm-intro.wav", language) for voice, language in VOICES.items()]
    for clip, measurement in zip(clips, how.measure(model, clips), strict=True):
        words, segments = measurement.values["words"], measurement.values["segments"]
        assert "".join(word["word"] for word in words) == measurement.values["text"].replace(" ", "")
        assert " ".join(segment["text"] for segment in segments) == measurement.values["text"]
        times = [time for word in words for time in (word["start_s"], word["end_s"])]
        assert times == sorted(times)
        assert times[0] >= 0
        assert times[-1] <= clip.duration_s + 0.1


@pytest.mark.long
@pytest.mark.slow
def test_a_prompt_and_a_task_are_heeded(speech: Path, load: Load) -> None:
    clip = clip_from(speech / "it_IT_m_Carlo" / "vm-intro.wav", "it")
    translating = Whisper(task="translate")
    (measurement,) = translating.measure(translating.load(), [clip])
    (plain,) = Whisper().measure(load("whisper-base"), [clip])
    assert "message" in measurement.values["text"].lower()
    assert "messaggio" in plain.values["text"].lower()
    prompted = Whisper(model="whisper-tiny.en", initial_prompt="AGENT LOGGED OFF, IN CAPITALS")
    shout = clip_from(speech / "en_US_f_Allison" / "agent-loggedoff.wav")
    (loud,) = prompted.measure(prompted.load(), [shout])
    (usual,) = Whisper(model="whisper-tiny.en").measure(load("whisper-tiny.en"), [shout])
    assert loud.values["text"].lower() != loud.values["text"] != usual.values["text"]


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


@pytest.mark.long
def test_five_hundred_clips_give_the_same_rows_for_any_batch_order_and_streams(
    speech: Path, load: Load
) -> None:
    paths = sorted((speech / "en_US_f_Allison").rglob("*.wav"))[:500]
    clips = [clip_from(path, "en") for path in paths]
    assert len(clips) == 500
    found = []
    for batch_s, streams, step in ((120.0, 1, 1), (10.0, 2, -1), (600.0, 1, 7)):
        how = Whisper(model="whisper-tiny.en", windows="cut", batch_s=batch_s, streams=streams)
        model = how.load() if streams > 1 else load("whisper-tiny.en")
        order = [i for start in range(abs(step)) for i in range(start, len(clips), abs(step))][
            :: 1 if step > 0 else -1
        ]
        values = dict(zip(order, how.measure(model, [clips[i] for i in order]), strict=True))
        found.append([values[i].values for i in range(len(clips))])
    assert found[0] == found[1] == found[2]
