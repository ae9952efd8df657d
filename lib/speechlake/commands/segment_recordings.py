"""Segment recordings: long recordings without intervals -> utterances, cut at voice activity.

Hears every whole file that is longer than a limit, and every longer interval, as a stream, and cuts it
where nobody speaks; the utterance that was cut is retired. Recordings with a text are refused, because
nobody knows which words belong to which piece. Running it again changes nothing.

    spark-submit --py-files dist/speechlake.zip jobs/segment_recordings.py \\
        --lake s3a://corpus/lake --corpus meetings
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

from speechlake import job
from speechlake.errors import ChunkFailed, Refused
from speechlake.hold import Hold
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.ledger import Run, nothing_to_do
from speechlake.manifests.roots import require_roots
from speechlake.progress import Progress
from speechlake.segments.commit import Heard
from speechlake.segments.generation import Renewed, renew
from speechlake.segments.plan import is_refused_by_line, sources, unheard
from speechlake.segments.run import commit_any, heard_chunks
from speechlake.segments.segmenter import Segmenter
from speechlake.signals.catalogue import register_identities
from speechlake.signals.rehash import hash_relisted
from speechlake.signals.run import drop_plans, stage_plan

NAME = "segment-recordings"
READS = (
    "corpora",
    "recordings",
    "utterances",
    "transcripts",
    "content_hashes",
    "segmentations",
)


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument("--corpus", help="one corpus; default all, one after another")
    usual = Segmenter()
    for flag, value, what in (
        ("--longer-than", usual.longer_than_s, "what is no longer than this stays whole"),
        ("--min-s", usual.min_s, "utterances are shorter only where speech stands alone"),
        ("--max-s", usual.max_s, "no utterance is longer"),
    ):
        made.add_argument(
            flag, type=float, default=value, metavar="SECONDS", help=f"{what}; default {value:g}"
        )
    made.add_argument(
        "--discard-text", action="store_true", help="cut recordings with a text too; their text is not used"
    )
    job.add_wait(made)
    return made


def segmenter_of(parsed: argparse.Namespace) -> Segmenter:
    """The segmenter that the arguments describe; UsageError where they contradict each other."""
    return Segmenter(longer_than_s=parsed.longer_than, min_s=parsed.min_s, max_s=parsed.max_s)


def run(
    lake: Lake,
    how: Segmenter,
    *,
    corpus: str | None,
    discard_text: bool = False,
    wait_s: float = 0.0,
    progress: Progress,
) -> Report:
    """Segment what is long in one corpus or all, and count what happened."""
    counts: dict[str, int] = {}
    written, last, refused = False, None, []
    broken: ChunkFailed | None = None
    for name in job.corpora_of(lake, corpus):
        said = {"corpus": name, "segmenter": how.identity().fingerprint, "discard_text": discard_text}
        this = Run(NAME, name, said, by_corpus=True)
        with lake.hold(NAME, name, this.run_id, wait_s=wait_s) as hold:
            try:
                refused.append(_one_corpus(hold, how, this, discard_text, progress))
            except ChunkFailed as error:
                # Of this corpus alone, it may be: the others are asked too.
                broken = broken or error
        counts = {key: counts.get(key, 0) + value for key, value in this.counts.items()} or counts
        written, last = written or bool(hold.versions_written), this.run_id
    if broken is not None:
        raise broken
    following = f"speechlake extract-signals --lake {lake.root}"
    refusal = _refusal(counts, lake) if all(refused) else None
    return Report(NAME, "done" if written else "nothing to do", last, counts, following, refusal)


def _one_corpus(hold: Hold, how: Segmenter, this: Run, discard_text: bool, progress: Progress) -> bool:
    """Segment one corpus under its own lock; True when all that is long was refused for its text."""
    lake, heard = hold.lake, Heard()
    drop_plans(hold)
    hold.adopt(lambda stage: heard.add(commit_any(hold, stage)))
    if not hold.versions_written and nothing_to_do(lake, this):
        progress.say(f"{this.scope}: nothing to segment")
        return False
    this.reads(lake, READS)
    require_roots(lake, this.scope)
    hash_relisted(hold, progress)
    found = sources(lake, this.scope, how, discard_text=discard_text)
    plan = stage_plan(hold, unheard(found))
    if plan is not None:
        register_identities(hold, [how.identity()])
        for chunk in heard_chunks(hold, plan, how, progress):
            heard.add(chunk)
    drop_plans(hold)
    # One row per long utterance, asked several times.
    known = sources(lake, this.scope, how, discard_text=discard_text).persist()
    heard.refused_with_text += known.where(is_refused_by_line()).count()
    renewed = renew(hold, known, how.identity().fingerprint)
    _fill(this, heard, renewed)
    others = known.where("found.speech_s IS NOT NULL OR found.error IS NOT NULL")
    all_refused = bool(heard.refused_with_text and not heard.transient and others.isEmpty())
    known.unpersist()
    _tell(this, hold, progress)
    # What is refused is no news where nothing was written: no run of it counts as done.
    if hold.versions_written or (not all_refused and this.is_news(hold)):
        this.finish(hold, Refused.__name__ if all_refused else "done")
    return all_refused


def _fill(this: Run, heard: Heard, renewed: Renewed) -> None:
    names = (
        "segmented",
        "short",
        "without_speech",
        "errors",
        "transient",
        "refused_with_text",
    )
    this.counts = {name: getattr(heard, name) for name in names}
    this.counts |= {"utterances": renewed.added, "utterances_changed": renewed.changed}
    this.rows_in, this.rows_out = heard.sources, heard.rows + renewed.added + renewed.changed
    this.audio_s_in = this.audio_s_out = heard.audio_s
    this.cpu_s, this.bytes_read, this.left_to_retry = heard.cpu_s, heard.bytes_read, heard.transient


def _tell(this: Run, hold: Hold, progress: Progress) -> None:
    c = this.counts
    refused = (
        f"; {c['refused_with_text']} with a text refused (--discard-text)" if c["refused_with_text"] else ""
    )
    failed = c["errors"] + c["transient"]
    if not hold.versions_written and not failed:
        progress.say(f"{this.scope}: nothing to segment{refused}")
        return
    progress.say(
        f"{this.scope}: {c['segmented']} cut, {c['short']} short enough, {c['without_speech']} without speech, "
        f"{failed} failed; {c['utterances']} utterances{refused}"
    )


def _refusal(counts: Mapping[str, int], lake: Lake) -> Refused:
    """Said where every long recording has a text, and none is cut."""
    return Refused(
        f"all {counts['refused_with_text']} long recordings of {lake.root} have a text, which belongs to the whole",
        hint="Align them outside, or cut them without their text: --discard-text.",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(
        NAME,
        arguments(),
        lambda lake, parsed: run(
            lake,
            parsed.segmenter,
            corpus=parsed.corpus,
            discard_text=parsed.discard_text,
            wait_s=parsed.wait,
            progress=Progress(),
        ),
        argv,
        read=_read,
    )


def _read(parsed: argparse.Namespace) -> None:
    parsed.segmenter = segmenter_of(parsed)


if __name__ == "__main__":
    sys.exit(main())
