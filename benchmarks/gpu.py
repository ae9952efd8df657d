"""Whisper on an accelerator, without Spark, Java or a network: how fast, how exact, and what happens when it breaks.

    make bench-gpu                                  the accelerator if CTranslate2 sees one, else the CPU
    make bench-gpu ARGS='--sections grid,naive'     some of the sections
    make bench-gpu ARGS='--device cpu --quick'      a few clips, in half a minute

For a machine that is lent and bare, `scripts/pack_gpu_bench.sh` packs this file with all that it needs. Speech is a
folder with `texts.tsv`, lines of file<TAB>text, or the prompts that set-up fetched. Audio is decoded before any clock
starts. Each section prints its figures as it ends, and all go to one JSON file; a section that fails is an `error` in
it, and the exit code is 1 then. `skipped` is no error.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import numpy as np

from speechlake.audio.signal import to_16k
from speechlake.errors import DeviceFailed
from speechlake.models.registry import resolve
from speechlake.signals.batching import Piece
from speechlake.signals.devices import card_uuid, device_count, free_memory, held_device, preload_cublas
from speechlake.signals.engine import Task
from speechlake.signals.extractor import RATE_HZ, Clip, Measurement
from speechlake.signals.lookahead import Lookahead
from speechlake.signals.plan import Wanted
from speechlake.signals.reading import Heard
from speechlake.signals.whisper import COMPUTE_TYPES, Whisper
from speechlake.signals.whisper_memory import POSITIONS, TOKENS, WINDOW_S, dimensions_of, fitting

Figures = dict[str, Any]

SPEECH = Path("build/speech")
TEXTS = "texts.tsv"
# Of speech, where --seconds does not say it.
SECONDS = {"cuda": 1800.0, "cpu": 120.0}
QUICK_S = 30.0
# A shortest cut window, by which batches are counted where windows are cut.
CUT_S = 10.0
# The direct call, greedy, as cheap as it gets.
CHEAPEST = {
    "beam_size": 1,
    "temperature": 0.0,
    "condition_on_previous_text": False,
    "without_timestamps": True,
}
DIFFERENT_SHOWN = 5
SAMPLE_EVERY_S = 0.05
FULL_MEMORY = "CUDA out of memory. Tried to allocate more than this drill allows"
ILLEGAL_ACCESS = "CUDA error: an illegal memory access was encountered"
# Large v3: its layers, width, mels, and tokens of which those after 50,256 have a meaning.
LARGE = {"layers": 32, "width": 1280, "mels": 128}
SMALL = {"layers": 4, "width": 384, "mels": 128}
VOCABULARY, END, START = 51866, 50257, 50258
SPECIAL = {END: "<|endoftext|>", START: "<|startoftranscript|>", 50259: "<|en|>", 50360: "<|transcribe|>"}
SPECIAL |= {50363: "<|nospeech|>", 50364: "<|notimestamps|>"}
PROMPT = (START, 50259, 50360, 50364)


def stub_what_is_missing() -> None:
    """Put empty modules in the place of PyAV and PySpark where they are not installed.

    faster-whisper imports PyAV, 100 MB with its libraries, to open files: here it gets samples. The engine has PySpark
    tell whether it runs in a task of Spark: here it never does.
    """
    if importlib.util.find_spec("av") is None:
        sys.modules["av"] = ModuleType("av")
    if importlib.util.find_spec("pyspark") is None:
        stub = ModuleType("pyspark")
        stub.TaskContext = SimpleNamespace(get=lambda: None)  # type: ignore[attr-defined]
        sys.modules["pyspark"] = stub


# Here, so that children, which import this file anew, have them too.
stub_what_is_missing()


@dataclass(frozen=True)
class Setting:
    """What every section is given: device, model, and clips with what they say; `found` are the figures so far."""

    device: str
    model: str
    quick: bool
    clips: Sequence[Clip]
    texts: Sequence[str]
    found: Mapping[str, Figures] = field(default_factory=dict)

    @property
    def on_card(self) -> bool:
        """Whether an accelerator is measured."""
        return self.device == "cuda"

    @property
    def window_s(self) -> float:
        """Seconds of the window by which batches are counted: full ones on a card, cut ones on a CPU."""
        return WINDOW_S if self.on_card else CUT_S

    @property
    def audio_s(self) -> float:
        """Seconds of all clips."""
        return sum(clip.duration_s for clip in self.clips)

    def whisper(self, windows: int, streams: int = 1) -> Whisper:
        """Return the extractor with batches of that many windows."""
        return Whisper(**self.whisper_fields(windows, streams))

    def whisper_fields(self, windows: int, streams: int) -> dict[str, Any]:
        """Return the fields of that extractor."""
        return {
            "model": self.model,
            "device": self.device,
            "windows": "full" if self.on_card else "cut",
            "batch_s": windows * self.window_s,
            "streams": streams,
        }


@dataclass(frozen=True)
class Hooked(Whisper):
    """Whisper with a hook before each batch, and `notes`: when it was loaded, and which errors batches raised."""

    before: Callable[[int], None] = field(default=lambda pieces: None, compare=False)
    notes: dict[str, Any] = field(default_factory=lambda: {"errors": []}, compare=False)

    def load(self) -> Any:
        """Open the model; the engine does so once it holds the device."""
        self.notes["held"] = time.monotonic()
        model = super().load()
        self.notes["loaded"] = time.monotonic()
        return model

    def decode(self, model: Any, pieces: Sequence[Piece]) -> Any:
        """Call the hook, which may raise, then decode."""
        try:
            self.before(len(pieces))
            return super().decode(model, pieces)
        except Exception as error:
            self.notes["errors"].append(first_line(error))
            raise


class Gauge:
    """Samples the device while something runs: mean utilisation and peak memory; on a CPU the process's own memory."""

    def __init__(self, device: str) -> None:
        self._card = Card() if device == "cuda" else None
        self._used: list[float] = []
        self._bytes: list[int] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Gauge:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._ended.set()
        self._thread.join()

    def figures(self) -> Figures:
        """Return what was sampled: percent, and MB; null where nothing tells."""
        return {
            "utilisation": round(float(np.mean(self._used)), 1) if self._used else None,
            "peak_mb": round(max(self._bytes) / 1e6) if self._bytes and self._card else None,
            "peak_rss_mb": round(max(self._bytes) / 1e6) if self._bytes and not self._card else None,
        }

    def _sample(self) -> None:
        while True:
            if self._card is None:
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                self._bytes.append(pages * os.sysconf("SC_PAGE_SIZE"))
            elif (found := self._card.sample()) is not None:
                self._used.append(found[0])
                self._bytes.append(found[1])
            if self._ended.wait(SAMPLE_EVERY_S):
                return


