"""Score transcripts: texts of people against texts of Whisper -> edit counts and error rates.

Needs no audio and no model: it runs again when a text or a normaliser changes, on what changed only.

    spark-submit --py-files dist/speechlake.zip jobs/score_transcripts.py --lake s3a://corpus/lake --corpus librispeech
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from speechlake import job
from speechlake.hold import Hold
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.ledger import Run, nothing_to_do
from speechlake.progress import Progress
from speechlake.staging import Stage
from speechlake.text.normalisers import DEFAULT_NORMALISER, NORMALISER_BY_PRIMARY
from speechlake.text.score import scored, unscored_pairs

NAME = "score-transcripts"
READS = ("utterances", "transcripts", "extractors", "signals_whisper", "scores")


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument("--corpus", help="one corpus; default all, one after another")
    job.add_wait(made)
    return made


def run(lake: Lake, *, corpus: str | None, wait_s: float = 0.0, progress: Progress) -> Report:
    """Score what is unscored in one corpus or all, and count the rows."""
    rows, last = 0, None
    normalisers = {**NORMALISER_BY_PRIMARY, "*": DEFAULT_NORMALISER}
    for name in job.corpora_of(lake, corpus):
        this = Run(NAME, name, {"corpus": name, "normalisers": normalisers}, by_corpus=True)
        with lake.hold(NAME, name, this.run_id, wait_s=wait_s) as hold:
            rows += _score(hold, this)
        last = this.run_id
        progress.say(
            f"{name}: {this.rows_out} pairs of texts scored, each text of an utterance with each of Whisper's"
            if this.rows_out
            else f"{name}: nothing to score"
        )
    following = f"speechlake find-duplicates --lake {lake.root}"
    return Report(NAME, "done" if rows else "nothing to do", last, {"scores": rows}, following)


def _score(hold: Hold, this: Run) -> int:
    written: list[int] = []
    # Also what an earlier run staged and did not live to commit.
    hold.adopt(lambda stage: written.append(_commit(hold, stage)))
    if not hold.versions_written and nothing_to_do(hold.lake, this):
        return 0
    this.reads(hold.lake, READS)
    pairs = unscored_pairs(hold.lake, hold.scope)
    if not pairs.isEmpty():
        stage = hold.staging.write(this.digest[:16], this.run_id, scored(pairs), {"run_id": this.run_id})
        written.append(_commit(hold, stage))
        hold.staging.delete(stage)
    this.rows_in = this.rows_out = sum(written)
    if this.is_news(hold):
        this.finish(hold)
    return this.rows_out


def _commit(hold: Hold, stage: Stage) -> int:
    from pyspark.sql import functions as F

    rows = hold.staging.read(stage)
    return hold.append_missing("scores", rows, within=F.col("corpus") == hold.scope, digest=stage.digest)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(
        NAME,
        arguments(),
        lambda lake, parsed: run(lake, corpus=parsed.corpus, wait_s=parsed.wait, progress=Progress()),
        argv,
    )


if __name__ == "__main__":
    sys.exit(main())
