"""The look-ahead: batches of one key, halved where they fail, left behind where they hang."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest
from batch_fakes import InBatches

from speechlake.errors import DeviceFailed
from speechlake.signals import lookahead
from speechlake.signals.batching import Asked, BatchExtractor, Piece
from speechlake.signals.choice import ON_DEVICE
from speechlake.signals.extractor import RATE_HZ, Clip, Measurement
from speechlake.signals.failures import FAILED_IN_A_ROW
from speechlake.signals.lookahead import Lookahead


@dataclass(frozen=True)
class Echo(InBatches):
    """Gives back the notes of its pieces, unless a note tells it otherwise; writes down its batches."""

    name: ClassVar[str] = "echo"
    version: ClassVar[str] = "1"
    inputs: ClassVar[tuple[str, ...]] = ()

    batches: list[list[Any]] = field(default_factory=list)

    def load(self) -> Any:
        return threading.Event()

    def ask(self, model: Any, clip: Clip) -> Asked:
        raise NotImplementedError

    def decode(self, model: Any, pieces: Sequence[Piece]) -> Sequence[Any]:
        notes = [piece.note for piece in pieces]
        self.batches.append(notes)
        if "raises" in notes or ("large" in notes and len(notes) > 1):
            raise MemoryError("too much at once")
        if "few" in notes:
            return notes[1:]
        if "hangs" in notes:
            model.wait(30)
        return [
            Piece(p.samples, "again", p.padded_s, p.note.upper()) if p.note.startswith("again") else p.note
            for p in pieces
        ]


def piece(note: str, key: Any = 10, padded_s: float = 10.0) -> Piece:
    return Piece(np.zeros(100, np.float32), key, padded_s, note)


def run(extractor: Echo, *clips: Sequence[Piece], **settings: Any) -> list[Measurement]:
    """Measurements of clips, each given by its pieces; what their pieces gave, joined, is the text."""
    found: dict[int, Measurement] = {}
    ahead = Lookahead(extractor, extractor.load, **settings)
    for i, pieces in enumerate(clips):
        asked = Asked(pieces, lambda said: Measurement({"text": " ".join(said)}))
        ahead.put(asked, lambda result, i=i: found.__setitem__(i, result), i)
    ahead.flush()
    assert ahead.held_bytes == 0
    ahead.close()
    return [found[i] for i in range(len(clips))]


def texts(results: Sequence[Measurement]) -> list[str | None]:
    return [result.values.get("text", result.error) for result in results]


def test_an_extractor_that_batches_is_told_from_others_by_its_shape() -> None:
    assert isinstance(Echo(), BatchExtractor)


def test_pieces_of_one_key_share_batches_up_to_their_padded_seconds() -> None:
    echo = Echo()
    clips = [[piece(f"a{i}")] for i in range(5)] + [[piece("b", key=30, padded_s=30.0)]]
    assert texts(run(echo, *clips)) == ["a0", "a1", "a2", "a3", "a4", "b"]
    assert sorted(echo.batches) == [["a0", "a1", "a2", "a3"], ["a4"], ["b"]]


def test_a_clip_is_done_when_all_its_pieces_are_and_in_their_order() -> None:
    assert texts(run(Echo(), [piece("one"), piece("two", key=30), piece("three")])) == ["one two three"]


def test_a_clip_without_pieces_is_done_at_once() -> None:
    assert texts(run(Echo(), [])) == [""]


def test_a_piece_that_asks_again_is_decoded_under_its_new_key() -> None:
    echo = Echo()
    assert texts(run(echo, [piece("again1")], [piece("x")])) == ["AGAIN1", "x"]
    assert echo.batches == [["again1", "x"], ["AGAIN1"]]


def test_a_batch_that_fails_is_halved_until_the_one_to_blame_stands_alone() -> None:
    echo = Echo()
    results = run(echo, *[[piece(note)] for note in ("a", "b", "raises", "c")])
    assert texts(results) == ["a", "b", "OUT_OF_MEMORY", "c"]
    assert results[2].transient
    assert echo.batches == [
        ["a", "b", "raises", "c"],
        ["a", "b"],
        ["raises", "c"],
        ["raises"],
        ["c"],
        ["raises"],
    ]


def test_what_only_fails_in_company_gets_its_result_alone() -> None:
    assert texts(run(Echo(), [piece("large")], [piece("a")])) == ["large", "a"]


def test_too_few_results_are_the_fault_of_the_piece_that_gives_them_alone() -> None:
    results = run(Echo(), [piece("a")], [piece("few")], [piece("b")])
    assert texts(results) == ["a", "EXTRACTOR_FAILED", "b"]
    assert not results[1].transient


def test_a_failing_piece_fails_its_clip_and_no_other() -> None:
    results = run(Echo(), [piece("one"), piece("raises")], [piece("two")])
    assert texts(results) == ["OUT_OF_MEMORY", "two"]


def test_an_outcome_that_cannot_be_finished_is_a_failure_of_its_clip() -> None:
    found: list[Measurement] = []
    echo = Echo()
    ahead = Lookahead(echo, echo.load)
    ahead.put(Asked([piece("a")], lambda said: Measurement({"text": said[1]})), found.append)
    ahead.flush()
    assert (found[0].error, found[0].transient) == ("MODEL_FAILED", True)


@pytest.mark.parametrize("streams", [1, 3])
def test_a_batch_that_hangs_costs_its_piece_an_attempt_and_the_others_nothing(streams: int) -> None:
    started = time.monotonic()
    notes = ("a", "hangs", "b", "c", "d", "e", "f")
    results = run(Echo(streams=streams, batch_s=20.0), *[[piece(note)] for note in notes], grace_s=0.3)
    assert texts(results) == ["a", "TIME_OUT", "b", "c", "d", "e", "f"]
    assert results[1].transient
    assert time.monotonic() - started < 20


def test_beyond_its_bytes_batches_run_before_they_are_full() -> None:
    echo = Echo(batch_s=1000.0)
    run(echo, *[[piece(f"p{i}")] for i in range(6)], max_bytes=1200)  # a piece holds 400 bytes
    assert max(map(len, echo.batches)) <= 4
    assert len(echo.batches) >= 2


def test_streams_run_batches_at_the_same_time() -> None:
    together = threading.Barrier(2, timeout=20)

    class Meeting(Echo):
        def decode(self, model: Any, pieces: Sequence[Piece]) -> Sequence[Any]:
            together.wait()
            return [piece.note for piece in pieces]

    assert texts(run(Meeting(streams=2, batch_s=10.0), [piece("a")], [piece("b")])) == ["a", "b"]


def test_with_the_defaults_of_a_device_batches_are_sent_off_whole() -> None:
    class Slow(Echo):
        def decode(self, model: Any, pieces: Sequence[Piece]) -> Sequence[Any]:
            time.sleep(0.05)
            return super().decode(model, pieces)

    slow = Slow(**ON_DEVICE)
    clips = [[Piece(np.zeros(7 * RATE_HZ, np.float32), 10, 10.0, "a")] for _ in range(7 * 192)]
    run(slow, *clips)
    assert [len(batch) for batch in slow.batches] == [192] * 7


def test_a_model_that_hangs_again_and_again_is_given_up_and_what_waits_is_answered() -> None:
    loads: list[int] = []

    class Hanging(Echo):
        def load(self) -> Any:
            loads.append(1)
            return super().load()

    results = run(Hanging(), *[[piece("hangs")] for _ in range(12)], grace_s=0.1)
    assert texts(results) == ["TIME_OUT"] * 12
    assert all(result.transient for result in results)
    assert len(loads) == lookahead.MOST_HUNG


def test_time_outs_with_results_between_them_are_no_sign_of_a_broken_model() -> None:
    notes = ["hangs", "a", "b", "c"] * 4
    results = run(Echo(batch_s=10.0), *[[piece(note)] for note in notes], grace_s=0.1)
    assert texts(results) == ["TIME_OUT", "a", "b", "c"] * 4


@dataclass(frozen=True)
class Device(Echo):
    """A device with room for `most` pieces at once, over all streams; pieces named "hangs" never come back."""

    device: str = "cuda"
    batch_s: float = 80.0
    most: int = 3
    running: list[int] = field(default_factory=list)

    def decode(self, model: Any, pieces: Sequence[Piece]) -> Sequence[Any]:
        self.running.append(len(pieces))
        try:
            time.sleep(0.01)
            if sum(self.running) > self.most:
                raise RuntimeError("CUBLAS_STATUS_ALLOC_FAILED")
            if any(p.note.startswith("dead") for p in pieces):
                raise RuntimeError("CUDA failed with error an illegal memory access was encountered")
            return super().decode(model, pieces)
        finally:
            self.running.remove(len(pieces))


def test_lookahead_out_of_memory_lowers_the_batch_for_the_rest_of_the_task() -> None:
    """A batch of 8 does not fit, nor one of 4; once that is known, no larger one than 2 is tried."""
    device = Device()
    notes = [f"n{i}" for i in range(24)]
    assert texts(run(device, *[[piece(note)] for note in notes])) == notes
    sizes = [len(batch) for batch in device.batches]
    assert max(sizes) <= 3
    assert sum(sizes) == 24


def test_lookahead_out_of_memory_alone_is_tried_without_other_streams() -> None:
    """A single clip for which there was no room beside the other streams is decoded once they are done."""
    notes = [f"n{i}" for i in range(8)]
    device = Device(streams=3, batch_s=10.0, most=1)
    assert texts(run(device, *[[piece(note)] for note in notes])) == notes


def test_lookahead_out_of_memory_of_a_clip_alone_is_its_failure() -> None:
    """Where a clip fails with nothing else on the device, it counts."""
    (result,) = run(Device(most=0), [piece("n")])
    assert (result.error, result.transient) == ("OUT_OF_MEMORY", True)


def test_lookahead_hang_on_a_device_opens_no_second_model() -> None:
    """The batch that hangs times out; what waits is left to another worker."""
    loads: list[int] = []
    device = Device(batch_s=20.0, most=9)
    found: dict[str, str | None] = {}
    ahead = Lookahead(device, lambda: loads.append(1) or threading.Event(), grace_s=0.2)
    for note in ("a", "b", "hangs", "d", "e", "f"):
        asked = Asked([piece(note)], lambda outcomes: Measurement({"text": outcomes[0]}))
        ahead.put(asked, lambda result, note=note: found.__setitem__(note, result.error), note)
    ahead.flush()
    ahead.close()
    assert (len(loads), ahead.hung) == (1, True)
    codes = {"hangs": "TIME_OUT", "d": "TIME_OUT", "e": "NOT_TRIED", "f": "NOT_TRIED"}
    assert found == {"a": None, "b": None, **codes}


def test_lookahead_broken_context_raises_at_the_first_failure() -> None:
    """An error that breaks the context has the model probed; the probe fails, too."""
    with pytest.raises(DeviceFailed, match="illegal memory access"):
        run(Device(), [piece("dead")], probe=lambda model: [piece("dead")])


def test_lookahead_failures_in_a_row_raise_where_the_probe_fails() -> None:
    """Errors of no known words: four recordings in a row, no success between, and the probe fails."""
    clips = [[piece("raises")] for _ in range(FAILED_IN_A_ROW)]
    with pytest.raises(DeviceFailed, match="too much at once"):
        run(Echo(batch_s=10.0), *clips, probe=lambda model: [piece("raises")])


def test_lookahead_failures_in_a_row_are_the_clips_own_where_the_probe_decodes() -> None:
    """A row of bad clips on a sound device: each gets its error."""
    clips = [[piece("raises")] for _ in range(FAILED_IN_A_ROW + 1)]
    results = run(Echo(batch_s=10.0), *clips, [piece("well")], probe=lambda model: [piece("fine")])
    assert [result.error for result in results] == ["OUT_OF_MEMORY"] * (FAILED_IN_A_ROW + 1) + [None]