class Card:
    """The first card, as NVIDIA's management library sees it: nvidia-smi takes a second to answer once."""

    def __init__(self) -> None:
        self._handle = ctypes.c_void_p()
        self._library: Any = None
        uuid = f"GPU-{card_uuid(0)}".encode()
        with suppress(OSError):
            library = ctypes.CDLL("libnvidia-ml.so.1")
            if (
                library.nvmlInit_v2() == 0
                and library.nvmlDeviceGetHandleByUUID(uuid, ctypes.byref(self._handle)) == 0
            ):
                self._library = library

    def sample(self) -> tuple[float, int] | None:
        """Return (percent of time in which a kernel ran, bytes in use); None where the library does not tell."""
        rates, memory = (ctypes.c_uint * 2)(), (ctypes.c_ulonglong * 3)()
        if self._library is None:
            return None
        failed = self._library.nvmlDeviceGetUtilizationRates(
            self._handle, ctypes.byref(rates)
        ) or self._library.nvmlDeviceGetMemoryInfo(self._handle, ctypes.byref(memory))
        # Utilisation of the card, of its memory; memory in all, free, in use.
        return None if failed else (float(rates[0]), int(memory[2]))


def machine(setting: Setting) -> Figures:
    """What it runs on."""
    cpus = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    packages = ("ctranslate2", "torch", "faster-whisper", "numpy")
    versions = {package: version_of(package) for package in packages}
    asked = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    card: list[str | None] = [None, None, None]
    with suppress(OSError, subprocess.SubprocessError):
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout
        card = [*answer.splitlines()[0].split(", ")] if setting.on_card else card
    return {
        "device": setting.device,
        "card": card[0],
        "driver": card[1],
        "card_memory": card[2],
        "cpu": cpus[0] if cpus else platform.processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "versions": versions,
        "model": setting.model,
        "model_mb": round(setting.whisper(1).weights_bytes / 1e6, 1),
        "compute_type": COMPUTE_TYPES[setting.device],
        "windows": setting.whisper(1).windows,
        "clips": len(setting.clips),
        "audio_s": round(setting.audio_s, 1),
    }


