"""The look-ahead: pieces of many clips wait here, by key, until a batch is full; batches run on streams.

Only the thread that owns it touches its queues; streams are threads that run one batch each. A batch that
fails is halved until the piece that is to blame stands alone. Out of memory makes all later batches smaller,
waits for the other streams, and counts for a piece only where nothing else ran. Where recordings fail in a row, or
an error breaks the device's context, the model is probed; if the probe fails, DeviceFailed ends the worker.

On a CPU a batch that hangs is left behind with its model, and its pieces are tried one by one on another; where
several hang in a row, nothing more is tried. On a device no second model is opened beside the first: what waits is
left to another worker.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from speechlake.signals.batching import Asked, BatchExtractor, Piece
from speechlake.signals.device_time import DeviceTime
from speechlake.signals.extractor import RATE_HZ, Measurement
from speechlake.signals.failures import (
    FAILED_IN_A_ROW,
    breaks_context,
    device_failed,
    failed,
    is_of_the_model,
    not_tried,
    too_few,
    too_slow,
)

# 16 kHz samples that may wait for their batches, or run: 70 minutes, or as much as the batches that run at once and
# one more where those are larger. What runs is counted too: with less, any clip would be sent off alone.
MAX_BYTES = 256 << 20
BYTES_PER_S = 4 * RATE_HZ
# A model that hangs so often, and gives no result between, is not opened again: each time takes minutes.
MOST_HUNG = 3
# Added to what a batch may take: loading libraries, a busy machine.
GRACE_S = 120.0

Done = Callable[[Measurement], None]


@dataclass
class _Clip:
    """A clip whose pieces are under way."""

    asked: Asked
    done: Done
    outcomes: list[Any]
    left: int
    recording: Hashable = None


@dataclass
class _Waiting:
    clip: _Clip
    index: int
    piece: Piece


@dataclass
class _Batch:
    """Pieces that run together; `started` is set by the stream that takes it up, `alone` where no other batch ran."""

    waiting: list[_Waiting]
    started: float = 0.0
    alone: bool = False

    @property
    def seconds(self) -> float:
        return sum(w.piece.padded_s for w in self.waiting)


@dataclass
class Lookahead:
    """Pieces of `extractor`'s clips on their way through its model. `load` opens (another) model.

    `max_bytes` of samples may wait or run before batches run as they are; by default what keeps them whole.
    `probe` gives pieces that any sound model decodes; without it the model is never probed. `hung` is true once a
    batch did not come back from a device, `broken` once the probe failed: the process cannot be used any more. `alone` decodes each piece by itself,
    so that what fails again is known to be that piece's.
    """

    extractor: BatchExtractor
    load: Callable[[], Any]
    max_bytes: int = 0
    grace_s: float = GRACE_S
    device: DeviceTime = field(default_factory=DeviceTime)
    probe: Callable[[Any], Sequence[Piece]] | None = None
    held_bytes: int = 0
    hung: bool = False
    broken: bool = False
    alone: bool = False
    _queues: dict[Hashable, deque[_Waiting]] = field(default_factory=dict)
    _seconds: dict[Hashable, float] = field(default_factory=dict)
    _running: dict[Future[Sequence[Any]], _Batch] = field(default_factory=dict)
    _hung: int = 0
    _hopeless: Measurement | None = None
    _failing: set[Hashable] = field(default_factory=set)

    def __post_init__(self) -> None:
        # One batch more than streams runs or is about to.
        whole_s = (self.extractor.streams + 2) * self.extractor.batch_s
        self.max_bytes = self.max_bytes or max(MAX_BYTES, int(whole_s * BYTES_PER_S))
        self.model = self.load()
        self.batch_s = 0.0 if self.alone else self.extractor.batch_s
        self._pool = ThreadPoolExecutor(self.extractor.streams)

    def put(self, asked: Asked, done: Done, recording: Hashable = None) -> None:
        """Take a clip of `recording`; `done` is called with its measurement, now or later, by the owner's thread.

        Raises DeviceFailed where the model turns out to be broken.
        """
        clip = _Clip(asked, done, [None] * len(asked.pieces), len(asked.pieces), recording)
        if not asked.pieces:
            done(asked.finish([]))
        for index, piece in enumerate(asked.pieces):
            self._queue(_Waiting(clip, index, piece))
        self._collect(block=False)
        while self.held_bytes > self.max_bytes and self._fullest() is not None:
            self._dispatch(self._fullest())

    def flush(self) -> None:
        """Run all that waits, full batches or not."""
        while self._running or self._queues:
            if self._queues:
                self._dispatch(self._fullest())
            else:
                self._collect(block=True)

    def close(self) -> None:
        """Let go of the streams; what waits is forgotten."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _queue(self, waiting: _Waiting) -> None:
        key = waiting.piece.key
        self._queues.setdefault(key, deque()).append(waiting)
        self._seconds[key] = self._seconds.get(key, 0.0) + waiting.piece.padded_s
        self.held_bytes += waiting.piece.samples.nbytes
        if self._seconds[key] >= self.batch_s:
            self._dispatch(key)

    def _fullest(self) -> Hashable | None:
        return max(self._queues, key=lambda key: self._seconds[key], default=None)

    def _dispatch(self, key: Hashable) -> None:
        """Run one batch of `key`, when a stream is free for it or soon will be."""
        batch = _Batch([])
        queue = self._queues[key]
        while queue and (not batch.waiting or batch.seconds + queue[0].piece.padded_s <= self.batch_s):
            batch.waiting.append(queue.popleft())
        self._seconds[key] -= batch.seconds
        if not queue:
            del self._queues[key], self._seconds[key]
        self._run(batch)

    def _run(self, batch: _Batch) -> None:
        # One batch more than streams, so that none idles while the next is made.
        while len(self._running) > self.extractor.streams:
            self._collect(block=True)
        if self._hopeless is not None:
            self._let_go(batch)
            for waiting in batch.waiting:
                self._arrived(waiting, self._hopeless)
            return
        model, extractor, device = self.model, self.extractor, self.device
        pieces = [w.piece for w in batch.waiting]

        def work() -> Sequence[Any]:
            batch.started = time.monotonic()
            with device:
                return extractor.decode(model, pieces)

        batch.alone = not self._running
        for other in self._running.values():
            other.alone = False
        self._running[self._pool.submit(work)] = batch

    def _collect(self, *, block: bool) -> None:
        """Take what is ready; with `block` wait until at least one batch is, or hangs."""
        if not self._running:
            return
        ready, _ = wait(self._running, timeout=self._patience() if block else 0, return_when=FIRST_COMPLETED)
        if block and not ready:
            self._leave_what_hangs()
        # Taken out first: what arrives may run, and collect, other batches.
        for future, batch in [(future, self._running.pop(future)) for future in ready]:
            self._let_go(batch)
            error = future.exception()
            if error is not None:
                self._failed(batch, error)
            else:
                self._hung = 0
                self._take(batch, future.result())

    def _let_go(self, batch: _Batch) -> None:
        self.held_bytes -= sum(w.piece.samples.nbytes for w in batch.waiting)

    def _take(self, batch: _Batch, outcomes: Sequence[Any]) -> None:
        if len(outcomes) != len(batch.waiting):
            return self._apart(batch, too_few(len(outcomes), len(batch.waiting)))
        for waiting, outcome in zip(batch.waiting, outcomes, strict=True):
            self._arrived(waiting, outcome)
        return None

    def _arrived(self, waiting: _Waiting, outcome: Any) -> None:
        if isinstance(outcome, Piece):
            return self._queue(_Waiting(waiting.clip, waiting.index, outcome))
        clip = waiting.clip
        clip.outcomes[waiting.index] = outcome
        clip.left -= 1
        if clip.left == 0:
            bad = next((o for o in clip.outcomes if isinstance(o, Measurement)), None)
            result = bad if bad is not None else self._finished(clip)
            clip.done(result)
            self._judge(clip.recording, result)
        return None

    def _judge(self, recording: Hashable, result: Measurement) -> None:
        """Probe the model where several recordings in a row failed for reasons that may be the machine's."""
        if result.error is None:
            self._failing.clear()
        elif is_of_the_model(result) and not self.hung:
            self._failing.add(recording)
            if len(self._failing) >= FAILED_IN_A_ROW:
                self.require_alive(f"{result.error}, {result.detail}")
                self._failing.clear()

    def require_alive(self, reason: str) -> None:
        """Decode the probe; DeviceFailed with `reason` where that fails or hangs, or the model is given up already."""
        if self.probe is None:
            return
        if self._hopeless is not None:
            self.broken = True
            raise device_failed(reason)
        extractor, model = self.extractor, self.model
        pieces = self.probe(model)
        try:
            future = self._pool.submit(lambda: extractor.decode(model, pieces))
            seconds = sum(piece.padded_s for piece in pieces)
            future.result(timeout=self.grace_s + extractor.seconds_per_second * seconds)
        except Exception as error:
            self.broken = True
            raise device_failed(reason) from error

    def _finished(self, clip: _Clip) -> Measurement:
        try:
            return clip.asked.finish(clip.outcomes)
        except Exception as error:
            return failed(error)

    def _failed(self, batch: _Batch, error: BaseException) -> None:
        if not isinstance(error, Exception):
            raise error
        if breaks_context(error):
            self.require_alive(str(error))
        result = failed(error)
        if result.error == "OUT_OF_MEMORY":
            return self._smaller(batch, result)
        return self._apart(batch, result)

    def _smaller(self, batch: _Batch, alone: Measurement) -> None:
        """Lower the batch for the rest of the task, wait for the other streams, and run what did not fit again."""
        while self._running:
            self._collect(block=True)
        if len(batch.waiting) > 1:
            self.batch_s = min(self.batch_s, batch.seconds / 2)
            return self._apart(batch, alone)
        if batch.alone:
            return self._arrived(batch.waiting[0], alone)
        # Another stream may have held the memory: nothing runs now.
        self._again(batch.waiting)
        while self._running:
            self._collect(block=True)
        return None

    def _apart(self, batch: _Batch, alone: Measurement) -> None:
        """Run the halves of a batch; a piece that stands alone already gets `alone`."""
        if len(batch.waiting) == 1:
            return self._arrived(batch.waiting[0], alone)
        middle = len(batch.waiting) // 2
        for half in (batch.waiting[:middle], batch.waiting[middle:]):
            self._again(half)
        return None

    def _again(self, waiting: list[_Waiting]) -> None:
        self.held_bytes += sum(w.piece.samples.nbytes for w in waiting)
        self._run(_Batch(waiting))

    def _allowed_s(self, batch: _Batch) -> float:
        return self.grace_s + self.extractor.seconds_per_second * batch.seconds

    def _patience(self) -> float:
        """Seconds until the first running batch is overdue."""
        now = time.monotonic()
        left = [
            self._allowed_s(batch) - (now - batch.started if batch.started else 0.0)
            for batch in self._running.values()
        ]
        return max(0.0, min(left))

    def _leave_what_hangs(self) -> None:
        """Leave overdue batches to threads that nobody waits for; the rest goes on with another model, if not in vain."""
        now = time.monotonic()
        overdue = [
            future
            for future, batch in self._running.items()
            if batch.started and now - batch.started >= self._allowed_s(batch)
        ]
        if not overdue:
            return
        hanging = [self._running.pop(future) for future in overdue]
        # What had not begun waits in the pool behind the hanging one.
        stranded = [self._running.pop(future) for future in list(self._running) if future.cancel()]
        self._pool.shutdown(wait=False)
        self._hung += 1
        if self.extractor.device != "cpu":
            # The hanging model cannot be unloaded, and a second one beside it may not fit.
            self.hung = True
            self._hopeless = not_tried("a batch before it hung the device; another worker tries")
        elif self._hung < MOST_HUNG:
            self._pool = ThreadPoolExecutor(self.extractor.streams)
            self.model = self.load()
        else:
            self._hopeless = too_slow(self._allowed_s(hanging[0]))
        for batch in [*stranded, *hanging]:
            self._let_go(batch)
        for batch in stranded:
            self._again(batch.waiting)
        for batch in hanging:
            for waiting in batch.waiting:
                if self.hung or len(batch.waiting) == 1:
                    self._arrived(waiting, too_slow(self._allowed_s(batch)))
                else:
                    self._again([waiting])
