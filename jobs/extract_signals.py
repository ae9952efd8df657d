"""Extract signals: utterances -> one table of measurements per extractor.

Measures every utterance that has no current measurement, decoding each recording once for all
extractors, and commits chunk by chunk. Running it again changes nothing.

    spark-submit --py-files dist/speechlake.zip jobs/extract_signals.py \\
        --lake s3a://corpus/lake --corpus librispeech --extractor audio --extractor whisper
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from speechlake import job
from speechlake.errors import UsageError
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.ledger import Run, nothing_to_do
from speechlake.progress import Progress
from speechlake.signals import EXTRACTORS
from speechlake.signals.catalogue import register
from speechlake.signals.commit import Measured
from speechlake.signals.devices import device_named
from speechlake.signals.extractor import Extractor
from speechlake.signals.plan import Wanted
from speechlake.signals.rates import measured_rate
from speechlake.signals.rebuild import profiled
from speechlake.signals.run import commit_any, drop_plans, hash_relisted, measured_chunks, staged_plan

NAME = "extract-signals"
READS = ("corpora", "recordings", "utterances", "content_hashes", "attempts")


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument("--corpus", help="one corpus; default all, one after another")
    made.add_argument(
        "--extractor", action="append", choices=list(EXTRACTORS), help="repeatable; default all"
    )
    made.add_argument(
        "--model",
        help="registry id, hub id or folder of the Whisper model; default the profile's, at first whisper-base",
    )
    made.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    job.add_wait(made)
    return made


def extractors_of(parsed: argparse.Namespace, lake: Lake) -> list[Extractor]:
    """The extractors that the arguments name, ready to travel; without `--model` the profile's runs."""
    names = [name for name in EXTRACTORS if parsed.extractor is None or name in parsed.extractor]
    if parsed.model and "whisper" not in names:
        raise UsageError("--model is for the extractor whisper, which --extractor leaves out")
    where = {"device": device_named(parsed.device)}
    made: dict[str, Extractor] = {name: EXTRACTORS[name]() for name in names if name != "whisper"}
    if "whisper" in names:
        current = None if parsed.model else profiled(lake, "whisper", **where)
        said = {"model": parsed.model} if parsed.model else {}
        made["whisper"] = current or EXTRACTORS["whisper"](**said, **where)
    return [made[name] for name in names]


def run(
    lake: Lake,
    extractors: Sequence[Extractor],
    *,
    corpus: str | None,
    wait_s: float = 0.0,
    progress: Progress,
) -> Report:
    """Measure what is unmeasured in one corpus or all, and count what happened."""
    wanted = [Wanted(extractor, extractor.identity()) for extractor in extractors]
    total, written, last = Measured(), False, None
    for name in job.corpora_of(lake, corpus):
        this = Run(
            NAME,
            name,
            {"corpus": name, "extractors": {w.name: w.fingerprint for w in wanted}},
            by_corpus=True,
        )
        written = _one_corpus(lake, wanted, this, total, wait_s, progress) or written
        last = this.run_id
    following = f"speechlake score-transcripts --lake {lake.root}"
    return Report(NAME, "done" if written else "nothing to do", last, vars(total), following)


def _one_corpus(
    lake: Lake, wanted: Sequence[Wanted], this: Run, total: Measured, wait_s: float, progress: Progress
) -> bool:
    """Measure one corpus under its own lock; True when anything was written."""
    with lake.hold(NAME, this.scope, this.run_id, wait_s=wait_s) as hold:
        measured = Measured()
        drop_plans(hold)
        hold.adopt(lambda stage: measured.add(commit_any(hold, stage)))
        if not hold.versions_written and nothing_to_do(lake, this):
            progress.say(f"{this.scope}: nothing to measure")
            return False
        this.reads(lake, (*READS, *(f"signals_{w.name}" for w in wanted)))
        register(hold, wanted)
        hashed = hash_relisted(hold)
        plan = staged_plan(hold, wanted)
        if plan is not None:
            rate = measured_rate(lake, [w.fingerprint for w in wanted])
            for chunk in measured_chunks(hold, plan, wanted, rate=rate, progress=progress):
                measured.add(chunk)
        drop_plans(hold)
        _fill(this, measured, hashed)
        total.add(measured)
        if hold.versions_written:
            this.finish(hold)
        else:
            progress.say(f"{this.scope}: nothing to measure")
        return bool(hold.versions_written)


def _fill(this: Run, measured: Measured, hashed: int) -> None:
    this.rows_in, this.rows_out = measured.utterances, measured.rows
    this.audio_s_in = this.audio_s_out = measured.audio_s
    this.cpu_s, this.bytes_read, this.model_loads = measured.cpu_s, measured.bytes_read, measured.model_loads
    this.left_to_retry = measured.attempts
    this.counts = {"errors": measured.errors, "attempts": measured.attempts, "hashed": hashed}


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(
        NAME,
        arguments(),
        lambda lake, parsed: run(
            lake, extractors_of(parsed, lake), corpus=parsed.corpus, wait_s=parsed.wait, progress=Progress()
        ),
        argv,
    )


if __name__ == "__main__":
    sys.exit(main())
