"""Publishing: stage all rows of a build, write them, check them, remember sides, then append the release.

The build's id is the digest of what was staged. Killed anywhere, the same command finds the stage and
completes the same build; rows of builds that were never published are invisible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import TYPE_CHECKING, Any

from speechlake.duplicates.known import copies_of
from speechlake.errors import BuildRefused, Conflict, LeakFound, Refused, UsageError
from speechlake.hold import Hold
from speechlake.schemas import ASSIGNMENTS, DECISIONS, FIXED_SETS, SPLITS, Table
from speechlake.splits.build import Build
from speechlake.splits.candidates import heard_samples, links, said_assignments
from speechlake.splits.compared import MENDED_BY, asked_audio, keyed_audio, never_compared
from speechlake.splits.digest import build_id, digested
from speechlake.splits.gate import Asked, leaks
from speechlake.splits.recall import evaluated_texts, largest_release
from speechlake.staging import Stage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake
    from speechlake.splits.policy import Policy

PARTS: Mapping[str, Table] = {"splits": SPLITS, "decisions": DECISIONS, "assignments": ASSIGNMENTS}
TABLES: Mapping[str, Table] = {**PARTS, "fixed_sets": FIXED_SETS}
# What the lists of a policy name: staged, so that whoever completes the build needs no list.
LISTED = "listed"
LEAKS_TOLD = 5
NEVER_CHANGES = "A release never changes: publish under a new name."


def staged_build(
    hold: Hold, build: Build, note: Mapping[str, Any], digest: str, warnings: Sequence[str] = ()
) -> Stage:
    """Compute every row of a build once, into one stage; the note gets its small summaries.

    `warnings` are told beside the build's own. UsageError where there is no utterance to decide: an empty
    release would only use up its name. BuildRefused where the build passes a limit of its policy.
    """
    refusals = [row.message for row in build.refusals.collect()]
    if refusals:
        raise BuildRefused(
            f"release {note['release']!r} is not published: " + "; ".join(refusals),
            hint="Raise the limit in the policy where this is meant, or take out what glues or repeats.",
        )
    summary = {
        "counts": [row.asDict() for row in build.counts.collect()],
        "rules": [row.asDict() for row in build.rules.collect()],
        "warnings": sorted([*(row.message for row in build.warnings.collect()), *warnings]),
        "known_speakers": build.known_speakers.collect()[0].ratio,
    }
    if not summary["counts"]:
        raise UsageError(
            f"the lake {hold.lake.root} holds no utterance: there is nothing to build",
            hint="Start with `speechlake ingest-manifests`, or look at `speechlake report`.",
        )
    if not any(count["split"] for count in summary["counts"]):
        summary["warnings"].insert(0, "nothing is kept: every utterance is excluded")
    frames = [_packed(name, getattr(build, name)) for name in (*PARTS, LISTED)]
    everything = reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), frames)
    return hold.staging.write(digest, hold.run_id, everything, {**note, **summary})


def commit_build(hold: Hold, stage: Stage) -> str | None:
    """Publish a staged build under the name in its note; its id, None when it is published already.

    UsageError when the name belongs to another build, Refused when the gate says no. A build that can
    never be published is not adopted again. Conflict where rows went that were there: the stage has them.
    """
    lake, note = hold.lake, stage.note
    staged = hold.staging.read(stage)
    rows = {name: _unpacked(staged, name) for name in PARTS}
    listed = _unpacked(staged, LISTED) if LISTED in staged.columns else None
    if listed is not None and "sha256" in listed.columns:
        rows["fixed_sets"] = listed.withColumnRenamed("listed", "side")
    digest, counted = digested(rows["splits"], rows["decisions"])
    # With the numbers that its quantiles stand for, a policy is another than with others.
    meant = note.get("policy_pinned_sha256", note["policy_sha256"])
    build = build_id(meant, note["scheme"], note["fingerprints"], digest)
    try:
        if known := _published(lake, note, build, digest):
            # What its tables lack of it: somebody restored an older version, or deleted rows.
            for name, frame in rows.items():
                _append(hold, name, frame, known, stage.digest)
            return None
        # Sides are remembered once the gate has let them pass.
        sides = rows.pop("assignments")
        for name, frame in rows.items():
            _append(hold, name, frame, build, stage.digest, counted.get(name))
        _gate(lake, build, note, listed)
        _append(hold, "assignments", sides, build, stage.digest)
        _require_whole(
            lake, build, {name: counted.get(name) or frame.count() for name, frame in rows.items()}
        )
        # Asked once more, because a build of another scheme may have taken the name by now.
        published = hold.insert_missing(
            "releases",
            lambda: (
                [] if _published(lake, note, build, digest) else [_release_row(lake, note, build, digest)]
            ),
            digest=stage.digest,
        )
    except (UsageError, Refused):
        hold.staging.delete(stage)
        raise
    return build if published else None


def was_cut_by(lake: Lake, policy: Policy) -> bool:
    """Whether some release was cut by this policy, which was taken as it is then."""
    from pyspark.sql import functions as F

    return not lake.read("releases").where(F.col("policy_sha256") == policy.digest()).isEmpty()


def refuse_used_name(lake: Lake, release: str, policy: Policy) -> None:
    """UsageError where the release was cut under another policy, before its build takes its time."""
    from pyspark.sql import functions as F

    known = (
        lake.read("releases").where(F.col("release") == release).select("policy_sha256", "build_id").collect()
    )
    if known and known[0].policy_sha256 != policy.digest():
        raise UsageError(
            f"release {release!r} is build {known[0].build_id}, which was cut under another policy",
            hint=NEVER_CHANGES,
        )


def _published(lake: Lake, note: Mapping[str, Any], build: str, digest: str) -> str | None:
    """The build that the note's release is, where it is this one; UsageError when it is another.

    The same rows by the same policy are the same release, whatever was measured since that the policy does not read.
    """
    from pyspark.sql import functions as F

    release = note["release"]
    meant = {
        "policy_sha256": note["policy_sha256"],
        "pinned": note.get("pinned", {}),
        "scheme": note["scheme"],
        "rows_digest": digest,
    }
    known = lake.read("releases").where(F.col("release") == release).select("build_id", *meant).collect()
    if not known:
        return None
    found = known[0].asDict()
    if found.pop("build_id") == build or found == meant:
        return str(known[0].build_id)
    raise UsageError(
        f"release {release!r} is build {known[0].build_id}; this policy over these tables gives build {build}",
        hint=NEVER_CHANGES,
    )


def _gate(lake: Lake, build: str, note: Mapping[str, Any], listed: DataFrame | None) -> None:
    """LeakFound when anything of the written build sits where it must not; BuildRefused where that is not known yet."""
    asked = Asked.of(note)
    rows = lake.read("splits").where(f"build_id = '{build}'")
    audio = asked_audio(lake, rows, asked.decontaminate)
    keyed = keyed_audio(lake, audio)
    unknown = never_compared(lake, audio, keyed)
    if unknown:
        raise BuildRefused(f"build {build} is not published: {unknown}", hint=MENDED_BY)
    found = leaks(
        rows,
        links(lake, asked.decontaminate),
        said_assignments(lake, note["scheme"]),
        asked,
        listed,
        heard=heard_samples(lake),
        copies=None if keyed is None else copies_of(lake, keyed),
        before=largest_release(lake, note["scheme"], but=build),
        evaluated_texts=evaluated_texts(lake, note["scheme"]) if asked.links.compares_texts else None,
    )
    told = told_leaks(found)
    if told:
        raise LeakFound(
            f"build {build} is not published: {told}",
            hint="Samples or copies on two sides: run `speechlake find-duplicates` first. Samples of an evaluation corpus: run `speechlake extract-signals` on it, then find-duplicates; a file of it was replaced, and nobody has read what it is now; where that cannot be read, put it back or take its line out of the manifest. Moved: `assignments` was changed by hand; RESTORE it, or begin a new `scheme`. Else look at `speechlake explain` of these rows.",
        )


def _require_whole(lake: Lake, build: str, counted: Mapping[str, int]) -> None:
    """Conflict unless the tables hold as many rows of the build as were staged.

    Where no locks tell who runs, upkeep may sweep rows of a build that was left for long while it is taken up.
    """
    from pyspark.sql import functions as F

    for name, staged in counted.items():
        stored = lake.read(name).where(F.col("build_id") == build).count()
        if stored != staged:
            raise Conflict(
                f"{name} holds {stored} of the {staged} rows of build {build}: others deleted them meanwhile",
                hint="Run the same command again: nothing was published, and what was staged is still there.",
            )


def told_leaks(found: DataFrame) -> str:
    """The first leaks in a line; empty where there is none."""
    rows = found.limit(LEAKS_TOLD + 1).collect()
    told = "; ".join(f"{row.kind} {row.value} on {', '.join(row.sides)}" for row in rows[:LEAKS_TOLD])
    return told + (" and more" if len(rows) > LEAKS_TOLD else "")


def _append(
    hold: Hold, name: str, rows: DataFrame, build: str, digest: str, expected: int | None = None
) -> None:
    """Append what the table lacks of the build's rows, of which there are `expected`."""
    from pyspark.sql import functions as F

    whole = rows.withColumn("build_id", F.lit(build)).select(*TABLES[name].column_names)
    mine = F.col("build_id") == build
    # As a rule no row is there yet; then all of them need not meet nothing.
    fresh = expected is not None and hold.lake.read(name).where(mine).isEmpty()
    hold.append_missing(name, whole, within=mine, digest=digest, fresh=fresh, expected=expected)


