"""Build splits: a policy over everything that is known -> a published release of train, dev and test.

Needs no model: a new threshold is a new release in seconds. Every utterance ends in a split or is
excluded with a reason; a build that leaks is refused. Running it again changes nothing. With several pairs
of --policy and --release each is cut in turn, whatever is refused of the others; what one joins of all
utterances serves those that follow.

    spark-submit --py-files dist/speechlake.zip jobs/build_splits.py \\
        --lake s3a://corpus/lake --policy asr-train --release 2026-11
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechlake import job
from speechlake.by_hand import changed_since_any_run
from speechlake.checkpoints import checkpointed, freeing
from speechlake.cli import command
from speechlake.errors import Refused, SpeechlakeError, UsageError
from speechlake.hold import Hold
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.ledger import Run, nothing_to_do
from speechlake.progress import Progress
from speechlake.signals.catalogue import fingerprints
from speechlake.splits.candidates import TABLES_READ, heard_voices, profile_of
from speechlake.splits.compared import without_keys
from speechlake.splits.evaluate import evaluated
from speechlake.splits.fields import refuse_unknown_fields
from speechlake.splits.gate import Asked
from speechlake.splits.lists import oddities
from speechlake.splits.pins import without_values
from speechlake.splits.policy import Policy, read_policy
from speechlake.splits.publish import commit_build, refuse_used_name, staged_build
from speechlake.splits.recall import put_back
from speechlake.splits.reuse import reusing
from speechlake.splits.voices import alike_voices
from speechlake.staging import Stage
from speechlake.terminal import shown

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

NAME = "build-splits"
# Where a build's rows stand: what is lacking of them is put back.
ITS_OWN = ("splits", "decisions", "fixed_sets", "releases")
# What is told once a frame is computed, of those that take the time where there are millions of utterances.
STEPS = {
    "judged": "all are judged; linking those that belong together",
    "sided": "sides are filled; looking for what train shares with them",
    "decided": "all is decided",
}


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument(
        "--policy",
        required=True,
        type=Path,
        action="append",
        help="YAML file, or a name such as asr-train, that says what is kept and how splits are sized; several, each with its --release",
    )
    made.add_argument(
        "--release",
        required=True,
        action="append",
        help="name under which a build is published; one per --policy",
    )
    job.add_wait(made)
    return made


@dataclass(frozen=True)
class Cut:
    """A release to build: a policy, the YAML it was read from, and the name."""

    policy: Policy
    policy_text: str
    release: str


def cuts_of(policies: Sequence[Path], releases: Sequence[str]) -> list[Cut]:
    """Each policy, read once, with its release; UsageError where these are no pairs, or a name is none or not its own."""
    own = "Each release has a policy and a name of its own."
    if len(policies) != len(releases):
        raise UsageError(f"{len(policies)} --policy for {len(releases)} --release", hint=own)
    for name in releases:
        require_name(name)
    if twice := sorted({name for name in releases if releases.count(name) > 1}):
        raise UsageError(f"--release {twice[0]} is given more than once", hint=own)
    return [Cut(*read_policy(path), name) for path, name in zip(policies, releases, strict=True)]


def require_name(release: str) -> None:
    """UsageError for what cannot be a release's name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", release):
        raise UsageError(
            f"--release {release!r}: expected 1-64 letters, digits, '.', '_', '-' that begin with a letter or digit"
        )


def run(
    lake: Lake, policy: Policy, text: str, *, release: str, wait_s: float = 0.0, progress: Progress
) -> Report:
    """Evaluate `policy` (whose YAML is `text`) and publish the result as `release`."""
    require_name(release)
    this = Run(NAME, policy.splits.scheme, {"policy": policy.digest(), "release": release}, lasting=True)
    following = command("report", "--lake", lake.root, "--release", release)
    with freeing(), lake.hold(NAME, this.scope, this.run_id, wait_s=wait_s) as hold:
        note = _adopted(hold, release, policy, progress)
        if note is not None:
            # What the earlier run read; its own rows and sides stand only now.
            this.reads(lake, ("assignments", *ITS_OWN))
            this.versions_read = {**note["versions_read"], **this.versions_read}
        elif not nothing_to_do(lake, this):
            _prepare(hold, this, policy, release, progress)
            this.reads(lake, (*TABLES_READ, *ITS_OWN))
            note = _publish(hold, this, policy, text, release, progress)
        if note is not None and this.is_news(hold):
            this.counts = _counts(note)
            this.rows_out = sum(this.counts.values())
            this.finish(hold)
    done = bool(hold.versions_written)
    told = ", ".join(f"{n} {name}" for name, n in this.counts.items())
    progress.say(f"release {release}: {told or 'nothing to do'}")
    warnings = [] if note is None else note["warnings"]
    for warning in warnings:
        progress.say(f"release {release}: note: {shown(warning)}")
    return Report(
        NAME,
        "done" if done else "nothing to do",
        this.run_id,
        this.counts,
        following,
        more={"warnings": warnings},
    )


def _adopted(hold: Hold, release: str, policy: Policy, progress: Progress) -> Mapping[str, Any] | None:
    """Publish the build that an earlier run of this policy and release staged; its note, or None.

    What can no longer be published is dropped and told: this run's own build may do better.
    """
    published: list[Mapping[str, Any]] = []

    def commit(stage: Stage) -> None:
        progress.say(f"release {release}: an earlier run left it ready, of what was known then")
        try:
            if commit_build(hold, stage) is not None:
                published.append(stage.note)
        except (UsageError, Refused) as error:
            progress.say(f"release {release}: what an earlier run left is dropped: {error.message}")

    same = {"release": release, "policy_sha256": policy.digest()}
    hold.adopt(commit, lambda stage: same.items() <= stage.note.items())
    return next(iter(published), None)


