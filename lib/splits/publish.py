"""Publishing: stage all rows of a build, write them, check them, remember sides, then append the release.

The build's id is the digest of what was staged. Killed anywhere, the same command finds the stage and
completes the same build; rows of builds that were never published are invisible.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from speechlake.errors import LeakFound, UsageError
from speechlake.hold import Hold
from speechlake.schemas import ASSIGNMENTS, DECISIONS, SPLITS, Table
from speechlake.splits.build import Build
from speechlake.splits.candidates import links, published_assignments
from speechlake.splits.digest import build_id, rows_digest
from speechlake.splits.gate import leaks
from speechlake.staging import Stage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake

PARTS: Mapping[str, Table] = {"splits": SPLITS, "decisions": DECISIONS, "assignments": ASSIGNMENTS}
LEAKS_TOLD = 5


def staged_build(hold: Hold, build: Build, note: Mapping[str, Any], digest: str) -> Stage:
    """Compute every row of a build once, into one stage; the note gets its small summaries.

    UsageError where there is no utterance to decide: an empty release would only use up its name.
    """
    summary = {
        "counts": [row.asDict() for row in build.counts.collect()],
        "rules": [row.asDict() for row in build.rules.collect()],
        "warnings": [row.message for row in build.warnings.collect()],
        "known_speakers": build.known_speakers.collect()[0].ratio,
    }
    if not summary["counts"]:
        raise UsageError(
            f"the lake {hold.lake.root} holds no utterance: there is nothing to build",
            hint="Start with `speechlake ingest-manifests`, or look at `speechlake report`.",
        )
    frames = [_packed(name, getattr(build, name)) for name in PARTS]
    everything = (
        frames[0]
        .unionByName(frames[1], allowMissingColumns=True)
        .unionByName(frames[2], allowMissingColumns=True)
    )
    return hold.staging.write(digest, hold.run_id, everything, {**note, **summary})


def commit_build(hold: Hold, stage: Stage) -> str | None:
    """Publish a staged build under the name in its note; its id, None when it is published already.

    UsageError when the name belongs to another build, LeakFound when the gate refuses. A build that can
    never be published is not adopted again.
    """
    lake, note, release = hold.lake, stage.note, str(stage.note["release"])
    rows = {name: _unpacked(hold.staging.read(stage), name) for name in PARTS}
    digest = rows_digest(rows["splits"], rows["decisions"])
    # With the numbers that its quantiles stand for, a policy is another than with others.
    meant = note.get("policy_pinned_sha256", note["policy_sha256"])
    build = build_id(meant, note["scheme"], note["fingerprints"], digest)
    try:
        if _published(lake, release, build):
            return None
        for name in ("splits", "decisions"):
            _append(hold, name, rows[name], build, stage.digest)
        _gate(lake, build, note["scheme"])
        _append(hold, "assignments", rows["assignments"], build, stage.digest)
        # Asked once more, because a build of another scheme may have taken the name by now.
        published = hold.insert_missing(
            "releases",
            lambda: [] if _published(lake, release, build) else [_release_row(note, build, digest)],
            digest=stage.digest,
        )
    except (UsageError, LeakFound):
        hold.staging.delete(stage)
        raise
    return build if published else None


def _published(lake: Lake, release: str, build: str) -> bool:
    """True when `release` is this build; UsageError when it is another."""
    from pyspark.sql import functions as F

    known = lake.read("releases").where(F.col("release") == release).select("build_id").collect()
    if not known:
        return False
    if known[0].build_id == build:
        return True
    raise UsageError(
        f"release {release!r} is build {known[0].build_id}; this policy over these tables gives build {build}",
        hint="A release never changes: publish under a new name.",
    )


def _gate(lake: Lake, build: str, scheme: str) -> None:
    """LeakFound when anything of the written build sits where it must not."""
    written = lake.read("splits").where(f"build_id = '{build}'")
    found = leaks(written, links(lake), published_assignments(lake, scheme)).limit(LEAKS_TOLD + 1).collect()
    if found:
        told = "; ".join(f"{row.kind} {row.value} on {', '.join(row.sides)}" for row in found[:LEAKS_TOLD])
        more = " and more" if len(found) > LEAKS_TOLD else ""
        raise LeakFound(
            f"build {build} is not published: {told}{more}",
            hint="Look at `speechlake explain` of these rows.",
        )


def _append(hold: Hold, name: str, rows: DataFrame, build: str, digest: str) -> None:
    from pyspark.sql import functions as F

    whole = rows.withColumn("build_id", F.lit(build)).select(*PARTS[name].column_names)
    hold.append_missing(name, whole, within=F.col("build_id") == build, digest=digest)


def _release_row(note: Mapping[str, Any], build: str, digest: str) -> dict[str, Any]:
    same = ("release", "policy", "policy_sha256", "scheme", "versions_read", "warnings", "counts", "rules")
    return {
        **{name: note[name] for name in same},
        "build_id": build,
        "rows_digest": digest,
        "known_speaker_hours_ratio": note["known_speakers"],
        "pinned": note.get("pinned", {}),
        "published_at": datetime.now(UTC),
    }


def _packed(name: str, frame: DataFrame) -> DataFrame:
    """The rows as one struct column called `name`."""
    from pyspark.sql import functions as F

    return frame.select(F.lit(name).alias("part"), F.struct(*frame.columns).alias(name))


def _unpacked(staged: DataFrame, name: str) -> DataFrame:
    return staged.where(f"part = '{name}'").select(f"{name}.*")
