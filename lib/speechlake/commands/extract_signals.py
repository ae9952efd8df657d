"""Extract signals: utterances -> one table of measurements per extractor.

Measures every utterance that has no current measurement, decoding each recording once for all
extractors, and commits chunk by chunk. Running it again changes nothing. Whisper runs as the profile
names it, but for what is said here.

    spark-submit --py-files dist/speechlake.zip jobs/extract_signals.py \\
        --lake s3a://corpus/lake --corpus librispeech --extractor audio --extractor whisper
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from speechlake import job
from speechlake.errors import ChunkFailed, UsageError
from speechlake.hold import Hold
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.ledger import Run, nothing_to_do
from speechlake.manifests.roots import require_roots
from speechlake.prices import add_price, price_of
from speechlake.progress import Progress
from speechlake.signals import DEFAULT_EXTRACTORS, EXTRACTORS
from speechlake.signals.catalogue import fingerprints, profile, register
from speechlake.signals.choice import resources, wanted_plain, wanted_with_options
from speechlake.signals.commit import Measured
from speechlake.signals.devices import device_named
from speechlake.signals.outlook import show_outlook, without_plan
from speechlake.signals.plan import Wanted, names_of
from speechlake.signals.promote import promote_all
from speechlake.signals.rehash import hash_relisted
from speechlake.signals.run import commit_any, confirmed_chunks, drop_plans, measured_chunks, staged_plan
from speechlake.signals.spread import phases
from speechlake.signals.whisper_flags import RUNNING, add_whisper, flag_of, whisper_options

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

NAME = "extract-signals"
READS = ("corpora", "recordings", "utterances", "content_hashes", "attempts")


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument("--corpus", help="one corpus; default all, one after another")
    add_measuring(made)
    made.add_argument(
        "--retry-given-up", action="store_true", help="try once more what failed for the last time"
    )
    made.add_argument("--plan", action="store_true", help="say what would run and what it may cost, and stop")
    add_price(made)
    job.add_wait(made)
    return made


def add_measuring(made: argparse.ArgumentParser) -> None:
    """What measures, and how."""
    made.add_argument(
        "--extractor",
        action="append",
        choices=list(EXTRACTORS),
        help=f"repeatable; default {', '.join(DEFAULT_EXTRACTORS)}",
    )
    add_whisper(made)
    made.add_argument(
        "--quality",
        choices=("fast", "accurate"),
        help="fast, the default: cut windows where `calibrate` found them equal; accurate: 30 s windows always",
    )
    made.add_argument(
        "--promote", action="store_true", help="make what this run measures with current in the profile"
    )


def asked_extractors(parsed: argparse.Namespace) -> list[str]:
    """Names of the extractors that the arguments name; UsageError where they contradict each other."""
    chosen = parsed.extractor or DEFAULT_EXTRACTORS
    names = [name for name in EXTRACTORS if name in chosen]
    given = [*whisper_options(parsed), *(n for n in (*RUNNING, "quality") if getattr(parsed, n) is not None)]
    if given and "whisper" not in names:
        raise UsageError(
            f"{flag_of(given[0])} is for the extractor whisper, which --extractor leaves out",
            hint="Add --extractor whisper.",
        )
    return names


def wanted_of(parsed: argparse.Namespace, lake: Lake) -> list[Wanted]:
    """What the arguments name, ready to travel; UsageError where they contradict each other."""
    wanted = []
    for name in asked_extractors(parsed):
        if name != "whisper":
            wanted.append(wanted_plain(name))
            continue
        device, quality = device_named(parsed.device or "auto", lake.spark), parsed.quality or "fast"
        where = resources(device, parsed.batch_seconds, parsed.streams)
        options = whisper_options(parsed)
        wanted += wanted_with_options(lake, options, where, quality=quality, promote=parsed.promote)
    return wanted


def run(
    lake: Lake,
    wanted: Sequence[Wanted],
    *,
    corpus: str | None,
    promote: bool = False,
    given_up: bool = False,
    wait_s: float = 0.0,
    progress: Progress,
) -> Report:
    """Measure what is unmeasured in one corpus or all, and count what happened.

    `given_up`: also what failed for the last time; where it fails again, it stays given up.
    """
    total, written, last = Measured(), False, None
    broken: ChunkFailed | None = None
    for name in job.corpora_of(lake, corpus):
        this = Run(NAME, name, {"corpus": name, "extractors": _told(wanted)}, by_corpus=True)
        try:
            written = _one_corpus(lake, wanted, this, total, promote, given_up, wait_s, progress) or written
        except ChunkFailed as error:
            # Of this corpus alone, it may be: the others are asked too.
            broken = broken or error
        last = this.run_id
    if broken is not None:
        raise broken
    named = fingerprints(profile(lake)) if written else [each.fingerprint for each in wanted]
    if aside := sorted({each.name for each in wanted if each.fingerprint not in named}):
        progress.say(
            f"{', '.join(aside)}: measured beside what the profile names; views and policies take it for current "
            "once the same command ran with --promote"
        )
    following = f"speechlake score-transcripts --lake {lake.root}"
    return Report(NAME, "done" if written else "nothing to do", last, total.counts(), following)


def _told(wanted: Sequence[Wanted]) -> list[list[Any]]:
    """What measured, for the ledger: name, fingerprint, for which languages and for which not."""
    return [[w.name, w.fingerprint, sorted(w.languages or ()), sorted(w.but)] for w in wanted]


def measure_some(
    lake: Lake,
    wanted: Sequence[Wanted],
    *,
    corpus: str,
    only: DataFrame,
    wait_s: float = 0.0,
    progress: Progress,
) -> Measured:
    """Measure those of the utterances in `only` (utterance_id) that lack it; the profile stays as it is."""
    total = Measured()
    said = {"corpus": corpus, "extractors": _told(wanted), "some": True}
    this = Run(NAME, corpus, said, by_corpus=True)
    with lake.hold(NAME, corpus, this.run_id, wait_s=wait_s) as hold:
        drop_plans(hold)
        hold.adopt(lambda stage: total.add(commit_any(hold, stage)))
        register(hold, wanted, profiled=False)
        _measure(hold, wanted, this, total, progress, only=only)
        if hold.versions_written:
            this.finish(hold)
    return total


def _one_corpus(
    lake: Lake,
    wanted: Sequence[Wanted],
    this: Run,
    total: Measured,
    promote: bool,
    given_up: bool,
    wait_s: float,
    progress: Progress,
) -> bool:
    """Measure one corpus under its own lock; True when anything was written."""
    with lake.hold(NAME, this.scope, this.run_id, wait_s=wait_s) as hold:
        measured = Measured()
        drop_plans(hold)
        hold.adopt(lambda stage: measured.add(commit_any(hold, stage)))
        # Looked at by every run: what is measured counts for nothing while no profile names it.
        register(hold, wanted)
        asked = promote or given_up
        if not asked and not hold.versions_written and nothing_to_do(lake, this):
            progress.say(f"{this.scope}: nothing to measure")
            return False
        this.reads(lake, (*READS, *(f"signals_{name}" for name in names_of(wanted))))
        _measure(hold, wanted, this, measured, progress, given_up=given_up)
        if promote:
            promote_all(hold, wanted)
        total.add(measured)
        if not hold.versions_written:
            progress.say(f"{this.scope}: nothing to measure")
        if this.is_news(hold):
            this.finish(hold)
        return bool(hold.versions_written)


def _measure(
    hold: Hold,
    wanted: Sequence[Wanted],
    this: Run,
    measured: Measured,
    progress: Progress,
    *,
    only: DataFrame | None = None,
    given_up: bool = False,
) -> None:
    """Plan what is lacking, measure and commit it, phase by phase, and note in `this` what it took."""
    require_roots(hold.lake, hold.scope)
    hashed = hash_relisted(hold, progress)
    # What a stage of a dead run left unconfirmed is planned again here.
    measured.unconfirmed, number = 0, 0
    for phase in phases(wanted):
        plan = staged_plan(hold, phase, only=only, given_up=given_up)
        of_phase = Measured()
        if plan is not None:
            for chunk in measured_chunks(hold, plan, phase, number=number, progress=progress):
                of_phase.add(chunk)
                number += 1
        if of_phase.unconfirmed:
            of_phase.unconfirmed = 0
            for chunk in confirmed_chunks(hold, phase, number=number, given_up=given_up, progress=progress):
                of_phase.add(chunk)
                number += 1
        measured.add_beside(of_phase)
    drop_plans(hold)
    _fill(this, measured, hashed)


def _fill(this: Run, measured: Measured, hashed: int) -> None:
    this.rows_in, this.rows_out = measured.utterances, measured.rows
    this.audio_s_in = this.audio_s_out = measured.audio_s
    this.cpu_s, this.device_s = measured.cpu_s, measured.device_s
    this.bytes_read, this.model_loads = measured.bytes_read, measured.model_loads
    # The next ingest says what became of files that have gone. Until then they may be back: another run looks.
    this.left_to_retry = measured.attempts + measured.unconfirmed - measured.spent + measured.gone
    counted = ("errors", "attempts", "gone")
    this.counts = {**{name: getattr(measured, name) for name in counted}, "hashed": hashed}


def _read(parsed: argparse.Namespace) -> None:
    asked_extractors(parsed)
    if parsed.plan:
        parsed.price_per_device_hour = price_of(parsed.price_per_device_hour)
    elif parsed.price_per_device_hour is not None:
        raise UsageError(
            "--price-per-device-hour is for --plan", hint="`speechlake report` prices what was measured."
        )


def _call(lake: Lake, parsed: argparse.Namespace, said: Sequence[str]) -> Report:
    wanted = wanted_of(parsed, lake)
    if parsed.plan:
        price, given_up = parsed.price_per_device_hour, parsed.retry_given_up
        following = without_plan(NAME, lake, said)
        return show_outlook(NAME, lake, wanted, parsed.corpus, price, given_up=given_up, following=following)
    return run(
        lake,
        wanted,
        corpus=parsed.corpus,
        promote=parsed.promote,
        given_up=parsed.retry_given_up,
        wait_s=parsed.wait,
        progress=Progress(),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    said = sys.argv[1:] if argv is None else argv
    return job.main(NAME, arguments(), lambda lake, parsed: _call(lake, parsed, said), said, read=_read)


if __name__ == "__main__":
    sys.exit(main())
