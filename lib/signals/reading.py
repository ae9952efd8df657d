"""From a plan's recordings to clips: opened, hashed, decoded in a child, cut, brought to 16 kHz.

Reads ahead of whoever measures, on threads that each have a decode child of their own, within a bound on
what lies decoded and not yet taken.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from speechlake.signals.extractor import Clip, Measurement
from speechlake.signals.failures import failed

if TYPE_CHECKING:
    from speechlake.audio.decoder import Decoded, Decoder
    from speechlake.audio.storage import OpenAudio

# Decoded audio that waits to be measured, beyond the recording that is next: 256 MB.
MAX_AHEAD_BYTES = 256 << 20
# What a second of audio decodes to, at a guess: stereo float32 at 44.1 kHz, and mono at 16 kHz.
DECODED_BYTES_PER_S = 2 * 4 * 44_100 + 4 * 16_000

_pools: dict[int, ThreadPoolExecutor] = {}
_own = threading.local()


@dataclass(frozen=True)
class Heard:
    """A recording that was read: a clip, or why there is none, for each of its utterances.

    `content_sha256` is that of its bytes, or what the plan knew where they could not be read; `size_bytes` is
    null then.
    """

    recording: Mapping[str, Any]
    content_sha256: str
    size_bytes: int | None
    clips: Sequence[Clip | Measurement]

    @property
    def utterances(self) -> Sequence[Mapping[str, Any]]:
        """The utterances of the plan's row, in order."""
        utterances: Sequence[Mapping[str, Any]] = self.recording["utterances"]
        return utterances


def read_ahead(
    recordings: Iterator[Mapping[str, Any]], roots: Mapping[str, str], *, threads: int = 1
) -> Iterator[Heard]:
    """The recordings in order, the next ones being read meanwhile by `threads` decode children."""
    # Outlives the task: a decode child ends with the thread that started it.
    pool = _pools.setdefault(threads, ThreadPoolExecutor(threads))
    ahead: deque[tuple[Future[Heard], float]] = deque()
    held = 0.0
    for recording in recordings:
        size = float(recording["seconds"]) * DECODED_BYTES_PER_S
        while ahead and (len(ahead) > 2 * threads or held + size > MAX_AHEAD_BYTES):
            future, past = ahead.popleft()
            yield future.result()
            held -= past
        ahead.append((pool.submit(read, recording, roots), size))
        held += size
    while ahead:
        yield ahead.popleft()[0].result()


def read(recording: Mapping[str, Any], roots: Mapping[str, str]) -> Heard:
    """One recording; whatever is wrong with its audio becomes codes."""
    from speechlake.audio.errors import AudioError
    from speechlake.audio.storage import open_audio

    content, size = recording["content_sha256"], None
    try:
        place = recording["container"] or recording["path"]
        part = {name: recording[name] for name in ("byte_offset", "byte_length")}
        with open_audio(roots[recording["root"]], place, **part) as audio:
            content, size = _identified(audio, recording), audio.size_bytes
            decoded = decoder().decode(audio.fd)
        clips = _clips(decoded, recording["utterances"])
    except AudioError as error:
        clips = [_failed(error)] * len(recording["utterances"])
    except MemoryError as error:
        clips = [failed(error)] * len(recording["utterances"])
    return Heard(recording, content, size, clips)


def decoder() -> Decoder:
    """This thread's decode child."""
    from speechlake.audio.decoder import Decoder

    if not hasattr(_own, "decoder"):
        _own.decoder = Decoder()
    own: Decoder = _own.decoder
    return own


def _identified(audio: OpenAudio, recording: Mapping[str, Any]) -> str:
    """Hash of the bytes; AudioError (transient) when they are not what the plan saw."""
    from speechlake.audio.errors import AudioError

    if audio.listing_key != recording["listing_key"]:
        raise AudioError(
            "STORAGE", f"{audio.listing_key} was {recording['listing_key']} at the last ingest: list it again"
        )
    content, planned = audio.content_sha256(), str(recording["content_sha256"])
    if not planned.startswith("listing:") and planned != content:
        raise AudioError("STORAGE", "other bytes than before under the same listing key")
    return content


def _clips(decoded: Decoded, utterances: Sequence[Mapping[str, Any]]) -> list[Clip | Measurement]:
    """A clip per utterance; each channel is taken out of the recording once, however many want it."""
    from speechlake.audio.errors import AudioError
    from speechlake.audio.signal import select_channel

    channels: dict[str, Any] = {}
    clips: list[Clip | Measurement] = []
    for utterance in utterances:
        channel = utterance["channel"]
        try:
            if channel not in channels:
                channels[channel] = select_channel(decoded.samples, channel)
            clips.append(_clip(decoded, channels[channel], utterance))
        except AudioError as error:
            clips.append(_failed(error))
    return clips


def _clip(decoded: Decoded, channel: Any, utterance: Mapping[str, Any]) -> Clip:
    from speechlake.audio.signal import cut, to_16k

    rate = decoded.sample_rate_hz
    native = cut(channel, rate, utterance["start_ms"], utterance["end_ms"])
    return Clip(
        utterance_id=utterance["utterance_id"],
        native=native,
        native_rate_hz=rate,
        samples=to_16k(native, rate),
        container=decoded.container,
        codec=decoded.codec,
        channels=decoded.channels,
        recording_duration_s=decoded.duration_s,
        header_duration_s=decoded.header_duration_s,
        inputs=utterance["inputs"],
    )


def _failed(error: Any) -> Measurement:
    return Measurement(error=error.code, detail=error.detail, transient=error.transient)
