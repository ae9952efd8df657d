"""When things were said: Whisper's own timestamps as segments, and words aligned by its attention.

A mode of its own, because asking for timestamps changes the text a little and costs a third more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from speechlake.signals.whisper_windows import FULL_S

if TYPE_CHECKING:
    from speechlake.signals.whisper_decoder import Decoder, Said, Transcription, Word

FRAMES_PER_SECOND = 100
# As faster-whisper's `transcribe` joins them to words by default.
PREPENDED = "\"'“¿([{-"
APPENDED = "\"'.。,，!！?？:：”)]}、"


def with_times(
    decoder: Decoder,
    heard: Sequence[Transcription],
    results: Sequence[Any],
    encoded: Any,
    lengths_s: Sequence[float],
    *,
    words: bool,
) -> list[Transcription]:
    """Add `segments`, and `words` where those are asked for, with times in seconds.

    Words carry the aligner's times as they are: none is shortened at the ends of sentences.
    """
    frames = [round(min(length, FULL_S) * FRAMES_PER_SECOND) for length in lengths_s]
    timed = [
        replace(one, segments=_segments(decoder, one, result.sequences_ids[0], count))
        for one, result, count in zip(heard, results, frames, strict=True)
    ]
    if not words:
        return timed
    aligned = _words(decoder, heard, results, encoded, frames)
    return [replace(one, words=own) for one, own in zip(timed, aligned, strict=True)]


def _segments(decoder: Decoder, one: Transcription, tokens: list[int], frames: int) -> list[Said]:
    """faster-whisper's own reading of timestamp tokens, for a stretch that begins at 0.

    That leaves a last segment without an end to its next window; here there is none, and the stretch ends it.
    """
    from speechlake.signals.whisper_decoder import Said

    tokenizer = decoder.tokenizer_of(one.decoded_as)
    spans, _, _ = decoder._split_segments_by_timestamps(
        tokenizer=tokenizer,
        tokens=tokens,
        time_offset=0.0,
        segment_size=frames,
        segment_duration=frames / FRAMES_PER_SECOND,
        seek=0,
    )
    rest = tokens[sum(len(span["tokens"]) for span in spans) :]
    if any(token < tokenizer.eot for token in rest):
        # It begins with the second of a pair of timestamps.
        start = (rest[0] - tokenizer.timestamp_begin) * decoder.time_precision
        spans.append({"start": start, "end": max(start, frames / FRAMES_PER_SECOND), "tokens": rest})
    said = [(tokenizer.decode(span["tokens"]).strip(), span) for span in spans]
    return [Said(text, float(span["start"]), float(span["end"])) for text, span in said if text]


def _words(
    decoder: Decoder,
    heard: Sequence[Transcription],
    results: Sequence[Any],
    encoded: Any,
    frames: Sequence[int],
) -> list[list[Word]]:
    """Words of each stretch. The aligner takes one language for a whole batch: once for each that occurs."""
    from faster_whisper.transcribe import merge_punctuations

    from speechlake.signals.whisper_decoder import Word

    found: list[list[Word]] = [[] for _ in heard]
    for code in sorted({one.decoded_as for one in heard}):
        tokenizer = decoder.tokenizer_of(code)
        texts = [[token for token in result.sequences_ids[0] if token < tokenizer.eot] for result in results]
        aligned = decoder.find_alignment(tokenizer, texts, encoded, list(frames))
        for i, alignment in enumerate(aligned):
            if heard[i].decoded_as == code:
                merge_punctuations(alignment, PREPENDED, APPENDED)
                found[i] = [
                    Word(word["word"].strip(), *(float(word[n]) for n in ("start", "end", "probability")))
                    for word in alignment
                    if word["word"].strip()
                ]
    return found