def features(setting: Setting) -> Figures:
    """Log-mel features of a window: by torch on the device, and by NumPy."""
    if importlib.util.find_spec("torch") is None:
        return {"skipped": "torch is not installed"}
    import torch
    from faster_whisper.feature_extractor import FeatureExtractor

    from speechlake.signals.whisper_features import numpy_features, torch_features

    extractor, most = FeatureExtractor(), 16 if setting.on_card else 4
    samples = [clip.samples for clip in setting.clips[: most if setting.quick else 8 * most]]
    batches = [samples[start : start + most] for start in range(0, len(samples), most)]

    def by_torch(batch: Sequence[Any]) -> Any:
        return torch_features(batch, setting.window_s, extractor, setting.device)

    def by_numpy(batch: Sequence[Any]) -> Any:
        return numpy_features(batch, setting.window_s, extractor)

    # Compared first, which also warms both.
    difference = max(
        float(np.abs(by_torch(batch).cpu().numpy() - by_numpy(batch)).max()) for batch in batches
    )
    torch_s, numpy_s = (
        seconds_of(lambda way=way: [way(batch) for batch in batches]) / len(samples)  # type: ignore[misc]
        for way in (by_torch, by_numpy)
    )
    return {
        "clips": len(samples),
        "window_s": setting.window_s,
        "torch_ms_per_clip": round(1000 * torch_s, 3),
        "numpy_ms_per_clip": round(1000 * numpy_s, 3),
        "ratio": round(numpy_s / torch_s, 2),
        "largest_difference": difference,
        "torch_threads": torch.get_num_threads(),
    }


def grid(setting: Setting) -> Figures:
    """Streams x windows of a batch: how fast, how busy the device, how much memory; then the best with cut windows."""
    streams: Sequence[int] = (1, 2, 4, 6) if setting.on_card else (1, 2)
    windows: Sequence[int] = (16, 32, 64, 128) if setting.on_card else (1, 4, 16)
    if setting.quick:
        streams, windows = streams[:2], windows[1:2]
    cells: list[Figures] = []
    for count in streams:
        model = opened(setting.whisper(windows[0], count), setting)
        # Growing, because the memory of smaller batches is kept for the larger.
        for size in windows:
            cells.append(cell_of(setting, setting.whisper(size, count), model, size))
        let_go(model, setting)
    best = max(cells, key=lambda cell: cell["times_real_time"])
    figures = {"cells": cells, "best_times_real_time": best["times_real_time"]}
    if setting.on_card:
        how = replace(setting.whisper(best["batch_windows"], best["streams"]), windows="cut")
        model = opened(how, setting)
        figures["best_in_cut_windows"] = cell_of(setting, how, model, best["batch_windows"])
        let_go(model, setting)
    return figures


def cell_of(setting: Setting, how: Whisper, model: Any, windows: int) -> Figures:
    """Return the figures of all clips measured as `how`."""
    with Gauge(setting.device) as gauge:
        seconds = seconds_of(lambda: how.measure(model, setting.clips))
    speed = {
        "seconds": round(seconds, 3),
        "times_real_time": round(setting.audio_s / seconds, 1),
        "windows_per_s": round(len(setting.clips) / seconds, 1),
    }
    batch = {"streams": how.streams, "batch_windows": windows, "batch_s": how.batch_s}
    return batch | speed | gauge.figures()


def accuracy(setting: Setting) -> Figures:
    """Word errors against the texts, and whether texts depend on the batch: on a CPU they must not."""
    model = opened(setting.whisper(64), setting)
    texts = {size: measured(setting.whisper(size), model, setting.clips) for size in (1, 16, 64)}
    let_go(model, setting)
    batches, examples = [], []
    for size, own in texts.items():
        errors, words = word_errors(setting.texts, own)
        differ = [n for n, (a, b) in enumerate(zip(texts[1], own, strict=True)) if a != b]
        batches.append(
            {
                "batch_windows": size,
                "word_error_rate": round(errors / words, 4),
                "errors": errors,
                "words": words,
                "clips_that_differ": len(differ),
            }
        )
        examples += [
            {
                "batch_windows": size,
                "clip": setting.clips[n].utterance_id,
                "alone": texts[1][n],
                "text": own[n],
            }
            for n in differ[:DIFFERENT_SHOWN]
        ]
    figures: Figures = {"batches": batches, "examples": examples}
    if examples and not setting.on_card:
        figures["error"] = "texts depend on the batch on a CPU"
    return figures


def word_errors(references: Sequence[str], texts: Sequence[str]) -> tuple[int, int]:
    """Return (errors, words of the references), both sides normalised."""
    from speechlake.text.alignment import edit_counts
    from speechlake.text.normalisers import normaliser_for

    normalise = normaliser_for("en").normalise
    counts = [
        edit_counts(normalise(reference).split(), normalise(text).split())
        for reference, text in zip(references, texts, strict=True)
    ]
    return sum(count.errors for count in counts), sum(count.reference_length for count in counts)


