"""From what Whisper said of stretches to the columns of `signals_whisper`; when it is asked again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from speechlake.ids import text_sha256
from speechlake.signals.extractor import Measurement
from speechlake.signals.whisper_windows import FULL_S
from speechlake.text.runaway import is_runaway

if TYPE_CHECKING:
    from speechlake.signals.whisper import Whisper
    from speechlake.signals.whisper_decoder import Transcription


def is_silence(one: Transcription, how: Whisper) -> bool:
    """Whisper's own rule: no speech is likely, and the text is not."""
    if how.no_speech_threshold is None or one.no_speech_probability <= how.no_speech_threshold:
        return False
    return how.log_prob_threshold is None or one.mean_log_probability <= how.log_prob_threshold


def needs_another_try(one: Transcription, how: Whisper, window_s: float) -> bool:
    """True for a runaway, and in a full window with temperatures left for an improbable text too."""
    if is_silence(one, how):
        return False
    if is_runaway(one.text.strip(), one.compression_ratio, one.truncated):
        return True
    improbable = how.log_prob_threshold is not None and one.mean_log_probability < how.log_prob_threshold
    return improbable and window_s == FULL_S and len(how.temperatures) > 1


def worth_keeping(tried: Sequence[Transcription]) -> Transcription:
    """The most probable of several that all failed, runaways last; as faster-whisper chooses."""
    return max(
        tried,
        key=lambda one: (
            not is_runaway(one.text.strip(), one.compression_ratio, one.truncated),
            one.mean_log_probability,
        ),
    )


def silent(duration_s: float, code: str | None) -> dict[str, Any]:
    """The columns of a clip too short to hold a frame."""
    return _columns([], duration_s) | {"decoded_language": code}


def measurement_of(
    heard: Sequence[Transcription], offsets_s: Sequence[float], duration_s: float, how: Whisper
) -> Measurement:
    """The measurement of a clip from its stretches in order; `offsets_s` is where each begins in the clip."""
    spoken = [one for one in heard if not is_silence(one, how)]
    # Stretches that were skipped as silence speak only where nothing else does.
    columns = _columns(spoken or [_emptied(one) for one in heard], duration_s)
    columns |= {"truncated": any(one.truncated for one in heard)}
    timed = [(one, at) for one, at in zip(heard, offsets_s, strict=True) if not is_silence(one, how)]
    if how.timestamps != "none":
        columns["segments"] = [
            {"start_s": round(said.start_s + at, 2), "end_s": round(said.end_s + at, 2), "text": said.text}
            for one, at in timed
            for said in one.segments or ()
        ]
    if how.timestamps == "words":
        columns["words"] = [
            {
                "start_s": round(word.start_s + at, 2),
                "end_s": round(word.end_s + at, 2),
                "word": word.text,
                "probability": word.probability,
            }
            for one, at in timed
            for word in one.words or ()
        ]
    return Measurement(columns)


def _emptied(one: Transcription) -> Transcription:
    from dataclasses import replace

    return replace(one, text="", tokens=0)


def _columns(heard: Sequence[Transcription], duration_s: float) -> dict[str, Any]:
    text = "".join(one.text for one in heard).strip()
    tokens = sum(one.tokens for one in heard)
    first = heard[0] if heard else None
    return {
        "text": text,
        "text_sha256": text_sha256(text),
        "language": first.detected if first else None,
        "language_probability": first.probability if first else None,
        "decoded_language": first.decoded_as if first else None,
        "mean_log_probability": _weighted([(one.mean_log_probability, one.tokens) for one in heard]),
        "no_speech_probability": max((one.no_speech_probability for one in heard), default=None),
        "compression_ratio": max((one.compression_ratio for one in heard if one.tokens), default=None),
        "tokens": tokens,
        "tokens_per_second": tokens / duration_s,
        "truncated": any(one.truncated for one in heard),
        "segments": None,
        "words": None,
    }


def _weighted(values: Sequence[tuple[float, int]]) -> float | None:
    """Mean by weight; None without any weight."""
    total = sum(weight for _, weight in values)
    return sum(value * weight for value, weight in values) / total if total else None
