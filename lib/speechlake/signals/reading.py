"""From a plan's recordings to clips: opened, hashed, decoded in a child, cut, brought to 16 kHz.

Reads ahead of whoever measures, on threads that each have a decode child of their own, within a bound on
what lies decoded and not yet taken.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from speechlake.signals.extractor import Clip, Measurement
from speechlake.signals.failures import failed

if TYPE_CHECKING:
    from speechlake.audio.decoder import Decoded, Decoder
    from speechlake.audio.storage import OpenAudio
    from speechlake.audio.stream import Stream

# Decoded audio that waits to be measured, beyond the recording that is next: 256 MB.
MAX_AHEAD_BYTES = 256 << 20
# What a second of audio decodes to, at a guess: stereo float32 at 44.1 kHz, and mono at 16 kHz.
DECODED_BYTES_PER_S = 2 * 4 * 44_100 + 4 * 16_000

# Clips shorter than this share of their recording are copied out of it. A view keeps all of it for as long as the
# clip waits for a batch, and what waits is counted by the samples one sees: so it is at most twice what is counted.
OWN_BELOW = 0.5

# Larger files, and intervals that end later, are decoded as a stream: 4 MB are 20 minutes of Opus or two of wav.
STREAMED_BYTES = 4 << 20
STREAMED_MS = 10 * 60 * 1000

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
    recordings: Iterator[Mapping[str, Any]],
    roots: Mapping[str, str],
    *,
    threads: int = 1,
    to_the_end: Collection[str] = (),
) -> Iterator[Heard]:
    """The recordings in order, the next ones being read meanwhile by `threads` decode children.

    `to_the_end` lists fingerprints that need to know how long a recording is; where none of them is needed, a
    long one is decoded only as far as its intervals go.
    """
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
        ahead.append((pool.submit(read, recording, roots, to_the_end), size))
        held += size
    while ahead:
        yield ahead.popleft()[0].result()


def read(recording: Mapping[str, Any], roots: Mapping[str, str], to_the_end: Collection[str] = ()) -> Heard:
    """One recording; whatever is wrong with its audio becomes codes."""
    from speechlake.audio.errors import AudioError
    from speechlake.audio.storage import open_audio

    content, size = recording["content_sha256"], None
    try:
        place = recording["container"] or recording["path"]
        part = {name: recording[name] for name in ("byte_offset", "byte_length")}
        with open_audio(roots[recording["root"]], place, **part) as audio:
            refuse_another_listing(audio, recording)
            content, size = identified(audio, recording), audio.size_bytes
            utterances = recording["utterances"]
            if is_long(size, utterances):
                needs = {need for utterance in utterances for need in utterance["needs"]}
                clips = _streamed(audio.fd, utterances, whole=not needs.isdisjoint(to_the_end))
            else:
                clips = _clips(decoder().decode(audio.fd), utterances)
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


def refuse_another_listing(audio: OpenAudio, recording: Mapping[str, Any]) -> None:
    """AudioError (transient) when the file is not the one that was listed."""
    from speechlake.audio.errors import AudioError

    if audio.listing_key != recording["listing_key"]:
        raise AudioError(
            "STORAGE", f"{audio.listing_key} was {recording['listing_key']} at the last ingest: list it again"
        )


def identified(audio: OpenAudio, recording: Mapping[str, Any]) -> str:
    """Hash of the bytes; AudioError (transient) when they are not what the plan saw."""
    from speechlake.audio.errors import AudioError

    content, planned = audio.content_sha256(), str(recording["content_sha256"])
    if not planned.startswith("listing:") and planned != content:
        raise AudioError("STORAGE", "other bytes than before under the same listing key")
    return content


def is_long(size_bytes: int, utterances: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a recording is decoded as a stream: judged by the plan and the file's size, not by its header."""
    ends = [utterance["end_ms"] for utterance in utterances if utterance["end_ms"] is not None]
    return size_bytes > STREAMED_BYTES or max(ends, default=0) > STREAMED_MS


def _clips(decoded: Decoded, utterances: Sequence[Mapping[str, Any]]) -> list[Clip | Measurement]:
    """A clip per utterance; each channel is taken out of the recording once, however many want it."""
    from speechlake.audio.errors import AudioError
    from speechlake.audio.signal import cut, select_channel

    channels: dict[str, Any] = {}
    found: list[Any] = []
    for utterance in utterances:
        channel = utterance["channel"]
        try:
            if channel not in channels:
                channels[channel] = select_channel(decoded.samples, channel)
            start, end = utterance["start_ms"], utterance["end_ms"]
            samples = cut(channels[channel], decoded.sample_rate_hz, start, end)
            short = len(samples) < OWN_BELOW * len(channels[channel])
            found.append(samples.copy() if short else samples)
        except AudioError as error:
            found.append(error)
    return _made(found, utterances, decoded, decoded.duration_s)


def _streamed(fd: int, utterances: Sequence[Mapping[str, Any]], *, whole: bool) -> list[Clip | Measurement]:
    """The same, of a recording that is never held whole; `whole`: it is decoded to its end, to know its length."""
    from speechlake.signals.slices import slices

    intervals = [(u["start_ms"], u["end_ms"], u["channel"]) for u in utterances]
    found: list[Any] = [None] * len(utterances)
    first_s = min(start for start, _, _ in intervals) / 1000
    with decoder().stream(fd, start_s=first_s) as stream:
        cuts = slices(stream, stream.sample_rate_hz, intervals, first_frame=stream.start_frame)
        for left, (index, samples) in zip(range(len(found) - 1, -1, -1), cuts, strict=False):
            found[index] = samples
            if left == 0 and not whole:
                break
        for _ in stream if whole else ():
            pass
    return _made(found, utterances, stream, stream.duration_s or math.nan)


def _made(
    found: Sequence[Any], utterances: Sequence[Mapping[str, Any]], source: Decoded | Stream, length_s: float
) -> list[Clip | Measurement]:
    """Clips of native samples, failures of AudioErrors."""
    from speechlake.audio.errors import AudioError
    from speechlake.audio.signal import to_16k

    return [
        _failed(native)
        if isinstance(native, AudioError)
        else Clip(
            utterance_id=utterance["utterance_id"],
            native=native,
            native_rate_hz=source.sample_rate_hz,
            samples=to_16k(native, source.sample_rate_hz),
            container=source.container,
            codec=source.codec,
            channels=source.channels,
            recording_duration_s=length_s,
            header_duration_s=source.header_duration_s,
            inputs=utterance["inputs"],
        )
        for native, utterance in zip(found, utterances, strict=True)
    ]


def _failed(error: Any) -> Measurement:
    return Measurement(error=error.code, detail=error.detail, transient=error.transient)