def out_of_memory(setting: Setting) -> Figures:
    """Too little memory for a batch: the engine lowers the batch, and every clip has the text that it has otherwise.

    On a card all memory but that of some windows is taken, less in each round until a batch fails. On a CPU a batch of
    more than two pieces fails.
    """
    windows, streams = (64, 2) if setting.on_card else (4, 1)
    clips = setting.clips[: 4 * windows]
    plain = setting.whisper(windows, streams)
    model = opened(plain, setting)
    expected = measured(plain, model, clips)
    let_go(model, setting)
    rounds: list[Figures] = []
    for spare in (48, 24, 12, 6) if setting.on_card else (2,):

        def few(pieces: int, spare: int = spare) -> None:
            if not setting.on_card and pieces > spare:
                raise RuntimeError(FULL_MEMORY)

        how = Hooked(**setting.whisper_fields(windows, streams), before=few)
        model = opened(how, setting)
        taken = fill_memory(setting, spare) if setting.on_card else None
        ahead = Lookahead(how, lambda model=model: model)  # type: ignore[misc]
        results = through(ahead, how, model, clips)
        rounds.append(
            {
                "room_for_windows": spare,
                "batch_s": how.batch_s,
                "batch_s_after": ahead.batch_s,
                "batches_out_of_memory": len(how.notes["errors"]),
                "clips": len(clips),
                "clips_without_text": sum(result.error is not None for result in results),
                "texts_that_differ": sum(
                    result.values.get("text") != text for result, text in zip(results, expected, strict=True)
                ),
                "first_error": next(iter(how.notes["errors"]), None),
            }
        )
        del taken
        let_go(model, setting)
        if how.notes["errors"]:
            break
    figures: Figures = {"rounds": rounds}
    last = rounds[-1]
    if not last["batches_out_of_memory"]:
        figures["error"] = "no batch ran out of memory"
    elif last["clips_without_text"] or last["batch_s_after"] >= last["batch_s"]:
        figures["error"] = "clips have no text, or the batch was not lowered"
    return figures


def fill_memory(setting: Setting, windows: int) -> Any:
    """Return a tensor that holds all of the card's free memory but what `windows` windows are reckoned to take."""
    import torch

    torch.cuda.empty_cache()
    model = dimensions_of(resolve(setting.model).folder, COMPUTE_TYPES["cuda"])
    size = (free_memory(0) or 0) - windows * model.window_bytes()
    return torch.empty(max(size, 1), dtype=torch.uint8, device="cuda")


def through(ahead: Lookahead, how: Whisper, model: Any, clips: Sequence[Clip]) -> list[Measurement]:
    """Return the measurements of clips that go through a look-ahead of the caller's own."""
    found: dict[int, Measurement] = {}
    for number, clip in enumerate(clips):
        asked = how.ask(model, clip)
        if isinstance(asked, Measurement):
            found[number] = asked
        else:
            ahead.put(asked, lambda result, number=number: found.__setitem__(number, result))  # type: ignore[misc]
    ahead.flush()
    ahead.close()
    return [found[number] for number in range(len(clips))]


