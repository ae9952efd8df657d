"""How a chunk is spread over the cores and devices of this session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from speechlake.signals.batching import BatchExtractor
from speechlake.signals.plan import Wanted

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# What a core, and a device, measures, × real time, until a run has told better.
GUESS_PER_CORE, GUESS_PER_DEVICE = 4.0, 1500.0
# Several to a core, so that long recordings do not hold the rest.
TASKS_PER_CORE = 6
# One core decodes some 4,000 x real time; more than this many readers find nothing to do.
MOST_READERS = 8


@dataclass(frozen=True)
class Spread:
    """`tasks` per chunk, decode children (`readers`) in each, and the × real time to be expected at first."""

    tasks: int
    readers: int
    guess: float

    def over(self, recordings: int) -> Spread:
        """For a chunk of so many recordings: a task without any costs its start, and leaves a file."""
        return replace(self, tasks=max(1, min(self.tasks, recordings)))


def spread_of(spark: SparkSession, wanted: Sequence[Wanted]) -> Spread:
    """On CPUs several single-threaded tasks per core; on accelerators one task per device with several cores.

    In local mode devices are counted here; on a cluster there are as many GPU tasks at once as
    `spark.task.cpus` lets the cores hold, twice that many keep both chunks busy.
    """
    context = spark.sparkContext
    cores = context.defaultParallelism
    if not any(_on_device(each) for each in wanted):
        return Spread(cores * TASKS_PER_CORE, 1, GUESS_PER_CORE * cores)
    if (context.master or "").startswith("local"):
        from speechlake.signals.devices import device_count

        devices = max(1, device_count())
        readers = max(1, min(MOST_READERS, cores // devices - 1))
        return Spread(devices, readers, GUESS_PER_DEVICE * devices)
    per_task = int(context.getConf().get("spark.task.cpus", "1") or 1)
    devices = max(1, cores // per_task)
    return Spread(2 * devices, max(1, min(MOST_READERS, per_task - 1)), GUESS_PER_DEVICE * devices)


def _on_device(each: Wanted) -> bool:
    return isinstance(each.extractor, BatchExtractor) and each.extractor.device == "cuda"
