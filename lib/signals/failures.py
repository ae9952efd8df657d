"""Failures as values: what an extractor says of a clip that it could not measure.

    INTERVAL_OUTSIDE      final      the interval has no samples
    NOT_FINITE            final      samples are NaN or infinite
    UNSUPPORTED_LANGUAGE  final      the model does not know the declared language
    OUT_OF_MEMORY         transient  host or device
    MODEL_FAILED          transient  anything else that a framework raised

An unknown exception is transient on purpose: a broken driver fails every clip after it, and a row with
a final code would keep them unmeasured for ever, while a truly hopeless clip costs two more tries. For the
same reason a model that fails on nearly all of a chunk counts as broken, as does the store that gives none of
its audio, and the clips are not blamed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from speechlake.errors import ChunkFailed
from speechlake.signals.extractor import Measurement, Samples

# What is said of every clip by a device, driver or model that is broken, and by a store that refuses us.
NOT_OF_THE_CLIP = ("OUT_OF_MEMORY", "MODEL_FAILED", "TIME_OUT", "STORAGE")
# Fewer clips may well be bad themselves: a small corpus, or what earlier runs left.
FEWEST_OF_BROKEN = 8
# Of clips that were measured nevertheless: those before a device broke, or too short for the model to be asked.
MOST_MEASURED = 0.05

NO_MEMORY = ("out of memory", "bad_alloc", "failed to allocate", "cannot allocate")
MAX_DETAIL = 300


def no_samples() -> Measurement:
    """For an interval of no length."""
    return Measurement(error="INTERVAL_OUTSIDE", detail="the interval has no samples")


def unusable(samples: Samples) -> Measurement | None:
    """The error of samples that nothing can be measured of: none at all, or not finite; None for all others."""
    if len(samples) == 0:
        return no_samples()
    # A sum is finite only if all is: float64 cannot overflow from float32 values that are.
    if not math.isfinite(float(np.sum(samples, dtype=np.float64))):
        return Measurement(error="NOT_FINITE", detail="samples are NaN or infinite")
    return None


def failed(error: Exception) -> Measurement:
    """For an exception out of a framework: OUT_OF_MEMORY or MODEL_FAILED, both to be tried again."""
    said = f"{type(error).__name__}: {error}"
    full = isinstance(error, MemoryError) or any(words in said.lower() for words in NO_MEMORY)
    return Measurement(
        error="OUT_OF_MEMORY" if full else "MODEL_FAILED", detail=said[:MAX_DETAIL], transient=True
    )


def too_few(results: int, clips: int) -> Measurement:
    """For an extractor that did not answer for each clip: it would not another time either."""
    return Measurement(error="EXTRACTOR_FAILED", detail=f"{results} results for {clips} clips")


def too_slow(allowed_s: float) -> Measurement:
    """For a call that did not come back."""
    return Measurement(error="TIME_OUT", detail=f"no result in {allowed_s:.0f} s", transient=True)


def is_broken(failures: int, measured: int) -> bool:
    """Whether what failed on so many clips of a chunk, and measured so many, is itself to blame."""
    return failures >= FEWEST_OF_BROKEN and measured <= MOST_MEASURED * (failures + measured)


def chunk_failed(scope: str, broken: Sequence[str]) -> ChunkFailed:
    """What ends a run of which `broken` says what failed, and why."""
    return ChunkFailed(
        f"{scope}: nearly all clips of a chunk failed, {'; '.join(broken)}",
        hint="See that device, driver and model work, or take another --device; for STORAGE, that the audio can be "
        "read and is what was ingested. The clips are not blamed: the same command measures them.",
    )
