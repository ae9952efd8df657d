"""Calibrate: may a Whisper model hear short clips in short windows? Compared on transcribed clips of the lake.

A sample of transcribed utterances per language is measured twice, in windows cut to the clip and in full
ones of 30 s; both stay as measurements. Where the cut windows' error rate is not worse, by more than a
stated margin, extract-signals uses them from then on for that model, these options and that language.

    spark-submit --py-files dist/speechlake.zip jobs/calibrate.py --lake s3a://corpus/lake --model whisper-base
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from speechlake import job
from speechlake.commands import extract_signals, score_transcripts
from speechlake.compare.answers import texts
from speechlake.compare.pairs import pairs
from speechlake.errors import UsageError
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.ledger import Run
from speechlake.progress import Progress
from speechlake.signals.calibration import (
    FEWEST_CLIPS,
    Verdict,
    in_cut_windows,
    sampled,
    to_try,
    verdict,
    write_verdicts,
)
from speechlake.signals.choice import is_of_profile, require_computable, resources, whisper_of
from speechlake.signals.devices import device_named
from speechlake.signals.plan import Wanted
from speechlake.signals.whisper_flags import add_whisper, as_flags, whisper_options
from speechlake.signals.whisper_windows import LONGEST_CUT_S
from speechlake.terminal import console, percent, show
from speechlake.text.languages import language_of
from speechlake.text.paired_frames import paired_by

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.signals.whisper import Whisper

NAME = "calibrate"


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    add_whisper(made)
    made.add_argument("--language", action="append", help="tag or name; repeatable; default all with texts")
    made.add_argument(
        "--clips",
        type=job.whole(FEWEST_CLIPS),
        default=300,
        help="transcribed clips per language, default 300",
    )
    job.add_wait(made)
    return made


def run(
    lake: Lake,
    how: Whisper,
    *,
    languages: Sequence[str] | None,
    clips: int,
    wait_s: float = 0.0,
    progress: Progress,
) -> Report:
    """Measure the sample both ways, compare, and store a verdict per language; nothing where all is known."""
    if how.task == "translate":
        raise UsageError(
            "windows are compared by the errors of transcripts, and a translation has none",
            hint="Say --task transcribe; translations are heard in full windows.",
        )
    cut, full = (Wanted(one, one.identity()) for one in to_try(how))
    chosen = sampled(lake, languages, clips)
    if chosen.isEmpty():
        raise UsageError(
            f"{lake.root} has no transcribed utterances of a known length up to {LONGEST_CUT_S:g} s"
            + (f" in {', '.join(languages)}" if languages else ""),
            hint="Ingest a corpus with texts and languages first. Where its manifests declare no lengths, measure them: "
            f"speechlake extract-signals --lake {lake.root} --extractor audio",
        )
    for corpus in job.corpora_of(lake, None):
        extract_signals.measure_some(
            lake, [cut, full], corpus=corpus, only=chosen, wait_s=wait_s, progress=progress
        )
        score_transcripts.run(lake, corpus=corpus, wait_s=wait_s, progress=progress)
    found = _verdicts(lake, full.fingerprint, cut.fingerprint, chosen)
    this = Run(NAME, "lake", {"cut": cut.fingerprint, "full": full.fingerprint})
    with lake.hold(NAME, "lake", this.run_id, wait_s=wait_s) as hold:
        this.reads(lake, ("signals_whisper", "scores"))
        this.rows_out = write_verdicts(hold, full.fingerprint, cut.fingerprint, found)
        if hold.versions_written:
            this.finish(hold)
    _show(found)
    if few := [each for each in found if each.paired.utterances < FEWEST_CLIPS]:
        progress.say(f"{', '.join(each.language for each in few)}: too few clips; an earlier verdict stays")
    outcome = "done" if this.rows_out else "nothing to do"
    counts = {"languages": len(found), "equal": sorted(each.language for each in found if each.equal)}
    # Only --promote makes current what is to be measured anew; without it, the profile stays with its windows.
    # The profile's own way needs no flags: they would lose its number type on another device.
    flags = "" if is_of_profile(lake, how) else f" {as_flags(how)}"
    following = f"speechlake extract-signals --lake {lake.root}{flags} --promote"
    return Report(NAME, outcome, this.run_id if this.rows_out else None, counts, following)


def _verdicts(lake: Lake, full: str, cut: str, chosen: DataFrame) -> list[Verdict]:
    """A verdict per language of the sample."""
    short = in_cut_windows(lake, cut, chosen)
    both = (
        pairs(lake, [(None, full)], [(None, cut)]).join(short, on="utterance_id", how="left_semi").persist()
    )
    try:
        changed = {row["name"]: row.asDict() for row in texts(both).collect()}
        compared = paired_by(both.where("comparable"), "name")
    finally:
        both.unpersist()
    return [verdict(name, compared[name], changed[name]) for name in sorted(compared) if name]


def _show(found: Sequence[Verdict]) -> None:
    names = ("language", "verdict", "clips", "full", "cut", "95 % of the difference", "deletions", "insertions", "flips", "runaways", "why")  # fmt: skip
    rows = [
        [
            each.language,
            "equal" if each.equal else "keep full windows",
            each.paired.utterances,
            percent(each.paired.rate_a),
            percent(each.paired.rate_b),
            f"{100 * (each.paired.low or 0):+.2f} to {100 * (each.paired.high or 0):+.2f} points",
            percent(each.paired.deletions),
            percent(each.paired.insertions),
            each.flips,
            each.runaways,
            each.why,
        ]
        for each in found
    ]
    show(console(), "Cut windows against full ones: error rates", names, rows)


def _call(lake: Lake, parsed: argparse.Namespace) -> Report:
    device = device_named(parsed.device or "auto", lake.spark)
    where = resources(device, parsed.batch_seconds, parsed.streams)
    how = whisper_of(job.existing(lake), whisper_options(parsed), where)
    require_computable(lake.spark, how)
    return run(
        lake,
        how,
        languages=parsed.language,
        clips=parsed.clips,
        wait_s=parsed.wait,
        progress=Progress(),
    )


def _read(parsed: argparse.Namespace) -> None:
    if parsed.language:
        parsed.language = sorted({language_of(said) for said in parsed.language})


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(NAME, arguments(), _call, argv, read=_read)


if __name__ == "__main__":
    sys.exit(main())
