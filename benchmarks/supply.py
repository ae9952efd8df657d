"""How fast one process feeds a model: the engine over FLAC clips of 8 s, with a fake model that answers at once.

    make bench-supply
    make bench-supply ARGS='--clips 500 --readers 1,2'
    make bench-supply ARGS='--json build/bench/supply.json'

The time of the model is not measured, only what surrounds it: opening and hashing a file, decoding it in a child,
batching, and writing the row. Clips are at 16 kHz, so nothing is resampled, and the fake model never reads the
samples: fetching them from memory is part of a real model's features. Each number of readers (decode children) runs in a process of its own over
the same clips, after a few clips that start the children. A table prints the seconds, × real time of the process, and
milliseconds of CPU time per clip: of the process that owns the model, and of its decode children. The last column is
the CPU time of a fixed loop of Python, measured once a second meanwhile: compare runs only where it is alike.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from _machine import timed

from speechlake.audio.storage import stat_audio
from speechlake.signals.batching import Asked, Piece
from speechlake.signals.choice import ON_DEVICE
from speechlake.signals.cpu_time import cpu_seconds
from speechlake.signals.engine import measure
from speechlake.signals.extractor import RATE_HZ, Clip, Identity, Measurement
from speechlake.signals.plan import Wanted, wanted_of
from speechlake.signals.staged import staged_ddl

if TYPE_CHECKING:
    import pyarrow as pa

    Work = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]

CLIP_S = 8.0
# The window that Whisper cuts for a clip of 8 s (`whisper_windows.window_s`).
WINDOW_S = 12.0
# Rows of a record batch, as Spark sends them.
ROWS_PER_BATCH = 4096
# Clips per reader before the clock starts: more than are read ahead, so that every decode child runs.
WARM_CLIPS = 4


@dataclass(frozen=True)
class FakeWhisper:
    """Whisper's columns without Whisper: one window per clip, the same text for each, at once.

    `batch_s` and `streams` are the defaults of a device, where the model is so fast that feeding it matters.
    """

    name: ClassVar[str] = "whisper"
    version: ClassVar[str] = "fake"
    inputs: ClassVar[tuple[str, ...]] = ("language",)

    device: str = "cpu"
    batch_s: float = ON_DEVICE["batch_s"]
    streams: int = ON_DEVICE["streams"]
    seconds_per_second: float = 1.0

    def identity(self) -> Identity:
        """Returns an identity without weights."""
        return Identity(self.name, self.version)

    def load(self) -> Any:
        """Returns nothing that takes time."""
        return object()

    def ask(self, model: Any, clip: Clip) -> Asked:
        """Returns the whole clip as one piece."""
        return Asked([Piece(clip.samples, WINDOW_S, WINDOW_S)], transcribed)

    def decode(self, model: Any, pieces: Sequence[Piece]) -> Sequence[Any]:
        """Returns a text per piece."""
        return ["nine words that a speaker reads in eight seconds"] * len(pieces)

    def measure(self, model: Any, clips: Sequence[Clip]) -> list[Measurement]:
        """Never called: the engine batches."""
        raise NotImplementedError


def transcribed(texts: Sequence[str]) -> Measurement:
    """Returns a measurement with the columns that Whisper fills without timestamps."""
    return Measurement(
        {
            "text": texts[0],
            "text_sha256": "0" * 64,
            "language": "en",
            "language_probability": 1.0,
            "decoded_language": "en",
            "mean_log_probability": -0.25,
            "no_speech_probability": 0.0,
            "compression_ratio": 1.0,
            "tokens": 12,
            "tokens_per_second": 12 / CLIP_S,
            "truncated": False,
        }
    )


@dataclass(frozen=True)
class Supply:
    """One run. CPU times are milliseconds per clip; `loop_ms` is the median of a fixed loop meanwhile."""

    readers: int
    clips: int
    seconds: float
    times_real_time: float
    owner_cpu_ms: float
    children_cpu_ms: float
    loop_ms: float = 0.0


def main(argv: Sequence[str] | None = None) -> int:
    """Write the clips, run each number of readers, print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--clips", type=int, default=2000, help="clips of 8 s per run")
    parser.add_argument("--readers", default="1,2,4", help="numbers of decode children, separated by commas")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args(argv)
    counts = [int(count) for count in options.readers.split(",")]
    print(f"{options.clips} clips of {CLIP_S:.0f} s, FLAC, 16 kHz; {os.cpu_count()} CPUs", flush=True)
    print(
        "  readers  clips  seconds  x real time  CPU ms per clip: owner  decode children  loop ms", flush=True
    )
    runs = []
    with tempfile.TemporaryDirectory(prefix="supply-") as folder:
        write_clips(Path(folder), options.clips)
        for readers in counts:
            runs.append(run_of(folder, readers))
            print(line_of(runs[-1]), flush=True)
    if options.json is not None:
        figures = {"clip_s": CLIP_S, "cpus": os.cpu_count(), "runs": [asdict(run) for run in runs]}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def write_clips(folder: Path, count: int) -> None:
    """Write `count` FLAC files: a tone of each clip's own over faint noise, the same on every machine."""
    import soundfile

    times = np.arange(round(CLIP_S * RATE_HZ)) / RATE_HZ
    for number in range(count):
        noise = np.random.default_rng(number).normal(0, 0.005, len(times))
        tone = 0.3 * np.sin(2 * np.pi * (100 + number % 1000) * times)
        soundfile.write(folder / f"{number:06}.flac", tone + noise, RATE_HZ, subtype="PCM_16")