def dead_context(setting: Setting) -> Figures:
    """A context that breaks midway, in a child: the engine raises DeviceFailed, and files no clip as failed.

    Then the child closes its task, which moves the model off the device; what comes of that is told apart.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        figures: Figures = pool.submit(break_midway, setting).result()
        try:
            figures["closing"] = pool.submit(close_broken).result()
        except BrokenProcessPool:
            figures["closing"] = "the process died"
    if figures["raised"] != DeviceFailed.__name__ or figures["rows_failed"]:
        figures["error"] = "the engine did not raise DeviceFailed, or filed failed clips"
    return figures


# The task whose device broke, until the child closes it.
_broken_tasks: list[Task] = []


def break_midway(setting: Setting) -> Figures:
    """Run the engine and break the context after half of the clips. Returns what it raised and which rows it gave."""
    broken = threading.Event()

    def fail(pieces: int) -> None:
        if broken.is_set() and not setting.on_card:
            raise RuntimeError(ILLEGAL_ACCESS)

    def clips() -> Iterator[Clip]:
        half = len(setting.clips) // 2
        yield from setting.clips[:half]
        if setting.on_card:
            break_context()
        broken.set()
        yield from setting.clips[half:]

    windows, streams = (16, 2) if setting.on_card else (1, 1)
    how = Hooked(**setting.whisper_fields(windows, streams), before=fail)
    wanted = wanted_of(how, setting)
    _broken_tasks.append(Task([wanted]))
    rows: list[Mapping[str, Any]] = []
    raised: Exception | None = None
    try:
        for some in _broken_tasks[0].rows(as_read(clips(), wanted)):
            rows += some
    except Exception as error:
        raised = error
    return {
        "raised": type(raised).__name__,
        "message": first_line(raised) if raised else None,
        "clips": len(setting.clips),
        "rows": len(rows),
        "rows_failed": sum(row[wanted.column]["error"] is not None for row in rows),
        "first_error": next(iter(how.notes["errors"]), None),
    }


def break_context() -> None:
    """Break the CUDA context of this process for good: a kernel asserts that an index is in range."""
    import torch

    try:
        print(torch.zeros(1, device="cuda")[torch.tensor([5], device="cuda")])
        torch.cuda.synchronize()
    except RuntimeError:
        return
    raise AssertionError("the context is whole")


def close_broken() -> str:
    """Close the task whose device broke. Returns what that raised."""
    try:
        _broken_tasks.pop().close()
    except Exception as error:
        return f"raised {type(error).__name__}: {first_line(error)}"
    return "raised nothing"


def two_processes(setting: Setting) -> Figures:
    """One process, then two that begin at once: on a card the second waits for the lock until the first is done."""
    (alone,) = at_once(setting, 1)
    both = sorted(at_once(setting, 2), key=lambda run: float(run["held"]))
    start, end = min(run["loaded"] for run in both), max(run["ended"] for run in both)
    overlap_s = min(run["ended"] for run in both) - both[1]["held"]
    figures: Figures = {
        "alone_times_real_time": speed_of(setting, alone),
        "first_times_real_time": speed_of(setting, both[0]),
        "second_times_real_time": speed_of(setting, both[1]),
        "together_times_real_time": round(2 * setting.audio_s / (end - start), 1),
        "first_waited_s": round(both[0]["held"] - both[0]["started"], 2),
        "second_waited_s": round(both[1]["held"] - both[1]["started"], 2),
        "both_held_s": round(max(0.0, overlap_s), 2),
        "second": "waited for the lock" if setting.on_card else "ran beside the first: a CPU has no lock",
    }
    if setting.on_card and overlap_s > 0:
        figures["error"] = "two processes held one card at once"
    return figures


def speed_of(setting: Setting, run: Mapping[str, float]) -> float:
    """Return how many times real time a run went once its model was open."""
    return round(setting.audio_s / (run["ended"] - run["loaded"]), 1)


def at_once(setting: Setting, processes: int) -> list[dict[str, float]]:
    """Run that many processes, which begin together once all have started. Returns when each did what."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    with ProcessPoolExecutor(processes, mp_context=context, initializer=meet_at, initargs=(barrier,)) as pool:
        return [each.result() for each in [pool.submit(run_a_task, setting) for _ in range(processes)]]


# Where the processes of one run wait for each other.
_meet: list[Any] = []


def meet_at(barrier: Any) -> None:
    """Have this process wait at `barrier` before it measures."""
    _meet.append(barrier)


def run_a_task(setting: Setting) -> dict[str, float]:
    """Measure all clips as a task of Spark does, lock included. Returns times of one clock of the machine."""
    how = Hooked(**setting.whisper_fields(64 if setting.on_card else 4, 4 if setting.on_card else 1))
    wanted = wanted_of(how, setting)
    if setting.on_card:
        # Imported by now, so that both ask for the card at once.
        import torch  # noqa: F401
    from speechlake.signals import whisper_decoder  # noqa: F401

    _meet[0].wait(timeout=120)
    started, task = time.monotonic(), Task([wanted])
    try:
        rows = [row for some in task.rows(as_read(setting.clips, wanted)) for row in some]
        # Before it lets go of the lock: the next process may have it at once.
        ended = time.monotonic()
    finally:
        task.close()
    errors = [row[wanted.column]["error"] for row in rows if row[wanted.column]["error"] is not None]
    if errors or len(rows) != len(setting.clips):
        raise RuntimeError(f"{len(rows)} rows of {len(setting.clips)} clips, errors {errors[:1]}")
    return {"started": started, "held": how.notes["held"], "loaded": how.notes["loaded"], "ended": ended}


def wanted_of(how: Hooked, setting: Setting) -> Wanted:
    """Return what the engine measures: `how`, filed as the extractor without hooks."""
    return Wanted(how, setting.whisper(1).identity())


def as_read(clips: Iterable[Clip], wanted: Wanted) -> Iterator[Heard]:
    """Yield recordings as the engine gets them from its decode children, each one clip."""
    for clip in clips:
        utterance = {
            "utterance_id": clip.utterance_id,
            "needs": [wanted.fingerprint],
            "inputs": clip.inputs,
            "inputs_hashes": {wanted.name: ""},
        }
        recording = {"recording_id": clip.utterance_id, "listing_key": "", "utterances": [utterance]}
        yield Heard(recording, "0" * 64, None, [clip])


