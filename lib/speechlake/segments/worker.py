"""Segmenting inside Spark: recordings of a plan in, one staged row per long utterance out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from speechlake.audio.errors import AudioError
from speechlake.errors import SpeechlakeError
from speechlake.segments.recording import Source, failure, heard, sources_of
from speechlake.segments.segmenter import Segmenter
from speechlake.signals.cpu_time import cpu_seconds
from speechlake.signals.reading import decoder, identified, refuse_another_listing

if TYPE_CHECKING:
    import pyarrow as pa

    from speechlake.audio.storage import OpenAudio

SEGMENTS_DDL = "array<struct<utterance_id:string,start_ms:bigint,end_ms:bigint>>"
STAGED_DDL = (
    "utterance_id string, recording_id string, channel string, listing_key string, content_sha256 string, "
    f"size_bytes bigint, duration_s double, speech_s double, segments {SEGMENTS_DDL}, error string, "
    "detail string, transient boolean, refused boolean, cpu_s double, bytes_read bigint, audio_s double"
)


def segmented(
    how: Segmenter, roots: Mapping[str, str], schema: Any
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for `mapInArrow`: rows of the plan in, rows of STAGED_DDL (`schema`) out, in order."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            for recording in batch.to_pylist():
                yield pa.RecordBatch.from_pylist(segment_recording(recording, how, roots), schema)

    return run


def segment_recording(
    recording: Mapping[str, Any], how: Segmenter, roots: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The staged rows of one recording; whatever goes wrong becomes codes in them."""
    from speechlake.audio.storage import open_audio

    cpu_at_start, sources = cpu_seconds(), sources_of(recording)
    content, size, results = recording["content_sha256"], None, []
    try:
        place = recording["container"] or recording["path"]
        part = {name: recording[name] for name in ("byte_offset", "byte_length")}
        with open_audio(roots[recording["root"]], place, **part) as audio:
            refuse_another_listing(audio, recording)
            size = audio.size_bytes
            # What is refused is not written: only its beginning is read, and its bytes need no name.
            peeks = all(source.refuse for source in sources)
            content = content if peeks else identified(audio, recording)
            results = _heard(audio, sources, how, rehearsed=not peeks)
            if peeks and not all(result.get("refused") for result in results):
                content = identified(audio, recording)
    except AudioError as error:
        results = [failure(error)] * len(sources)
    rows = [
        {"transient": False, "refused": False, **result}
        | {name: getattr(source, name) for name in ("utterance_id", "recording_id", "channel")}
        | {"listing_key": recording["listing_key"], "content_sha256": content, "size_bytes": size}
        for source, result in zip(sources, results, strict=True)
    ]
    rows[0] |= {
        "cpu_s": cpu_seconds() - cpu_at_start,
        "bytes_read": size or 0,
        "audio_s": max((row.get("duration_s") or 0.0 for row in rows), default=0.0),
    }
    return rows


def _heard(
    audio: OpenAudio, sources: Sequence[Source], how: Segmenter, *, rehearsed: bool
) -> list[dict[str, Any]]:
    from speechlake.segments.voice import open_voice_model
    from speechlake.signals.failures import failed

    first_ms = min(source.start_ms for source in sources)
    try:
        with decoder().stream(audio.fd, start_s=first_ms / 1000, rehearsed=rehearsed) as stream:
            return heard(stream, sources, how, open_voice_model)
    except (AudioError, SpeechlakeError):
        raise
    except Exception as error:  # out of the model's framework
        told = failed(error)
        return [{"error": told.error, "detail": told.detail, "transient": True}] * len(sources)
