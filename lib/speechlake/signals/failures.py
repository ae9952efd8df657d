"""Failures as values: what an extractor says of a clip that it could not measure.

    INTERVAL_OUTSIDE      final      the interval has no samples
    NOT_FINITE            final      samples are NaN or infinite
    UNSUPPORTED_LANGUAGE  final      the model does not know the declared language
    OUT_OF_MEMORY         transient  host or device
    MODEL_FAILED          transient  anything else that a framework raised
    NOT_TRIED             transient  the worker ended before; never an attempt

An unknown exception is transient on purpose: a broken driver fails every clip after it, and a row with
a final code would keep them unmeasured for ever, while a truly hopeless clip costs two more tries. For the
same reason a model that fails on nearly all of a chunk counts as broken, as does the store that gives none of
its audio, and the clips are not blamed. Within a task, recordings that fail in a row have the engine probe the model; a
probe that fails, too, ends the worker (DeviceFailed). An attempt is written only of a failure that a second, fresh
worker confirmed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from speechlake.errors import ChunkFailed, DeviceFailed
from speechlake.signals.extractor import Measurement, Samples

# What is said of every clip by a device, driver or model that is broken, and by a store that refuses us.
NOT_OF_THE_CLIP = ("OUT_OF_MEMORY", "MODEL_FAILED", "TIME_OUT", "STORAGE")
# The codes among them that a model gives: where several recordings in a row have one, the model is probed.
OF_THE_MODEL = ("OUT_OF_MEMORY", "MODEL_FAILED", "TIME_OUT")
FAILED_IN_A_ROW = 4
NOT_TRIED = "NOT_TRIED"
# Words of errors after which a CUDA context stays broken for the life of the process (CUDA's and cuBLAS' names).
BROKEN_CONTEXT = (
    "illegal memory access",
    "illegal instruction",
    "misaligned address",
    "unspecified launch failure",
    "device-side assert",
    "uncorrectable ecc",
    "cublas_status_execution_failed",
    "cublas_status_internal_error",
    "cudnn_status_execution_failed",
)
# Fewer clips may well be bad themselves: a small corpus, or what earlier runs left.
FEWEST_OF_BROKEN = 8
# Of clips that were measured nevertheless: those before a device broke, or too short for the model to be asked.
MOST_MEASURED = 0.05

NO_MEMORY = (
    "out of memory",
    "bad_alloc",
    "failed to allocate",
    "cannot allocate",
    "alloc failed",
    "alloc_failed",
    # What cuBLAS answers where there is no memory for its own workspace.
    "cublas_status_not_initialized",
)
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


def breaks_context(error: BaseException) -> bool:
    """Whether an error leaves the CUDA context of this process broken, so that all later batches fail."""
    text = str(error).lower()
    return any(words in text for words in BROKEN_CONTEXT)


def is_of_the_model(result: Measurement) -> bool:
    """Whether a clip failed for a reason that may be the model's or the machine's."""
    return result.transient and result.error in OF_THE_MODEL


def not_tried(reason: str) -> Measurement:
    """For a clip that a worker leaves to another one."""
    return Measurement(error=NOT_TRIED, detail=reason[:MAX_DETAIL], transient=True)


def device_failed(reason: str) -> DeviceFailed:
    """What ends a worker whose device is broken, for `reason`. The message is one line: the driver finds it by that."""
    return DeviceFailed(
        f"the model fails on everything: {' '.join(reason.split())[:MAX_DETAIL]}",
        hint="Look at the device (nvidia-smi, dmesg) and run `speechlake doctor`, or use another --device. No clip is "
        "blamed: the same command measures what is missing.",
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
