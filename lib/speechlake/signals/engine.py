"""Measuring, inside one Spark task: read ahead, measure clip by clip, batch what gains from it, answer in order.

    read > decode in a child > cut > 16 kHz > extractors that measure singly
                                            > look-ahead by window > batches > streams of the model

Runs in Spark's Python workers (`mapInArrow`), or without Spark over any record batches. Rows carry
references in and results out, never samples. Models live in this module, so that each loads once per
worker process.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from speechlake.signals.batching import Asked, BatchExtractor, Piece
from speechlake.signals.cpu_time import cpu_seconds
from speechlake.signals.device_time import DeviceTime
from speechlake.signals.devices import device_count, free_memory, held_device
from speechlake.signals.extractor import RATE_HZ, Clip, Extractor, Measurement
from speechlake.signals.failures import failed
from speechlake.signals.lookahead import Lookahead
from speechlake.signals.plan import Wanted
from speechlake.signals.reading import Heard, read_ahead
from speechlake.signals.singly import Singly
from speechlake.signals.staged import filed, fresh_row

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_BATCH = 64
# Recordings that wait for a batch of one of their pieces; beyond it, batches run as they are.
MAX_WAITING = 4096

# How long a worker whose device hangs lives on after its task: until Spark has read its last rows.
LAST_WORDS_S = 5.0
# A second of faint noise: what any sound model decodes.
PROBE_S, PROBE_LEVEL = 1.0, 1e-3

# By what the weights are (else the fingerprint) and device: one copy, whatever windows and prompts use it.
_models: dict[tuple[Hashable, int], Any] = {}


def measure(
    wanted: Sequence[Wanted], roots: Mapping[str, str], schema: Any, *, readers: int = 1, alone: bool = False
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for `mapInArrow`: plan rows in, staged rows out, in order.

    `roots` maps a root's name to its present URI; `schema` is the Arrow schema of `staged_ddl`; `readers` is
    how many recordings are decoded at once; `alone` decodes each piece in a batch of its own. Raises DeviceFailed
    where the device is broken: Spark then runs the task again in another worker.
    """

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        recordings = (recording for batch in batches for recording in batch.to_pylist())
        # Only what the samples say of the whole recording needs its length.
        lengths = [each.fingerprint for each in wanted if each.name == "audio"]
        task = Task(wanted, alone=alone)
        try:
            for rows in task.rows(read_ahead(recordings, roots, threads=readers, to_the_end=lengths)):
                yield pa.RecordBatch.from_pylist(rows, schema)
        finally:
            task.close()

    return run


@dataclass
class _Recording:
    """The rows of a recording on their way; `left` results are still to come."""

    rows: list[dict[str, Any]]
    left: int = 0


@dataclass
class _Cost:
    """What was spent since it was last told; on the first row of what is yielded."""

    audio_s: float = 0.0
    bytes_read: int = 0
    model_loads: int = 0
    cpu_at_start: float = field(default_factory=cpu_seconds)

    def told(self, device_s: float) -> dict[str, Any]:
        now = cpu_seconds()
        said = {
            "cpu_s": now - self.cpu_at_start,
            "device_s": device_s,
            "bytes_read": self.bytes_read,
            "audio_s": self.audio_s,
            "model_loads": self.model_loads,
        }
        self.audio_s, self.bytes_read, self.model_loads, self.cpu_at_start = 0.0, 0, 0, now
        return said


