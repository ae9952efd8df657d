"""Erase speakers, recordings, utterances or corpora: out of every table, its files, its log, and for good.

The request is a YAML file that says who asks, why, and what goes. Rows vanish from all tables and their history;
salted hashes stay, so that ingest does not bring them back. Releases that held them are listed, and their
policies cut successors, in which everyone else stays where they were; where the gate refuses one, this ends with 3
and all the same is done. Nothing else may run meanwhile. Killed anywhere, the same command finishes, and other jobs
wait for that; a second run does nothing.

    spark-submit --py-files dist/speechlake.zip jobs/erase_speakers.py \\
        --lake s3a://corpus/lake --request request.yaml --report erasure.md
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from speechlake import job, logs
from speechlake.commands.build_splits import Cut, run_cut
from speechlake.erasure import report as reports
from speechlake.erasure.alone import alone
from speechlake.erasure.found import Found, Meant, alike, found_by, is_remembered, meant, missing
from speechlake.erasure.mentions import mentions
from speechlake.erasure.releases import Held, policy_of
from speechlake.erasure.request import Request, load_request
from speechlake.erasure.step import Counted, Told, carry_out, foreseen, releases_of, staged
from speechlake.erasure.tombstones import hash_of, salt_of
from speechlake.errors import Refused, SpeechlakeError, UsageError
from speechlake.hold import Hold
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.ledger import Run
from speechlake.progress import Progress
from speechlake.questions import is_published, release_named
from speechlake.splits.reuse import reusing
from speechlake.staging import Stage

NAME = "erase-speakers"


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument("--request", required=True, type=Path, help="YAML file: who asks, why, and what goes")
    made.add_argument(
        "--sha256", metavar="HEX", help="of the request file, as it was approved; any other is refused"
    )
    made.add_argument("--plan", action="store_true", help="say what would go; delete nothing")
    made.add_argument(
        "--report", type=Path, metavar="FILE", help="Markdown for who asked, JSON beside it; not in the lake"
    )
    job.add_wait(made)
    return made


def run(
    lake: Lake,
    request: Request,
    *,
    plan: bool = False,
    report: Path | None = None,
    wait_s: float = 0.0,
    progress: Progress,
    told: Told | None = None,
) -> Report:
    """Take all that `request` names out of the lake; `told` hears of every step before it, `progress` without it."""
    reports.require_place(report, lake)

    def say(step: str) -> None:
        progress.say(f"{request.reference}: {step}")

    told = told or say
    say("looking for what it names")
    if plan:
        return _planned(lake, request, report, progress)
    this = Run(NAME, "lake", {"reference": request.reference})
    with lake.hold(NAME, "lake", this.run_id, wait_s=wait_s) as hold:
        with alone(hold, wait_s):
            began, stages = _carried_out(hold, request, report, told)
        problems = _followed(hold, stages, wait_s, progress, told)
        # An earlier run may have deleted everything, and left this one nothing but the successors.
        done = bool(hold.versions_written) or any(stage.run_id != this.run_id for stage in stages)
        if done:
            digest = hash_of(salt_of(lake), "request", request.canonical())
            this.arguments = {**this.arguments, "request": digest}
            this.counts = {**_counts(stages), "without_successor": len(problems)}
            this.finish(hold)
    told_of = [_in_a_line(problem) for problem in problems]
    reports.write_report(report if began else None, began or {}, reports.DONE, this.run_id, told_of)
    progress.say(f"{request.reference}: {_sentence(this.counts) if done else 'nothing to do'}")
    if done:
        _say_what_is_left(request, began, progress)
    for problem in told_of:
        progress.say(problem)
    outcome = "done" if done else "nothing to do"
    refused = next((problem for problem in problems if isinstance(problem, Refused)), None)
    return Report(NAME, outcome, this.run_id, this.counts, _following(lake), refused)


def _carried_out(
    hold: Hold, request: Request, report: Path | None, told: Told
) -> tuple[reports.Account | None, list[Stage]]:
    """Finish what earlier runs left, then do what is asked; the account of it, and the stages whose releases need
    successors."""
    lake = hold.lake
    began = reports.begun_report(report, request.reference)
    stages = [*hold.staging.complete()]
    for stage in stages:
        carry_out(hold, stage, told)
    with _asked(lake, request) as (said, there, salt):
        if _is_nothing(said, there) and is_remembered(lake, said, salt):
            return began or _unknown(lake, request, stages), stages
        with foreseen(lake, request, said, there, salt) as (hashes, found):
            began = _account(lake, request, said, there, found)
            # Before the stage: once that is there, the next run deletes, whoever asks.
            reports.write_report(report, began, reports.UNDER_WAY, hold.run_id)
            stage = staged(hold, request, salt, hashes, found)
    carry_out(hold, stage, told)
    return began, [*stages, stage]


def _followed(
    hold: Hold, stages: Sequence[Stage], wait_s: float, progress: Progress, told: Told
) -> list[SpeechlakeError]:
    """Cut the successors of releases that held what went, unless an interrupted run did, then forget the stages; why
    there is none, of each without.

    What may pass (a conflict, a full disk) is raised, and the stages stay: the same command goes on from here.
    """
    told("successors")
    lake = hold.lake
    held = [each for stage in stages for each in releases_of(stage.note) if each.newest]
    # Two erasures of which one was interrupted may name one successor.
    once = {(each.release, each.successor): each for each in held}
    left = [each for each in once.values() if not is_published(lake, each.successor)]
    cuts = [(each.release, _cut_of(lake, each)) for each in left]
    with reusing([cut.policy for _, cut in cuts if cut]):
        problems = [_no_successor(lake, name, cut, wait_s, progress) for name, cut in cuts]
    # The builds noted runs of their own.
    logs.note_run(hold.job, hold.scope, hold.run_id)
    told("stage")
    for stage in stages:
        hold.staging.delete(stage)
    hold.staging.clear()
    return [problem for problem in problems if problem]


@contextmanager
def _asked(lake: Lake, request: Request) -> Iterator[tuple[Meant, Found, str]]:
    """What the request means here, kept while it is looked at; UsageError where it names what never was here."""
    said, salt = meant(lake, request), salt_of(lake)
    lost = missing(lake, said, salt)
    if lost:
        near = "; ".join(alike(lake, said)[:5])
        raise UsageError(
            f"the request names {len(lost)} that {lake.root} does not hold: {'; '.join(lost[:5])}",
            hint=f"Nothing was erased. {f'Written otherwise it holds: {near}. ' if near else ''}Look at speaker_id and recording_id by `speechlake sql`.",
        )
    there = found_by(lake, said)
    try:
        yield said, there, salt
    finally:
        there.forget()


def _is_nothing(said: Meant, there: Found) -> bool:
    return not said.corpora and there.utterances.isEmpty() and there.recordings.isEmpty()


def _planned(lake: Lake, request: Request, report: Path | None, progress: Progress) -> Report:
    """Say what would go, and write nothing but the report."""
    with (
        _asked(lake, request) as (said, there, salt),
        foreseen(lake, request, said, there, salt) as (_, found),
    ):
        whole = _account(lake, request, said, there, found)
    reports.write_report(report, whole, reports.PLANNED, "none")
    counts = _of_rows(found.rows, found.releases)
    progress.say(f"{request.reference}: would erase {_sentence(counts)}")
    _say_what_is_left(request, whole, progress)
    return Report(NAME, "planned", None, counts, _following(lake))


def _say_what_is_left(request: Request, said: reports.Account | None, progress: Progress) -> None:
    """How much there is to look at: what it is may name somebody, and stands in the report alone."""
    if said and (n := len(said["mentions"])):
        progress.say(f"{request.reference}: {n} left to look at, which --report tells")


def _account(lake: Lake, request: Request, said: Meant, there: Found, found: Counted) -> reports.Account:
    return reports.account(lake, request, there, found, mentions(lake, request, said, there))


def _unknown(lake: Lake, request: Request, stages: Sequence[Stage]) -> reports.Account | None:
    """What can still be told of an interrupted run that wrote no report, or wrote it elsewhere."""
    mine = [stage for stage in stages if stage.note["reference"] == request.reference]
    return reports.account_of_note(lake, request, mine[0].note) if mine else None


def _cut_of(lake: Lake, held: Held) -> Cut | None:
    """The successor of a release, of the same policy; None where that is not to be had from the release."""
    release = release_named(lake, held.release) or {}
    policy = policy_of(release)
    return Cut(policy, str(release["policy"]), held.successor) if policy and held.successor else None


def _no_successor(
    lake: Lake, release: str, cut: Cut | None, wait_s: float, progress: Progress
) -> SpeechlakeError | None:
    """Publish what the release's policy yields now, everyone else on their side: None, or why that is not to be."""
    by_hand = f"release {release} has no successor; build one by `speechlake build-splits`"
    if cut is None:
        return UsageError(
            f"{by_hand}: its policy reads lists of files, or is not understood by this version."
        )
    try:
        run_cut(lake, cut, wait_s=wait_s, progress=progress)
    except (UsageError, Refused) as error:
        return type(error)(f"{by_hand}: {error.message}", hint=error.hint)
    return None