def large(setting: Setting) -> Figures:
    """A model of the shape of large-v3 with random weights, texts of a fixed length: speed, and memory as predicted."""
    real = setting.on_card and not setting.quick
    shape, tokens = (LARGE, 100) if real else (SMALL, 8)
    with tempfile.TemporaryDirectory(prefix="large-") as name:
        folder = Path(name)
        names = [SPECIAL.get(number, f"t{number}") for number in range(VOCABULARY)]
        save_whisper(folder, random_weights(**shape), shape["width"] // 64, names)
        size = dimensions_of(folder, COMPUTE_TYPES[setting.device])
        free = free_memory(0) if setting.on_card else None
        batch_s, streams = fitting(free, size) if free is not None else (2 * WINDOW_S, 1)
        fits = round(batch_s / WINDOW_S)
        sizes = ((min(16, fits), 1), (fits, 1), (fits, streams)) if real else ((1, 1), (fits, streams))
        runs = [large_run(setting, folder, windows, count, tokens) for windows, count in sizes]
    for run in runs:
        predicted = size.weights_bytes + run["streams"] * run["windows"] * size.window_bytes()
        run["predicted_mb"] = round(predicted / 1e6)
    return {
        "shape": {**shape, "vocabulary": VOCABULARY, "tokens": tokens},
        "weights_mb": round(size.weights_bytes / 1e6),
        "window_mb": round(size.window_bytes() / 1e6, 1),
        "fitting_windows": fits,
        "fitting_streams": streams,
        "runs": runs,
    }


def large_run(setting: Setting, folder: Path, windows: int, streams: int, tokens: int) -> Figures:
    """Return the figures of some batches on a model of its own, features of NumPy reckoned before."""
    import ctranslate2
    from faster_whisper.feature_extractor import FeatureExtractor

    from speechlake.signals.whisper_features import numpy_features

    with Gauge(setting.device) as before:
        time.sleep(2 * SAMPLE_EVERY_S)
    model = ctranslate2.models.Whisper(
        str(folder),
        device=setting.device,
        compute_type=COMPUTE_TYPES[setting.device],
        inter_threads=streams,
        intra_threads=1,
    )
    samples = [setting.clips[n % len(setting.clips)].samples for n in range(windows)]
    made = ctranslate2.StorageView.from_array(
        numpy_features(samples, WINDOW_S, FeatureExtractor(feature_size=model.n_mels))
    )
    batches = streams * (2 if setting.on_card else 1)

    def generate(_: int) -> None:
        results = model.generate(
            made,
            [list(PROMPT)] * windows,
            beam_size=1,
            # CTranslate2 stops after half of it; the end is suppressed, so that no text is shorter.
            max_length=2 * tokens,
            suppress_tokens=[END],
        )
        lengths = {len(result.sequences_ids[0]) for result in results}
        if lengths != {tokens}:
            raise RuntimeError(f"texts of {sorted(lengths)} tokens, not of {tokens}")

    with Gauge(setting.device) as gauge, ThreadPoolExecutor(streams) as pool:
        if setting.on_card:
            list(pool.map(generate, range(streams)))
        seconds = seconds_of(lambda: list(pool.map(generate, range(batches))))
    model.unload_model()
    peaks = [peak for gauged in (before, gauge) for peak in (gauged.figures()["peak_mb"],)]
    return {
        "streams": streams,
        "windows": windows,
        "windows_per_s": round(batches * windows / seconds, 2),
        "times_real_time": round(batches * windows * WINDOW_S / seconds, 1),
        **gauge.figures(),
        "own_peak_mb": None if None in peaks else peaks[1] - peaks[0],
    }


def random_weights(layers: int, width: int, mels: int) -> Mapping[str, Any]:
    """Return weights of a Whisper of that shape, by the names of CTranslate2, in 16 bits."""
    # Repeated: a billion of them would take a minute to draw.
    drawn = (0.02 * np.random.default_rng(0).standard_normal(1 << 20)).astype(np.float16)
    found: dict[str, Any] = {}

    def put(scope: str, *shape: int) -> None:
        found[f"{scope}/weight"] = np.resize(drawn, shape)
        found[f"{scope}/bias"] = np.zeros(shape[0], np.float16)

    def norm(scope: str) -> None:
        found[f"{scope}/layer_norm/gamma"] = np.ones(width, np.float16)
        found[f"{scope}/layer_norm/beta"] = np.zeros(width, np.float16)

    for half, positions in (("encoder", POSITIONS), ("decoder", TOKENS)):
        for layer in range(layers):
            own, crossed = f"{half}/layer_{layer}/self_attention", f"{half}/layer_{layer}/attention"
            forward = f"{half}/layer_{layer}/ffn"
            put(f"{own}/linear_0", 3 * width, width)
            put(f"{own}/linear_1", width, width)
            if half == "decoder":
                for linear, wide in enumerate((width, 2 * width, width)):
                    put(f"{crossed}/linear_{linear}", wide, width)
                norm(crossed)
            put(f"{forward}/linear_0", 4 * width, width)
            put(f"{forward}/linear_1", width, 4 * width)
            norm(own)
            norm(forward)
        norm(half)
        found[f"{half}/position_encodings/encodings"] = np.resize(drawn, (positions, width))
    put("encoder/conv1", width, mels, 3)
    put("encoder/conv2", width, width, 3)
    found["decoder/embeddings/weight"] = np.resize(drawn, (VOCABULARY, width))
    return found


def save_whisper(
    folder: Path, weights: Mapping[str, Any], heads: int, vocabulary: Sequence[str], quantisation: str = ""
) -> None:
    """Write a model of CTranslate2 from its weights, which `quantisation` names another type for."""
    from ctranslate2.specs import WhisperSpec
    from ctranslate2.specs.model_spec import index_spec

    layers = sum(
        name.startswith("decoder/") and name.endswith("/self_attention/linear_0/weight") for name in weights
    )
    spec = WhisperSpec(layers, heads, layers, heads)
    tied = "decoder/embeddings/weight"
    for name, value in {**weights, "decoder/projection/weight": weights[tied]}.items():
        scope, _, last = name.rpartition("/")
        setattr(index_spec(spec, scope), last, value)
    spec.register_vocabulary(list(vocabulary))
    spec.validate()
    if quantisation:
        spec.optimize(quantisation)
    else:
        # `optimize` would find layers of equal random weights and write them once.
        spec.decoder.projection.weight = tied
    spec.save(str(folder))


def naive(setting: Setting) -> Figures:
    """The loop that anyone would write: `transcribe` of faster-whisper, clip by clip, with all cores of a CPU."""
    from faster_whisper import WhisperModel

    model = WhisperModel(
        str(resolve(setting.model).folder),
        device=setting.device,
        compute_type=COMPUTE_TYPES[setting.device],
        cpu_threads=len(os.sched_getaffinity(0)),
    )

    def transcribe(clip: Clip) -> str:
        segments, _ = model.transcribe(clip.samples, language="en", **CHEAPEST)
        return "".join(segment.text for segment in segments).strip()

    transcribe(setting.clips[0])
    texts: list[str] = []
    with Gauge(setting.device) as gauge:
        seconds = seconds_of(lambda: texts.extend(transcribe(clip) for clip in setting.clips))
    speed, (errors, words) = setting.audio_s / seconds, word_errors(setting.texts, texts)
    best = setting.found.get("grid", {}).get("best_times_real_time")
    return {
        "seconds": round(seconds, 3),
        "times_real_time": round(speed, 1),
        "grid_is_times_as_fast": round(best / speed, 2) if best else None,
        "word_error_rate": round(errors / words, 4),
        **gauge.figures(),
    }


SECTIONS: Final[Mapping[str, Callable[[Setting], Figures]]] = {
    each.__name__: each
    for each in (
        machine,
        features,
        grid,
        accuracy,
        out_of_memory,
        dead_context,
        two_processes,
        large,
        naive,
    )
}
# Their children hold the device themselves.
IN_CHILDREN = ("dead_context", "two_processes")


def opened(how: Whisper, setting: Setting) -> Any:
    """Open the model, and let it see a few clips: what it loads at first is not timed."""
    model = how.load()
    replace(how, batch_s=setting.window_s).measure(model, setting.clips[: 2 * how.streams])
    return model


def let_go(model: Any, setting: Setting) -> None:
    """Give the memory of a card back; that of a CPU goes with the model."""
    if setting.on_card:
        model.release()


def measured(how: Whisper, model: Any, clips: Sequence[Clip]) -> list[str]:
    """Return the texts of clips. RuntimeError where one has none."""
    results = how.measure(model, clips)
    failed = next((result for result in results if result.error is not None), None)
    if failed is not None:
        raise RuntimeError(f"{failed.error}: {failed.detail}")
    return [str(result.values["text"]) for result in results]


def seconds_of(step: Callable[[], object]) -> float:
    """Run `step`. Returns the seconds it took."""
    started = time.monotonic()
    step()
    return time.monotonic() - started


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]