class Task:
    """One partition of a chunk."""

    def __init__(self, wanted: Sequence[Wanted], *, alone: bool = False) -> None:
        self._wanted = wanted
        self._alone = alone
        self._cost = _Cost()
        self._device = DeviceTime()
        self._ways: dict[str, Singly | Lookahead] = {}
        self._held = ExitStack()
        self._device_index: int | None = None

    def rows(self, recordings: Iterator[Heard]) -> Iterator[list[dict[str, Any]]]:
        """Staged rows in the order of `recordings`, some at a time."""
        waiting: deque[_Recording] = deque()
        ready: list[dict[str, Any]] = []
        for heard in recordings:
            waiting.append(self._begin(heard))
            if len(waiting) > MAX_WAITING:
                self._flush()
            while waiting and waiting[0].left == 0:
                ready.extend(waiting.popleft().rows)
            if len(ready) >= ROWS_PER_BATCH:
                yield self._with_cost(ready)
                ready = []
        self._flush()
        ready.extend(row for recording in waiting for row in recording.rows)
        if ready:
            yield self._with_cost(ready)

    def close(self) -> None:
        """Let go of threads and of the device. A worker whose device hangs ends, and holds the device until then."""
        for way in self._ways.values():
            way.close()
        if any(isinstance(way, Lookahead) and way.hung for way in self._ways.values()):
            self._held.pop_all()
            if _in_spark_worker():
                timer = threading.Timer(LAST_WORDS_S, os._exit, (1,))
                timer.daemon = True
                timer.start()
            return
        for way in self._ways.values():
            # Another worker may take the device next, and would open its own copy beside this one. From a broken device
            # nothing can be moved: to try it would end the process before it has told what failed.
            if isinstance(way, Lookahead) and way.extractor.device != "cpu" and not way.broken:
                getattr(way.model, "release", lambda: None)()
        self._held.close()

    def _begin(self, heard: Heard) -> _Recording:
        """Measure what is measured singly, and send the rest on its way."""
        self._cost.bytes_read += heard.size_bytes or 0
        recording = _Recording(
            [
                fresh_row(heard.recording, utterance, heard.content_sha256, heard.size_bytes)
                for utterance in heard.utterances
            ]
        )
        for utterance, clip, row in zip(heard.utterances, heard.clips, recording.rows, strict=True):
            if isinstance(clip, Clip):
                self._cost.audio_s += clip.duration_s
            for each in self._wanted:
                if each.fingerprint in utterance["needs"]:
                    self._measure(each, utterance, clip, row, recording)
        return recording

    def _measure(
        self,
        each: Wanted,
        utterance: Mapping[str, Any],
        clip: Clip | Measurement,
        row: dict[str, Any],
        recording: _Recording,
    ) -> None:
        def done(result: Measurement) -> None:
            row[each.column] = filed(each, utterance, result)
            recording.left -= 1

        recording.left += 1
        if isinstance(clip, Measurement):
            return done(clip)
        own = replace(clip, inputs={name: utterance["inputs"][name] for name in each.extractor.inputs})
        way = self._way(each)
        if isinstance(way, Singly):
            return done(way.measure(own))
        try:
            asked = way.extractor.ask(way.model, own)
        except Exception as error:
            asked = failed(error)
        recording_id = row["recording_id"]
        return done(asked) if isinstance(asked, Measurement) else way.put(asked, done, recording_id)

    def _way(self, each: Wanted) -> Singly | Lookahead:
        key = each.fingerprint
        if key not in self._ways:
            self._ways[key] = (
                self._lookahead(each, each.extractor)
                if isinstance(each.extractor, BatchExtractor)
                else Singly(each.extractor, lambda: self._model(each, 0))
            )
        return self._ways[key]

    def _lookahead(self, each: Wanted, extractor: BatchExtractor) -> Lookahead:
        """Where a device is needed, it is held from the first clip to the end of the task."""
        if extractor.device == "cuda" and self._device_index is None:
            self._device_index = self._held.enter_context(held_device(device_count()))
        index = self._device_index or 0
        if extractor.device == "cuda":
            _unload_others(index)
            free = free_memory(index)
            if free is not None and hasattr(extractor, "fitted"):
                extractor = extractor.fitted(free)
        # A CPU's time is told as such.
        device = self._device if extractor.device == "cuda" else DeviceTime()
        load = lambda: self._model(each, index, extractor)  # noqa: E731
        return Lookahead(extractor, load, device=device, probe=_probe_of(extractor), alone=self._alone)

    def _model(self, each: Wanted, device_index: int, extractor: Extractor | None = None) -> Any:
        """This process's model; for the same task again, another one: the first hangs."""
        extractor = extractor or each.extractor
        key = (getattr(extractor, "model_key", each.fingerprint), device_index)
        if key not in _models or each.fingerprint in self._ways:
            _models[key] = extractor.load()
            self._cost.model_loads += each.identity.model_sha256 is not None
        model = _models[key]
        return model.bound_to(extractor) if hasattr(model, "bound_to") else model

    def _flush(self) -> None:
        for way in self._ways.values():
            if isinstance(way, Lookahead):
                way.flush()

    def _with_cost(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows[0]["cost"] = self._cost.told(self._device.taken())
        return rows


def _in_spark_worker() -> bool:
    from pyspark import TaskContext

    return TaskContext.get() is not None


def _unload_others(index: int) -> None:
    """Unload the models of other devices: a worker that changes device holds one at a time."""
    for key in [key for key in _models if key[1] != index]:
        model = _models.pop(key)
        if hasattr(model, "release"):
            model.release()


def _probe_of(extractor: BatchExtractor) -> Callable[[Any], Sequence[Piece]]:
    """Pieces of a clip that says nothing of any utterance; none where the extractor need not decode it."""

    def probe(model: Any) -> Sequence[Piece]:
        samples = np.random.default_rng(0).normal(0, PROBE_LEVEL, int(PROBE_S * RATE_HZ)).astype(np.float32)
        inputs = dict.fromkeys(extractor.inputs)
        clip = Clip("probe", samples, RATE_HZ, samples, "WAV", "FLOAT", 1, PROBE_S, None, inputs)
        asked = extractor.ask(model, clip)
        return asked.pieces if isinstance(asked, Asked) else ()

    return probe
