"""Batches of many clips: how an extractor that gains from them is asked.

Most extractors measure clip by clip. One whose model gains from batches says of each clip which pieces are
to be decoded; the engine gathers pieces of one key from many recordings and gives them back together.
Results must not depend on which pieces share a batch: that is what keys are for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from speechlake.signals.extractor import Clip, Extractor, Measurement, Samples


@dataclass(frozen=True)
class Piece:
    """A stretch of 16 kHz samples that is decoded in one go, with pieces of the same `key`.

    Keys are hashable; `padded_s` is what it costs: its length after padding, in seconds. `note` is the extractor's own.
    """

    samples: Samples
    key: Any
    padded_s: float
    note: Any = None


@dataclass(frozen=True)
class Asked:
    """What an extractor makes of a clip: pieces, and how their outcomes become its measurement."""

    pieces: Sequence[Piece]
    finish: Callable[[Sequence[Any]], Measurement]


@runtime_checkable
class BatchExtractor(Extractor, Protocol):
    """An extractor whose clips are measured together with those of other recordings.

    `device` is cpu or cuda; `batch_s` bounds the padded seconds of a batch, `streams` is how many batches run
    at once, and `seconds_per_second` the slowest honest rate: a batch that takes longer than that (and two
    minutes) hangs. None of them changes results.
    """

    @property
    def device(self) -> str: ...

    @property
    def batch_s(self) -> float: ...

    @property
    def streams(self) -> int: ...

    @property
    def seconds_per_second(self) -> float: ...

    def ask(self, model: Any, clip: Clip) -> Asked | Measurement:
        """The pieces of a clip, or its measurement where there is nothing to decode."""

    def decode(self, model: Any, pieces: Sequence[Piece]) -> Sequence[Any]:
        """One outcome per piece of one key, in order; a `Piece` as outcome is decoded in its place. May raise."""
