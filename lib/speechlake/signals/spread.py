"""How a chunk is spread over the cores and devices of this session, and how fast that goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from speechlake.session import on_this_machine
from speechlake.signals.batching import BatchExtractor
from speechlake.signals.plan import Wanted
from speechlake.signals.rates import Rate
from speechlake.signals.whisper import Whisper

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# What a second of audio takes of a core, until a run has told better, and more than was measured (README): whisper
# and quality, and any other.
GUESS_CORE_S, GUESS_CORE_S_OF_OTHERS = {"whisper": 0.25, "quality": 0.25}, 0.02
# The same of a device for Whisper, not measured here.
GUESS_DEVICE_S = 1 / 1500
# Both are of Whisper base, whose weights are so large; a larger model takes as many times as much.
BASE_BYTES = 145_000_000
# Several to a core, so that long recordings do not hold the rest.
TASKS_PER_CORE = 6
# One core decodes some 4,000 x real time; more than this many readers find nothing to do.
MOST_READERS = 8


@dataclass(frozen=True)
class Spread:
    """`tasks` per chunk, decode children (`readers`) in each; `cores` and `devices` that they are spread over.

    `guess` is what a second of audio takes until a run has told better.
    """

    tasks: int
    readers: int
    cores: int
    devices: int
    guess: Rate

    def over(self, recordings: int) -> Spread:
        """For a chunk of so many recordings: a task without any costs its start, and leaves a file."""
        return replace(self, tasks=max(1, min(self.tasks, recordings)))

    def times_real_time(self, past: Rate | None) -> float:
        """How fast audio is measured, by what it took in the past, else by the guess: as if no core worked beside a
        device, which is too slow by half at most."""
        took = past or self.guess
        return 1 / (took.cpu_s / self.cores + took.device_s / max(1, self.devices))


def phases(wanted: Sequence[Wanted]) -> list[list[Wanted]]:
    """`wanted` in the groups that are measured one after another: first what needs no device.

    One task serves a device, on one thread, and would have every clip wait for the extractors that measure singly:
    Silero alone then bounds a device to some 150 x real time, where Whisper base goes fifty times as fast. Spread over
    all cores first, they cost the audio a second decoding, at thousands x real time.
    """
    groups = [[each for each in wanted if on_device(each) is where] for where in (False, True)]
    return [group for group in groups if group]


def on_device(each: Wanted) -> bool:
    """Whether an extractor is measured on an accelerator."""
    return isinstance(each.extractor, BatchExtractor) and each.extractor.device == "cuda"


def spread_of(spark: SparkSession, wanted: Sequence[Wanted]) -> Spread:
    """On CPUs several single-threaded tasks per core; on accelerators one task per device with several cores.

    In local mode devices are counted here; on a cluster there are as many GPU tasks at once as
    `spark.task.cpus` lets the cores hold, twice that many keep both chunks busy.
    """
    context = spark.sparkContext
    cores, guess = context.defaultParallelism, _guess(wanted)
    if not any(on_device(each) for each in wanted):
        return Spread(cores * TASKS_PER_CORE, 1, cores, 0, guess)
    if on_this_machine(spark):
        from speechlake.signals.devices import device_count

        devices = max(1, device_count())
        readers = max(1, min(MOST_READERS, cores // devices - 1))
        return Spread(devices, readers, cores, devices, guess)
    per_task = int(context.getConf().get("spark.task.cpus", "1") or 1)
    devices = max(1, cores // per_task)
    return Spread(2 * devices, max(1, min(MOST_READERS, per_task - 1)), cores, devices, guess)


def _guess(wanted: Sequence[Wanted]) -> Rate:
    core_s: dict[str, float] = {}
    device_s: dict[str, float] = {}
    for each in wanted:
        larger = each.extractor.weights_bytes / BASE_BYTES if isinstance(each.extractor, Whisper) else 1.0
        own, usual = (
            (device_s, GUESS_DEVICE_S)
            if on_device(each)
            else (core_s, GUESS_CORE_S.get(each.name, GUESS_CORE_S_OF_OTHERS))
        )
        # Fingerprints of one extractor share the clips.
        own[each.name] = max(own.get(each.name, 0.0), max(1.0, larger) * usual)
    return Rate(sum(core_s.values()), sum(device_s.values()))
