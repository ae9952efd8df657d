"""Pipeline: every job over the corpora of a file, one after another, in one Spark session.

Ingest, segmentation (where a corpus asks for it) and extraction run corpus by corpus, then scores,
duplicates and the release. A corpus that is refused, whose source is not there, or of which nearly all clips
fail, is told and left behind; the others go on, but nothing is released without it. Running it again changes
nothing. With several pairs of --policy and --release each is cut in turn, whatever becomes of the others, and
compared with the first; what one joins of all utterances serves those that follow.

    spark-submit --py-files dist/speechlake.zip jobs/pipeline.py \\
        --lake s3a://corpus/lake --corpora corpora.yaml --policy asr-train --release 2026-11
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from speechlake import job
from speechlake.cli import command
from speechlake.commands import (
    build_splits,
    diff_releases,
    extract_signals,
    find_duplicates,
    ingest_manifests,
    report,
    score_transcripts,
    segment_recordings,
)
from speechlake.commands.build_splits import Cut, cuts_of, run_cut
from speechlake.corpora import Corpus, load_corpora
from speechlake.errors import ChunkFailed, ConfigError, NoStore, Refused, UsageError
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.progress import Progress
from speechlake.signals.plan import Wanted
from speechlake.splits.reuse import reusing
from speechlake.terminal import console

NAME = "pipeline"
STEPS = tuple(
    module.NAME
    for module in (
        ingest_manifests,
        segment_recordings,
        extract_signals,
        score_transcripts,
        find_duplicates,
        build_splits,
    )
)


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument("--corpus", help="one corpus of the file; default all, one after another")
    made.add_argument("--corpora", required=True, type=Path, help="YAML file of corpora")
    made.add_argument(
        "--policy",
        type=Path,
        action="append",
        help="YAML file, or a name such as asr-train, that says what is kept; needed to build splits; several, each with its --release",
    )
    made.add_argument(
        "--release", action="append", help="name under which a build is published; one per --policy"
    )
    made.add_argument("--until", choices=STEPS, default=STEPS[-1], help="the last job that runs")
    extract_signals.add_measuring(made)
    job.add_wait(made)
    return made


@dataclass(frozen=True)
class Flow:
    """What a pipeline is asked to do."""

    corpora: Sequence[Corpus]
    wanted: Sequence[Wanted]
    cuts: Sequence[Cut] = ()
    until: str = STEPS[-1]
    promote: bool = False
    wait_s: float = 0.0


@dataclass
class _Outcome:
    reports: list[Report] = field(default_factory=list)
    refused: dict[str, Report] = field(default_factory=dict)


def run(lake: Lake, flow: Flow, *, progress: Progress) -> Report:
    """Run the jobs of `flow` in order; the first refusal, if any, is the report's, but for one that is worth another
    try. Nothing is released without a corpus that was refused; a release that is refused keeps no other."""
    with reusing([cut.policy for cut in flow.cuts]):
        outcome = _ran(lake, flow, progress)
    nothing = all(found.outcome == "nothing to do" for found in outcome.reports)
    counts = {"jobs": len(outcome.reports), "refused": sorted(outcome.refused)}
    refusals = [found.refusal for found in outcome.refused.values()]
    # A scheduler tries again by it.
    passing = (each for each in refusals if isinstance(each, ChunkFailed | NoStore))
    refusal = next(passing, next(iter(refusals), None))
    whole = flow.until == STEPS[-1]
    shown = [
        "report",
        "--lake",
        lake.root,
        *(part for cut in flow.cuts[:1] for part in ("--release", cut.release)),
    ]
    following = command(*shown) if whole else outcome.reports[-1].next_step
    return Report(NAME, "nothing to do" if nothing else "done", None, counts, following, refusal)


def _ran(lake: Lake, flow: Flow, progress: Progress) -> _Outcome:
    """Each job in turn, as far as what was refused before lets it run."""
    outcome = _Outcome()
    for name, corpus, call in _calls(lake, flow, progress):
        if corpus in outcome.refused:
            continue
        if corpus is None and flow.corpora and all(each.name in outcome.refused for each in flow.corpora):
            # Nothing is new; and of a lake that is not there, what reads all of it would make tables.
            progress.say(f"-- {name} is left out: every corpus is refused")
            break
        lacking = ", ".join(sorted(filter(None, outcome.refused)))
        if name == STEPS[-1] and lacking:
            # A release never changes: its name would be used up by one that lacks a corpus.
            names = ", ".join(cut.release for cut in flow.cuts)
            progress.say(f"-- {name} is left out: {names} would lack {lacking}; mend that, and run again")
            break
        progress.say(f"-- {name}" + (f" {corpus}" if corpus else ""))
        found = _ended(name, call)
        outcome.reports.append(found)
        if found.refusal is not None:
            progress.say(str(found.refusal))
            outcome.refused.setdefault(corpus or "", found)
    return outcome


def _ended(name: str, call: Callable[[], Report]) -> Report:
    """The report of one call: of one corpus, or of one release. An error that another try would meet again, or that a
    model or store had with its clips, is its refusal, and no other's, except in what all corpora have in common."""
    try:
        return call()
    except (Refused, UsageError, ChunkFailed, NoStore) as error:
        # A store that does not answer is a SOURCE's in ingest, and the lake's behind it.
        common = isinstance(error, NoStore) and name != ingest_manifests.NAME
        if name == find_duplicates.NAME or common:
            raise
        return Report(name, "refused", refusal=error)