def _in_a_line(error: SpeechlakeError) -> str:
    return f"{error.message} {error.hint or ''}".rstrip()


def _counts(stages: Sequence[Stage]) -> dict[str, int]:
    every = [_of_rows(stage.note["rows"], releases_of(stage.note)) for stage in stages]
    return {name: sum(each[name] for each in every) for name in (every[0] if every else ())}


def _of_rows(rows: Mapping[str, int], releases: Sequence[Held]) -> dict[str, int]:
    named = {name: rows.get(name, 0) for name in ("utterances", "recordings", "manifests")}
    return {**named, "rows": sum(rows.values()), "releases": len(releases)}


def _sentence(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.items()) or "nothing"


def _following(lake: Lake) -> str:
    return f"speechlake find-duplicates --lake {lake.root}"


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(NAME, arguments(), _call, argv, read=_read)


def _read(parsed: argparse.Namespace) -> None:
    reports.require_apart(parsed.report, parsed.request)
    parsed.request = load_request(parsed.request, sha256=parsed.sha256)


def _call(lake: Lake, parsed: argparse.Namespace) -> Report:
    return run(
        job.existing(lake),
        parsed.request,
        plan=parsed.plan,
        report=parsed.report,
        wait_s=parsed.wait,
        progress=Progress(),
    )


if __name__ == "__main__":
    sys.exit(main())