def run_of(folder: str, readers: int) -> Supply:
    """Measure in a fresh process, while this one times the loop."""
    found: list[Supply] = []
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        clock = timed(lambda: found.append(pool.submit(supply, folder, readers).result()))
    return Supply(**{**asdict(found[0]), "loop_ms": median(clock.loops_ms)})


def line_of(run: Supply) -> str:
    """Returns a line of the table."""
    return (
        f"  {run.readers:7} {run.clips:6} {run.seconds:8.2f} {run.times_real_time:12,.0f}"
        f" {run.owner_cpu_ms:23.2f} {run.children_cpu_ms:16.2f} {run.loop_ms:8.1f}"
    )


def supply(folder: str, readers: int) -> Supply:
    """Measure all clips of `folder` in this process, once its `readers` decode children run."""
    (wanted,) = wanted_of([FakeWhisper()])
    rows = [plan_row(folder, path.name, wanted) for path in sorted(Path(folder).glob("*.flac"))]
    work = measure([wanted], {"audio": folder}, arrow_schema(staged_ddl([wanted])), readers=readers)
    measured(work, rows[: WARM_CLIPS * readers], wanted)
    own, all_processes, started = own_cpu_seconds(), cpu_seconds(), time.monotonic()
    measured(work, rows, wanted)
    seconds = time.monotonic() - started
    own, all_processes = own_cpu_seconds() - own, cpu_seconds() - all_processes
    return Supply(
        readers=readers,
        clips=len(rows),
        seconds=seconds,
        times_real_time=len(rows) * CLIP_S / seconds,
        owner_cpu_ms=1000 * own / len(rows),
        children_cpu_ms=1000 * (all_processes - own) / len(rows),
    )


def measured(work: Work, rows: Sequence[Mapping[str, Any]], wanted: Wanted) -> None:
    """Run the engine over plan rows. SystemExit where a clip has no result."""
    import pyarrow as pa

    batches = [
        pa.RecordBatch.from_pylist(rows[start : start + ROWS_PER_BATCH])
        for start in range(0, len(rows), ROWS_PER_BATCH)
    ]
    results = [result for batch in work(iter(batches)) for result in batch.column(wanted.column)]
    errors = [result["error"].as_py() for result in results if result["error"].is_valid]
    if errors or len(results) != len(rows):
        raise SystemExit(f"{len(results)} results of {len(rows)} clips, {len(errors)} errors: {errors[:1]}")


def own_cpu_seconds() -> float:
    """Returns the CPU time of this process, all its threads, without its children."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def plan_row(folder: str, name: str, wanted: Wanted) -> dict[str, Any]:
    """Returns the row of a plan for a file that is one utterance."""
    size, key = stat_audio(folder, name)
    utterance = {
        "start_ms": 0,
        "utterance_id": name,
        "end_ms": None,
        "channel": "mix",
        "needs": [wanted.fingerprint],
        "inputs": {"language": "en"},
        "inputs_hashes": {wanted.name: "0" * 32},
    }
    return {
        "recording_id": name,
        "root": "audio",
        "path": name,
        "container": None,
        "byte_offset": None,
        "byte_length": None,
        "listing_key": key,
        "member": None,
        "size_bytes": size,
        "content_sha256": f"listing:{key}",
        "stretch": 0,
        "utterances": [utterance],
        "seconds": CLIP_S,
        "slot": 0,
    }


def arrow_schema(ddl: str) -> pa.Schema:
    """Returns the Arrow schema of a DDL string; Spark's own parser needs a session."""
    import pyarrow as pa

    return pa.schema([(name, arrow_type(kind)) for name, kind in fields_of(ddl, " ")])


def arrow_type(ddl: str) -> Any:
    """Returns the Arrow type of a Spark type."""
    import pyarrow as pa

    if ddl.startswith("array<"):
        return pa.list_(arrow_type(ddl[len("array<") : -1]))
    if ddl.startswith("struct<"):
        fields = fields_of(ddl[len("struct<") : -1], ":")
        return pa.struct([(name, arrow_type(kind)) for name, kind in fields])
    plain = {"bigint": pa.int64(), "int": pa.int32(), "double": pa.float64(), "boolean": pa.bool_()}
    return plain.get(ddl, pa.string())


def fields_of(ddl: str, between: str) -> Iterator[tuple[str, str]]:
    """Yield (name, type) of fields that are separated by commas outside of brackets."""
    depth, start = 0, 0
    for index, character in enumerate(f"{ddl},"):
        depth += (character == "<") - (character == ">")
        if character == "," and depth == 0:
            name, _, kind = ddl[start:index].strip().partition(between)
            yield name, kind
            start = index + 1


if __name__ == "__main__":
    sys.exit(main())