def _calls(
    lake: Lake, flow: Flow, progress: Progress
) -> Iterator[tuple[str, str | None, Callable[[], Report]]]:
    """(job, corpus, call) in order, up to the last job that is asked for."""
    steps = STEPS[: STEPS.index(flow.until) + 1]
    per_corpus: dict[str, Callable[[Corpus], Report]] = {
        ingest_manifests.NAME: lambda corpus: ingest_manifests.run(
            lake, corpus, wait_s=flow.wait_s, progress=progress
        ),
        segment_recordings.NAME: lambda corpus: _segmented(lake, corpus, flow.wait_s, progress),
        extract_signals.NAME: lambda corpus: extract_signals.run(
            lake,
            flow.wanted,
            corpus=corpus.name,
            promote=flow.promote,
            wait_s=flow.wait_s,
            progress=progress,
        ),
        score_transcripts.NAME: lambda corpus: score_transcripts.run(
            lake, corpus=corpus.name, wait_s=flow.wait_s, progress=progress
        ),
    }
    for name in steps:
        for corpus in flow.corpora if name in per_corpus else ():
            if name == segment_recordings.NAME and corpus.segment is None:
                continue
            yield name, corpus.name, lambda name=name, corpus=corpus: per_corpus[name](corpus)  # type: ignore[misc]
    if find_duplicates.NAME in steps:
        yield (
            find_duplicates.NAME,
            None,
            lambda: find_duplicates.run(lake, wait_s=flow.wait_s, progress=progress),
        )
    for cut in flow.cuts if build_splits.NAME in steps else ():
        yield (
            build_splits.NAME,
            None,
            lambda cut=cut: run_cut(lake, cut, wait_s=flow.wait_s, progress=progress),  # type: ignore[misc]
        )


def _segmented(lake: Lake, corpus: Corpus, wait_s: float, progress: Progress) -> Report:
    assert corpus.segment is not None, "others are not segmented"
    return segment_recordings.run(
        lake,
        corpus.segment.segmenter(),
        corpus=corpus.name,
        discard_text=corpus.segment.discard_text,
        wait_s=wait_s,
        progress=progress,
    )


def flow_of(parsed: argparse.Namespace) -> Flow:
    """What the arguments ask for, but for `wanted`, which needs a lake; ConfigError where file and arguments
    disagree."""
    corpora = load_corpora(parsed.corpora)
    if parsed.corpus is not None:
        names = [corpus.name for corpus in corpora]
        corpora = [corpus for corpus in corpora if corpus.name == parsed.corpus]
        if not corpora:
            raise ConfigError(
                f"{parsed.corpora} has no corpus {parsed.corpus!r}", hint=f"Corpora: {', '.join(names)}."
            )
    policies, releases = parsed.policy or [], parsed.release or []
    if parsed.until == STEPS[-1] and not (policies and releases):
        raise UsageError(
            "--policy and --release are needed to build splits", hint=f"Or stop earlier: --until {STEPS[-2]}."
        )
    return Flow(corpora, [], cuts_of(policies, releases), parsed.until, parsed.promote, parsed.wait)


def _read(parsed: argparse.Namespace) -> None:
    extract_signals.asked_extractors(parsed)
    parsed.flow = flow_of(parsed)


def _call(lake: Lake, parsed: argparse.Namespace) -> Report:
    """The pipeline, then its summary on the terminal when anything was done."""
    started = time.monotonic()
    flow = replace(parsed.flow, wanted=extract_signals.wanted_of(parsed, lake))
    done = run(lake, flow, progress=Progress())
    if done.outcome == "nothing to do":
        Progress().say(f"nothing to do: {lake.root} is up to date with {parsed.corpora}")
    if flow.until != STEPS[-1] or done.refusal is not None:
        return done
    first, *others = (cut.release for cut in flow.cuts)
    if done.outcome != "nothing to do":
        report.run(lake, release=first)
    # Also where nothing was to do: what moved between them is wrong until one of them is cut again.
    compared = [diff_releases.run(lake, first, other) for other in others]
    done.refusal = next((found.refusal for found in compared if found.refusal is not None), None)
    if done.outcome != "nothing to do":
        out = console()
        out.print(f"All jobs together took {time.monotonic() - started:.0f} s. Try next:")
        for way in ways_on(lake, first):
            out.print(f"  {way}", soft_wrap=True)
    return done


def ways_on(lake: Lake, release: str) -> list[str]:
    """Three commands to try next; the utterance to explain is one that the release leaves out, if there is any."""
    from pyspark.sql import functions as F

    build = lake.read("releases").where(F.col("release") == release).select("build_id")
    left_out = lake.read("decisions").join(F.broadcast(build), "build_id", how="left_semi")
    first = left_out.orderBy("utterance_id").select("utterance_id").limit(1).collect()
    return [
        *(command("explain", "--lake", lake.root, row.utterance_id[:8]) for row in first),
        command("sql", "--lake", lake.root, "select language, count(*) n from utterances_now group by 1"),
        command("build-splits", "--lake", lake.root, "--policy", "MY.yaml", "--release", "NAME"),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(NAME, arguments(), _call, argv, read=_read)


if __name__ == "__main__":
    sys.exit(main())
