"""Of each table: many small files, a long log, and files that nobody can read any more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from speechlake.table_files import (
    Part,
    checkpoint,
    compact,
    kept_by_log_s,
    log_of,
    scattered,
    unused_files,
    vacuum,
)
from speechlake.upkeep.work import Upkeep, Work

if TYPE_CHECKING:
    from speechlake.hold import Hold

# Reading a table reads the commits since its last checkpoint one by one.
LONG_LOG = 10
# Partitions that one commit compacts: a kill loses one commit's work, a table's lock is held for no longer.
PARTS_AT_ONCE = 16
BYTES_AT_ONCE = 8 << 30


def small_files(upkeep: Upkeep, name: str) -> Iterator[Work]:
    """Small files are written anew in few; clustered tables are clustered by their keys."""
    for parts in _batches(scattered(upkeep.lake, name)):
        planned = {
            "files_compacted": sum(part.files for part in parts),
            "bytes_compacted": sum(p.bytes for p in parts),
        }
        values = [part.value for part in parts if part.value is not None]
        yield Work("compact", name, planned, partial(_compacted, name, values))


def _compacted(name: str, values: Sequence[str], hold: Hold) -> Mapping[str, int]:
    done = compact(hold, name, values)
    return {
        "files_compacted": done["files_before"],
        "files_written": done["files_after"],
        "bytes_compacted": done["bytes_after"],
    }


def _batches(parts: Sequence[Part]) -> Iterator[list[Part]]:
    batch: list[Part] = []
    for part in parts:
        full = len(batch) == PARTS_AT_ONCE or sum(each.bytes for each in batch) + part.bytes > BYTES_AT_ONCE
        if batch and full:
            yield batch
            batch = []
        batch.append(part)
    if batch:
        yield batch


def long_log(upkeep: Upkeep, name: str) -> Iterator[Work]:
    """A checkpoint where many commits lie after the last one; Delta then deletes what its retention lets go."""
    lake = upkeep.lake
    log = log_of(lake, name)
    long = log.commits >= LONG_LOG
    if not long and not log.expired:
        return

    def shorten(hold: Hold) -> Mapping[str, int]:
        checkpoint(hold, name)
        return {"checkpoints": int(long), "log_files_deleted": log.expired - log_of(lake, name).expired}

    yield Work("log", name, {"checkpoints": int(long), "log_files_deleted": log.expired}, shorten)


def unreadable_files(upkeep: Upkeep, name: str) -> Iterator[Work]:
    """Files that no version within the retention holds, nor one that a running job may read or is about to write."""
    lake = upkeep.lake
    kept_s = kept_by_log_s(lake, name)
    spared_s = upkeep.spared_s(kept_s)
    if spared_s is None:
        longest = min(upkeep.running(), key=lambda each: each.since)
        upkeep.left.append(
            f"files of {name} stay: {longest.who} runs for longer than its log remembers files"
        )
        return
    files, size = unused_files(lake, name, spared_s)

    def clear(hold: Hold) -> Mapping[str, int]:
        # Asked again: a job may have begun since.
        spared_s = upkeep.spared_s(kept_s)
        if spared_s is None:
            return {}
        before = unused_files(lake, name, spared_s)
        vacuum(lake, name, spared_s)
        after = unused_files(lake, name, spared_s)
        return {"files_deleted": before[0] - after[0], "bytes_deleted": before[1] - after[1]}

    if files:
        yield Work("vacuum", name, {"files_deleted": files, "bytes_deleted": size}, clear)
