"""One recording heard once: its long utterances cut at voice activity, whatever their number.

Runs in Spark's Python workers. Neither samples nor features are kept: a block at a time, and four bytes
for every 32 ms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from speechlake.audio.errors import AudioError
from speechlake.audio.signal import sample_at, select_channel, span
from speechlake.ids import utterance_id
from speechlake.segments.cutting import cut_points, speech_ms
from speechlake.segments.segmenter import Segmenter
from speechlake.segments.voice import Probabilities, Samples, Voice

if TYPE_CHECKING:
    from speechlake.audio.stream import Stream


@dataclass
class Source:
    """A long utterance, or a whole file that may be one, and what was heard of it so far.

    `refuse`: it has a text that may not be discarded, so that only its length is asked for.
    """

    utterance_id: str
    recording_id: str
    channel: str
    start_ms: int
    end_ms: int | None
    refuse: bool
    refused: bool = False
    _voice: Voice | None = None
    _probabilities: Probabilities | None = None
    _held: list[Samples] = field(default_factory=list)
    _frames: int = 0
    _done: bool = False

    def hear(
        self, block: Samples, position: int, rate_hz: int, how: Segmenter, open_model: Callable[[], Any]
    ) -> None:
        """Take what is ours of a block at `position`; AudioError when it has no such channel."""
        start = sample_at(self.start_ms, rate_hz)
        end = math.inf if self.end_ms is None else sample_at(self.end_ms, rate_hz)
        first, behind = max(start, position), min(end, position + len(block))
        if self.done or first >= behind:
            self._done = self._done or position >= end
            return
        mine = select_channel(block[first - position : int(behind) - position], self.channel)
        self._frames += len(mine)
        self._done = behind == end
        # A model is opened, and samples are heard, only where there turn out to be enough of them.
        self._held.append(mine)
        if self.end_ms is None and self._frames <= how.longer_than_s * rate_hz:
            return
        if self.refuse:
            self.refused = True
            self._held = []
            return
        self._voice = self._voice or Voice(open_model(), rate_hz)
        for held in self._held:
            self._voice.hear(held)
        self._held = []
        if self._done:
            self._finish()

    def _finish(self) -> None:
        """Let go of the voice: it holds a megabyte, and a day of radio has thousands of sources."""
        if self._voice is not None:
            self._probabilities, self._voice = self._voice.finish(), None

    @property
    def done(self) -> bool:
        """True when nothing more of the recording is asked for."""
        return self.refused or self._done

    def result(self, rate_hz: int, length: int | None, how: Segmenter) -> dict[str, Any]:
        """What is staged of it; `length` of the recording, None where it was not heard to its end.

        AudioError when the interval is not in the recording.
        """
        if self.refused:
            return {"refused": True}
        if length is not None:
            span(length, rate_hz, self.start_ms, self.end_ms)
        duration_ms = 1000 * self._frames // rate_hz
        found: dict[str, Any] = {"duration_s": self._frames / rate_hz}
        self._finish()
        if self._probabilities is None:
            return found
        found["speech_s"] = speech_ms(self._probabilities, how) / 1000
        cuts = cut_points(self._probabilities, duration_ms, how)
        found["segments"] = [self._segment(*cut) for cut in cuts]
        return found

    def _segment(self, start_ms: int, end_ms: int) -> dict[str, Any]:
        start, end = self.start_ms + start_ms, self.start_ms + end_ms
        key = utterance_id(self.recording_id, self.channel, start, end)
        return {"utterance_id": key, "start_ms": start, "end_ms": end}


def heard(
    stream: Stream, sources: Sequence[Source], how: Segmenter, open_model: Callable[[], Any]
) -> list[dict[str, Any]]:
    """One result per source, in order; `error` in those of which the recording has no channel or interval.

    Reads no further than the last source needs. AudioError when the recording cannot be decoded.
    """
    errors: dict[int, AudioError] = {}
    rate_hz, position = stream.sample_rate_hz, stream.start_frame
    for block in stream:
        for n, source in enumerate(sources):
            if n not in errors:
                try:
                    source.hear(block, position, rate_hz, how, open_model)
                except AudioError as error:
                    errors[n] = error
        position += len(block)
        if all(n in errors or source.done for n, source in enumerate(sources)):
            break
    results: list[dict[str, Any]] = []
    for n, source in enumerate(sources):
        try:
            if n in errors:
                raise errors[n]
            results.append(source.result(rate_hz, stream.frames, how))
        except AudioError as error:
            results.append(failure(error))
    return results


def sources_of(recording: Mapping[str, Any]) -> list[Source]:
    """The sources of a row of the plan."""
    names = ("utterance_id", "channel", "start_ms", "end_ms", "refuse")
    return [
        Source(recording_id=recording["recording_id"], **{name: one[name] for name in names})
        for one in recording["sources"]
    ]


def failure(error: AudioError) -> dict[str, Any]:
    """What is staged where something is wrong."""
    return {"error": error.code, "detail": error.detail, "transient": error.transient}
