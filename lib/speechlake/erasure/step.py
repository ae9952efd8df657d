"""The way of an erasure: plan and stage hashes, remember them, then take everything out, table by table.

The stage is written before anything is deleted and deleted last, so that a killed erasure is finished by the
next one, whatever its request. It holds hashes, counts and names of releases: nobody's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from speechlake.erasure.alone import drop_locks
from speechlake.erasure.hashes import planned
from speechlake.erasure.releases import Held, held, record
from speechlake.erasure.tables import OF_NOBODY, Plan, going, redacted
from speechlake.erasure.tombstones import KEPT, hash_of
from speechlake.hold import Hold
from speechlake.purge import drop_partitions, forget_history
from speechlake.schemas import TABLES
from speechlake.staging import Stage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.erasure.found import Found, Meant
    from speechlake.erasure.request import Request
    from speechlake.lake import Lake

# Called with the name of each step before it.
Told = Callable[[str], object]
# What others refer to goes last.
ORDER = tuple(name for name in reversed(TABLES) if name not in OF_NOBODY)


@dataclass(frozen=True)
class Counted:
    """How much of what goes: rows by table, lines and sentences that lose a part, and releases."""

    rows: Mapping[str, int]
    redacted: Mapping[str, int]
    releases: Sequence[Held]


def plan_of(lake: Lake, salt: str, hashes: DataFrame) -> Plan:
    """A plan out of its hashes, computed before."""
    kinds = frozenset(row.kind for row in hashes.select("kind").distinct().collect())
    return Plan(salt, hashes, kinds)


def counted(lake: Lake, plan: Plan) -> Counted:
    """What a plan takes out of the lake as it is."""
    rows = {name: frame.count() for name in ORDER if (frame := going(lake, name, plan)) is not None}
    less = {name: frame.count() for name in ORDER if (frame := redacted(lake, name, plan)) is not None}
    return Counted(_some(rows), _some(less), held(lake, plan))


@contextmanager
def foreseen(
    lake: Lake, request: Request, said: Meant, there: Found, salt: str
) -> Iterator[tuple[DataFrame, Counted]]:
    """The hashes of all that goes, kept while they are looked at, and how much that is."""
    hashes = planned(lake, request, said, there, salt).persist()
    try:
        yield hashes, counted(lake, plan_of(lake, salt, hashes))
    finally:
        hashes.unpersist()


def staged(hold: Hold, request: Request, salt: str, hashes: DataFrame, found: Counted) -> Stage:
    """Stage the hashes; the note counts what goes and names the releases that held it."""
    digest = hash_of(salt, "request", request.canonical())[:16]
    note = {
        "salt": salt,
        "reference": request.reference,
        "rows": dict(found.rows),
        "redacted": dict(found.redacted),
        "releases": [asdict(each) for each in found.releases],
    }
    return hold.staging.write(digest, hold.run_id, hashes, note)


def releases_of(note: Mapping[str, Any]) -> list[Held]:
    """The releases that a stage's note names."""
    return [Held(**each) for each in note["releases"]]


def carry_out(hold: Hold, stage: Stage, told: Told) -> int:
    """Take all that a stage names out of the lake; rows that went or changed. The caller works alone."""
    lake = hold.lake
    plan = plan_of(lake, stage.note["salt"], hold.staging.read(stage))
    corpora = _corpora(lake, plan)
    told("tombstones")
    remember(hold, plan)
    told("stages")
    _drop_stages(hold)
    changed = 0
    for name in ORDER:
        told(name)
        changed += _without(hold, name, plan, stage.digest)
    told("releases")
    record(hold, releases_of(stage.note), stage.run_id)
    # All tables: commits of those that hold nothing of a person name the corpus that a run worked on.
    for name in reversed(TABLES):
        told(f"history of {name}")
        forget_history(hold, name)
        if "corpus" in TABLES[name].partition_by:
            drop_partitions(hold, name, "corpus", corpora)
    told("locks")
    drop_locks(hold, corpora)
    return changed


def remember(hold: Hold, plan: Plan) -> int:
    """Append the tombstones that are not there; how many."""
    from pyspark.sql import functions as F

    rows = plan.hashes.where(F.col("kind").isin(list(KEPT)))
    kinds = rows.select(F.lit(plan.salt).alias("salt"), "kind", "hash")
    return hold.append_missing("tombstones", kinds)


def _without(hold: Hold, name: str, plan: Plan, digest: str) -> int:
    """Take rows, or what they say of others, out of one table, by key: nothing of it stands in the commit."""
    lake, changed = hold.lake, 0
    keys = going(lake, name, plan)
    if keys is not None:
        changed += hold.merge(name, keys, corpus=None, digest=digest, delete=True)
    less = redacted(lake, name, plan)
    if less is not None:
        changed += hold.merge(name, less, corpus=None, digest=digest)
    return changed


def _drop_stages(hold: Hold) -> None:
    """Delete what other jobs staged: it holds rows of what goes, and costs them a chunk at most."""
    files, folder = hold.lake.files, f"{hold.lake.root}/_staging"
    for job in files.folders(folder):
        if job != hold.job:
            files.delete(f"{folder}/{job}")


def _corpora(lake: Lake, plan: Plan) -> set[str]:
    """Names of the corpora that go: those of tables, and of folders and locks that an interrupted run left."""
    dead = {row.hash for row in plan.hashes.where("kind = 'corpus'").collect()}
    names = {row.corpus for row in lake.read("corpora").select("corpus").collect()}
    partitions = [name for name in ORDER if "corpus" in TABLES[name].partition_by]
    folders = {folder for name in partitions for folder in lake.files.folders(lake.path(name))}
    names |= {folder.removeprefix("corpus=") for folder in folders if folder.startswith("corpus=")}
    names |= {
        name.removesuffix(".lock").partition(".")[2] for name in lake.files.names(f"{lake.root}/_locks")
    }
    return {name for name in names if hash_of(plan.salt, "corpus", name) in dead}


def _some(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: n for name, n in counts.items() if n}