def _now_or_later(lake: Lake) -> datetime:
    """Now, or right after the last release where the clock was set back: the order of releases decides whose
    side of a link key counts, and which of them is the latest."""
    from pyspark.sql import functions as F

    now = datetime.now(UTC)
    last = lake.read("releases").agg(F.max("published_at").alias("at")).collect()[0].at
    return now if last is None else max(now, last.astimezone(UTC) + timedelta(microseconds=1))


def _release_row(lake: Lake, note: Mapping[str, Any], build: str, digest: str) -> dict[str, Any]:
    same = ("release", "policy", "policy_sha256", "scheme", "versions_read", "warnings", "counts", "rules")
    return {
        **{name: note[name] for name in same},
        "build_id": build,
        "rows_digest": digest,
        "known_speaker_hours_ratio": note["known_speakers"],
        "pinned": note.get("pinned", {}),
        "published_at": _now_or_later(lake),
    }


def _packed(name: str, frame: DataFrame) -> DataFrame:
    """The rows as one struct column called `name`."""
    from pyspark.sql import functions as F

    return frame.select(F.lit(name).alias("part"), F.struct(*frame.columns).alias(name))


def _unpacked(staged: DataFrame, name: str) -> DataFrame:
    return staged.where(f"part = '{name}'").select(f"{name}.*")