def version_of(package: str) -> str | None:
    """Return the version of a package, None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def speech_of(folder: Path | None, seconds: float) -> tuple[list[Clip], list[str]]:
    """Return clips of `seconds` in all with their texts, repeated where the speech is shorter. SystemExit if none."""
    files = list(listed(folder) if folder is not None else prompts_of_setup(seconds))
    clips: list[Clip] = []
    texts: list[str] = []
    length_s = 0.0
    while files and length_s < seconds:
        for number, (file, text) in enumerate(files):
            again = len(clips) // len(files)
            known = clips[number] if again else clip_of(file)
            clips.append(replace(known, utterance_id=f"{file.stem}#{again}"))
            texts.append(text)
            length_s += known.duration_s
            if length_s >= seconds:
                break
    if not clips:
        raise SystemExit(
            f"no speech in {folder or SPEECH}: run `make speech`, or name a folder with --speech"
        )
    return clips, texts


def listed(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files that a folder's list names, with their texts."""
    for line in (folder / TEXTS).read_text("utf-8").splitlines():
        name, _, text = line.partition("\t")
        yield folder / name, text


def prompts_of_setup(seconds: float) -> Iterator[tuple[Path, str]]:
    """Yield English prompts that set-up fetched, with their texts."""
    # Not in the pack for a bare machine.
    from _clips import prompts

    for file in prompts(SPEECH.absolute(), ["en"], 2 * seconds):
        yield file.file, file.text