def _prepare(hold: Hold, this: Run, policy: Policy, release: str, progress: Progress) -> None:
    """What is refused, dropped and mended before a build takes its time."""
    refuse_used_name(hold.lake, release, policy)
    refuse_unknown_fields(hold.lake, policy)
    _drop_others(hold, progress)
    _mend_memory(hold, this, progress)


def _drop_others(hold: Hold, progress: Progress) -> None:
    """Builds that other commands left: whoever interrupted one because its policy was wrong wants no release of it."""
    if hold.fence.raised:
        # No lock tells who runs: another driver may be publishing them.
        return
    for stage in list(hold.staging.complete()):
        progress.say(f"release {stage.note['release']}: a build that an earlier run left ready is dropped")
        hold.staging.delete(stage)


def _mend_memory(hold: Hold, this: Run, progress: Progress) -> None:
    """Put back the sides that `assignments` has lost by somebody's hand: they would be given anew."""
    lake = hold.lake
    if lake.exists("assignments") and not changed_since_any_run(lake, this, "assignments"):
        return
    lost = put_back(hold, this.scope, this.digest[:16])
    if lost:
        progress.say(f"{lost} sides were lost from assignments, and are put back from published releases")


def _publish(
    hold: Hold, this: Run, policy: Policy, text: str, release: str, progress: Progress
) -> Mapping[str, Any]:
    """Evaluate, stage, and publish what was staged; the stage's note."""
    lake = hold.lake
    progress.say(f"release {release}: judging every utterance")

    def staged(name: str, frame: DataFrame) -> DataFrame:
        done = checkpointed(name, frame)
        if name in STEPS:
            progress.say(f"release {release}: {STEPS[name]}")
        return done

    said = evaluated(lake, policy, staged)
    note = {
        "release": release,
        "policy": text,
        "policy_sha256": policy.digest(),
        "policy_pinned_sha256": said.policy.digest(),
        "pinned": dict(said.numbers),
        "scheme": policy.splits.scheme,
        "fingerprints": fingerprints(profile_of(lake, policy)),
        "versions_read": this.versions_read,
        **Asked.by(policy).note(),
    }
    # Where no voice was measured, all utterances would be read to find none.
    alike = (
        alike_voices(heard_voices(lake, policy), said.build.splits) if lake.exists("signals_speaker") else []
    )
    warned = [
        *oddities(lake, policy),
        *without_values(policy, said.numbers),
        *without_keys(lake),
        *alike,
    ]
    stage = staged_build(hold, said.build, note, this.digest[:16], warned)
    progress.say(f"release {release}: writing what was decided, and looking for leaks in it")
    commit_build(hold, stage)
    hold.staging.delete(stage)
    return stage.note


def _counts(note: Mapping[str, Any]) -> dict[str, int]:
    """Utterances by side, and those that are excluded, of the build that a note is about."""
    found: dict[str, int] = {}
    for count in note["counts"]:
        name = count["split"] or "excluded"
        found[name] = found.get(name, 0) + count["utterances"]
    return dict(sorted(found.items()))


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(NAME, arguments(), _call, argv, read=_read)


def run_all(lake: Lake, cuts: Sequence[Cut], *, wait_s: float = 0.0, progress: Progress) -> Report:
    """Build each of `cuts`. Of several one that is refused keeps no other from its release, and the first refusal is the
    report's; what is worth another try of all (Busy, NoStore) ends them, and the same command goes on."""
    if len(cuts) == 1:
        return run_cut(lake, cuts[0], wait_s=wait_s, progress=progress)
    found: dict[str, Report] = {}
    refused: dict[str, SpeechlakeError] = {}
    with reusing([cut.policy for cut in cuts]):
        for cut in cuts:
            try:
                found[cut.release] = run_cut(lake, cut, wait_s=wait_s, progress=progress)
            except (Refused, UsageError) as error:
                progress.say(f"release {cut.release}: {error}")
                refused[cut.release] = error
    done = any(report.outcome == "done" for report in found.values())
    counts = {release: report.counts for release, report in found.items()}
    following = next((report.next_step for report in found.values()), None)
    if len(found) > 1:
        following = command("diff-releases", "--lake", lake.root, *[*found][:2])
    return Report(
        NAME,
        "done" if done else "refused" if refused else "nothing to do",
        counts=counts,
        next_step=following,
        refusal=next(iter(refused.values()), None),
        more={"refused": [*refused]},
    )


def run_cut(lake: Lake, cut: Cut, *, wait_s: float = 0.0, progress: Progress) -> Report:
    """`run` of one cut."""
    return run(lake, cut.policy, cut.policy_text, release=cut.release, wait_s=wait_s, progress=progress)


def _read(parsed: argparse.Namespace) -> None:
    parsed.cuts = cuts_of(parsed.policy, parsed.release)


def _call(lake: Lake, parsed: argparse.Namespace) -> Report:
    return run_all(job.existing(lake), parsed.cuts, wait_s=parsed.wait, progress=Progress())


if __name__ == "__main__":
    sys.exit(main())
