"""Rows and stages that are in nobody's use: of dead runs, of builds that were never published, of audio as it was."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from speechlake.ledger import UPKEEP
from speechlake.locks import JvmLock, lock_file
from speechlake.schemas import TABLES
from speechlake.staging import Left, left_by_runs, safe_name
from speechlake.table_files import delete_rows, stored_files
from speechlake.upkeep.work import Upkeep, Work

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.hold import Hold
    from speechlake.lake import Lake

# The job that writes builds and then publishes them, under a lock per scheme.
PUBLISHER = "build-splits"
# Tables of rows of builds. The two others name builds: what was published, and what was erased from it.
BUILT = tuple(
    name
    for name, table in TABLES.items()
    if "build_id" in table.column_names and name not in ("releases", "erasures")
)


def dead_stages(upkeep: Upkeep) -> Iterator[Work]:
    """Incomplete stages, plans and listings that nobody is at work on. Complete stages wait for the next run of their job."""
    files = upkeep.lake.files

    def delete(job: str, scope: str, hold: Hold) -> Mapping[str, int]:
        with _borrowed(hold, f"{job}.{scope}"):
            # Where there are locks, nobody is at work now but the borrower.
            dead = _incomplete(upkeep) if hold.lake.is_local else _dead(upkeep)
            return _deleted(hold, [left for left in dead if (left.job, left.scope) == (job, scope)])

    for (job, scope), group in groupby(_dead(upkeep), key=lambda left: (left.job, left.scope)):
        stages = list(group)
        planned = {"stages_deleted": len(stages), "stage_bytes": sum(files.size(s.path)[1] for s in stages)}
        yield Work("stages", f"{job} on {scope}", planned, partial(delete, job, scope))


def _dead(upkeep: Upkeep) -> list[Left]:
    alive = {(each.job, each.scope) for each in upkeep.running()}
    return [one for one in _incomplete(upkeep) if (one.job, one.scope) not in alive]


def _incomplete(upkeep: Upkeep) -> list[Left]:
    left = [one for one in upkeep.left_by_runs() if not one.complete]
    return sorted(left, key=lambda one: (one.job, one.scope, one.path))


def _deleted(hold: Hold, stages: list[Left]) -> Mapping[str, int]:
    files, freed = hold.lake.files, 0
    for stage in stages:
        freed += files.size(stage.path)[1]
        files.delete(f"{stage.path}.json")
        files.delete(stage.path)
    return {"stages_deleted": len(stages), "stage_bytes": freed}


def unpublished_builds(upkeep: Upkeep) -> Iterator[Work]:
    """Rows of builds that no release holds, unless a job that could publish them may be running.

    What a complete stage holds is written again when the stage is adopted.
    """
    builds = unpublished(upkeep)
    if not builds:
        return
    busy = [each.who for each in upkeep.running() if each.job == PUBLISHER]
    if not upkeep.lake.is_local:
        # Whoever adopts a stage counts on what it finds of its rows, and no lock tells that somebody does now.
        staged = [each for each in upkeep.left_by_runs() if each.job == PUBLISHER and each.complete]
        busy += [f"what run {each.run_id} of {each.job} on {each.scope} staged" for each in staged]
    if busy:
        upkeep.left.append(f"{len(builds)} unpublished build(s) stay: {busy[0]} may publish them")
        return

    def sweep(hold: Hold) -> Mapping[str, int]:
        with ExitStack() as locks:
            for name in _publishing(upkeep.lake):
                locks.enter_context(_borrowed(hold, name))
            still = [build for build in unpublished(upkeep) if build in builds]
            rows = sum(delete_rows(hold, name, _one_of(still)) for name in BUILT) if still else 0
        return {"builds_swept": len(still), "build_rows": rows}

    rows = sum(upkeep.lake.read(name).where(_one_of(builds)).count() for name in BUILT)
    about = ", ".join(build[:8] for build in builds[:5]) + (" …" if len(builds) > 5 else "")
    yield Work("builds", about, {"builds_swept": len(builds), "build_rows": rows}, sweep)


def _one_of(builds: list[str]) -> str:
    return "build_id IN (" + ", ".join(f"'{build}'" for build in builds) + ")"


def unpublished(upkeep: Upkeep) -> list[str]:
    """Builds that no release holds, sorted; where no locks tell who runs, only those older than the retention."""
    from pyspark.sql import functions as F

    lake = upkeep.lake
    written = lake.read(BUILT[0]).select("build_id")
    for name in BUILT[1:]:
        written = written.unionByName(lake.read(name).select("build_id"))
    found = written.distinct().join(lake.read("releases").select("build_id"), on="build_id", how="left_anti")
    if not lake.is_local:
        young = F.col("modified_ms") > (time.time() - upkeep.retention_s) * 1000
        for name in BUILT:
            if TABLES[name].partition_by == ("build_id",) and lake.exists(name):
                recent = stored_files(lake, name).where(young).select(F.col("part").alias("build_id"))
                found = found.join(recent, on="build_id", how="left_anti")
    return sorted(row.build_id for row in found.collect())


def _publishing(lake: Lake) -> list[str]:
    """Names of the locks under which a build was ever written: whoever resumes one takes the same."""
    folder = lock_file(lake.root, "x").parent
    names = {path.stem for path in folder.glob(f"{PUBLISHER}.*.lock")} if lake.is_local else set()
    schemes = {row.scheme for row in lake.read("releases").select("scheme").distinct().collect()}
    left = left_by_runs(lake.files, lake.root)
    names |= {f"{PUBLISHER}.{each.scope}" for each in left if each.job == PUBLISHER}
    return sorted(names | {f"{PUBLISHER}.{safe_name(scheme)}" for scheme in schemes})


def superseded_hashes(upkeep: Upkeep) -> Iterator[Work]:
    """Hashes of files as they were under another listing key, where the hash under the present one is known.

    Releases and signals hold hashes of their own; should a file come back as it was, it is read once more.
    """
    from pyspark.sql import functions as F

    lake = upkeep.lake
    counted = superseded(lake).groupBy("corpus").agg(F.count("*").alias("rows")).orderBy("corpus").collect()

    def delete(corpus: str, hold: Hold) -> Mapping[str, int]:
        rows = superseded(lake, corpus)
        return {"hashes_deleted": hold.merge("content_hashes", rows, corpus=corpus, delete=True)}

    for row in counted:
        yield Work("hashes", row.corpus, {"hashes_deleted": row.rows}, partial(delete, row.corpus))


def superseded(lake: Lake, corpus: str | None = None) -> DataFrame:
    """(corpus, recording_id, listing_key) of rows of `content_hashes` that no view and no plan reads.

    Those of `corpus`, or of all.
    """
    from pyspark.sql import functions as F

    # Said of each table: through the joins, which know no corpus, it would reach one of three reads.
    here = F.lit(True) if corpus is None else F.col("corpus") == corpus
    hashes = lake.read("content_hashes").where(here).select("corpus", "recording_id", "listing_key")
    there = lake.read("recordings").where(here & (F.col("state") == "present"))
    present = there.select("recording_id", "listing_key")
    known = hashes.select("recording_id", "listing_key").join(
        present, on=["recording_id", "listing_key"], how="left_semi"
    )
    current = known.select("recording_id", F.col("listing_key").alias("current_key"))
    joined = hashes.join(current, on="recording_id", how="inner")
    return joined.where("listing_key <> current_key").drop("current_key")


def _borrowed(hold: Hold, name: str) -> ExitStack:
    """The lock of another job, taken for as long as what is its own is tidied; Busy where it runs."""
    stack = ExitStack()
    if hold.lake.is_local:
        who = f"run {hold.run_id} of {UPKEEP}"
        stack.enter_context(JvmLock(hold.lake.spark, lock_file(hold.lake.root, name), who=who, wait_s=0.0))
    return stack
