"""Find duplicates: signals of all corpora -> clusters of utterances with the same audio.

Compares the whole lake, because a copy may have come in under another corpus. Running it again
changes nothing.

    spark-submit --py-files dist/speechlake.zip jobs/find_duplicates.py --lake s3a://corpus/lake
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from speechlake import job
from speechlake.duplicates.exact import current_duplicates
from speechlake.hold import Hold
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.ledger import Run, nothing_to_do
from speechlake.progress import Progress
from speechlake.schemas import DUPLICATES
from speechlake.staging import Stage

NAME = "find-duplicates"
READS = ("utterances", "recordings", "content_hashes", "signals_audio", "profiles", "duplicates")


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    job.add_wait(made)
    return made


def run(lake: Lake, *, wait_s: float = 0.0, progress: Progress) -> Report:
    """Bring `duplicates` to what the samples of all current utterances say, and count the clusters."""
    this = Run(NAME, "lake", {"kinds": ["exact"]})
    following = f"speechlake build-splits --lake {lake.root} --policy FILE --release NAME"
    with lake.hold(NAME, "lake", this.run_id, wait_s=wait_s) as hold:
        hold.adopt(lambda stage: _commit(hold, stage))
        if hold.versions_written or not nothing_to_do(lake, this):
            this.reads(lake, READS)
            stage = hold.staging.write(
                this.digest[:16], this.run_id, current_duplicates(lake), {"run_id": this.run_id}
            )
            this.rows_out = _commit(hold, stage)
            hold.staging.delete(stage)
            if hold.versions_written:
                this.counts = _counts(lake)
                this.finish(hold)
    if not hold.versions_written:
        progress.say("duplicates: nothing new")
        return Report(NAME, "nothing to do", this.run_id, {}, following)
    progress.say(f"duplicates: {this.counts['utterances']} utterances in {this.counts['clusters']} clusters")
    return Report(NAME, "done", this.run_id, this.counts, following)


def _commit(hold: Hold, stage: Stage) -> int:
    """Bring the table to the staged rows: corpus by corpus, because every MERGE names its corpus."""
    from pyspark.sql import functions as F

    found, lake = hold.staging.read(stage), hold.lake
    known = lake.read("duplicates")
    written = 0
    for corpus in sorted(row.corpus for row in known.select("corpus").distinct().collect()):
        here = known.where(F.col("corpus") == corpus)
        gone = here.join(found, on="utterance_id", how="left_anti")
        written += hold.merge("duplicates", gone, corpus=corpus, digest=stage.digest, delete=True)
        kept = found.join(here.select("utterance_id"), on="utterance_id", how="left_semi")
        # exceptAll compares by position, and the join has moved its key to the front.
        moved = kept.select(*DUPLICATES.column_names).exceptAll(here)
        written += hold.merge("duplicates", moved, corpus=corpus, digest=stage.digest)
    return written + hold.append_missing("duplicates", found, digest=stage.digest)


def _counts(lake: Lake) -> dict[str, int]:
    from pyspark.sql import functions as F

    row = (
        lake.read("duplicates")
        .agg(F.count("*").alias("utterances"), F.countDistinct("cluster_id").alias("clusters"))
        .collect()[0]
    )
    return dict(row.asDict())


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(
        NAME,
        arguments(),
        lambda lake, parsed: run(job.existing(lake), wait_s=parsed.wait, progress=Progress()),
        argv,
    )


if __name__ == "__main__":
    sys.exit(main())