def clip_of(file: Path) -> Clip:
    """Return a clip as the engine makes it."""
    import soundfile

    native, rate = soundfile.read(file, dtype="float32")
    samples = native if rate == RATE_HZ else to_16k(native, rate)
    seconds = len(native) / rate
    return Clip(
        file.stem,
        native,
        rate,
        samples,
        file.suffix[1:],
        "pcm_s16le",
        1,
        seconds,
        seconds,
        {"language": "en"},
    )


def show(name: str, figures: Figures) -> None:
    """Print a section: a line per figure, a table for figures in rows."""
    print(f"\n{name} ({figures.get('section_s', 0):.1f} s)", flush=True)
    for key, value in figures.items():
        rows = value if isinstance(value, list) else []
        if not rows:
            print(f"  {key:26} {value}")
        elif isinstance(rows[0], dict):
            print(f"  {key}\n    " + "  ".join(f"{column:>15}" for column in rows[0]))
            for row in rows:
                print(
                    "    " + "  ".join(f"{value!s:>{max(15, len(column))}}" for column, value in row.items())
                )
    sys.stdout.flush()


def run(name: str, setting: Setting) -> Figures:
    """Run one section, alone on its device. Returns its figures, with `error` where it raised."""
    started = time.monotonic()
    held = held_device(device_count()) if setting.on_card and name not in IN_CHILDREN else nullcontext(0)
    try:
        with held:
            figures = SECTIONS[name](setting)
    except Exception as error:
        traceback.print_exc()
        figures = {"error": f"{type(error).__name__}: {first_line(error)}"}
    if "torch" in sys.modules and setting.on_card:
        # A section that failed may have left nearly all memory with torch, which keeps it from CTranslate2.
        with suppress(RuntimeError):
            sys.modules["torch"].cuda.empty_cache()
    return figures | {"section_s": round(time.monotonic() - started, 1)}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sections."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--model", default="whisper-tiny.en", help="folder or registry id of the weights")
    parser.add_argument(
        "--speech", type=Path, help=f"folder of audio with {TEXTS}; default what set-up fetched"
    )
    parser.add_argument(
        "--seconds", type=float, help="of speech, repeated if it is shorter; default by device"
    )
    parser.add_argument("--sections", default=",".join(SECTIONS), help="default all: %(default)s")
    parser.add_argument(
        "--quick", action="store_true", help="few clips, a small grid, a small model for large"
    )
    parser.add_argument("--out", type=Path, default=Path("build/bench/gpu.json"), metavar="FILE")
    options = parser.parse_args(argv)
    names = options.sections.split(",")
    strange = sorted(set(names) - set(SECTIONS))
    if strange:
        parser.error(f"no section {', '.join(strange)}; there are {', '.join(SECTIONS)}")
    device = options.device if options.device != "auto" else "cuda" if device_count() > 0 else "cpu"
    if device == "cuda":
        preload_cublas()
    seconds = options.seconds or (QUICK_S if options.quick else SECONDS[device])
    clips, texts = speech_of(options.speech, seconds)
    setting = Setting(device, options.model, options.quick, clips, texts)
    found: dict[str, Figures] = {}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for name in names:
        found[name] = run(name, replace(setting, found=found))
        show(name, found[name])
        # After each: a machine that is lent may go before the last.
        options.out.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    failed = [name for name in names if "error" in found[name]]
    print(f"\n{options.out}: {len(names)} sections, failed: {', '.join(failed) or 'none'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
