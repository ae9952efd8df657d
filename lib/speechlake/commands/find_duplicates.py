"""Find duplicates: signals of all corpora -> who shares audio with whom, as copies or in part.

Compares the whole lake, because a copy may have come in under another corpus: exact copies by their samples,
copies that were coded, cut or scaled, and common parts of 2 s and more, by their audio keys. New audio meets
what was there before; running it again changes nothing.

    spark-submit --py-files dist/speechlake.zip jobs/find_duplicates.py --lake s3a://corpus/lake
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from speechlake import job
from speechlake.by_hand import changed_by_hand
from speechlake.checkpoints import freeing
from speechlake.duplicates.clusters import CLUSTERING_VERSION
from speechlake.duplicates.keys import VERIFYING_VERSION
from speechlake.duplicates.sampling import SAMPLING_VERSION
from speechlake.duplicates.step import (
    Looked,
    current_audio,
    current_duplicates,
    look_up,
    remember,
    with_filed,
)
from speechlake.hold import Hold
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.ledger import Run, last_run, nothing_to_do
from speechlake.progress import Progress
from speechlake.schemas import DUPLICATES
from speechlake.staging import Stage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

NAME = "find-duplicates"
# In words, in the order in which they are told.
KINDS = {
    "exact": "exact copies",
    "near": "near copies",
    "contained": "that share a part",
    "boilerplate": "boilerplate",
}
# How pairs and clusters are made. What was made by others is made anew.
RULES = {"sampling": SAMPLING_VERSION, "verifying": VERIFYING_VERSION, "clustering": CLUSTERING_VERSION}
READS = (
    *("utterances", "recordings", "content_hashes", "signals_audio", "signals_audio_keys", "attempts"),
    *("corpora", "profiles", "key_buckets", "audio_pairs", "duplicates"),
)


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    job.add_wait(made)
    return made


def run(lake: Lake, *, wait_s: float = 0.0, progress: Progress) -> Report:
    """Look up what is new, bring `duplicates` to what is known now, and count who shares audio."""
    this = Run(NAME, "lake", RULES)
    following = f"speechlake build-splits --lake {lake.root} --policy FILE --release NAME"
    looked = Looked()
    with freeing(), lake.hold(NAME, "lake", this.run_id, wait_s=wait_s) as hold:
        hold.adopt(lambda stage: _commit(hold, stage))
        if hold.versions_written or not nothing_to_do(lake, this):
            this.reads(lake, READS)
            # key_buckets says what was looked up; where pairs may be lacking, that is not to be trusted.
            last = last_run(lake, NAME, this.scope, done=True)
            told_otherwise = (
                last is not None and json.loads(last.arguments).get("verifying") != VERIFYING_VERSION
            )
            again = told_otherwise or bool(changed_by_hand(lake, this, ("audio_pairs",)))
            progress.say(f"duplicates: looking up {'all audio again' if again else 'new audio'}")
            looked = _look_up(hold, this, again=again)
            if again or this.is_news(hold):
                this.counts = {**_counts(lake), **vars(looked)}
                this.finish(hold)
    if not hold.versions_written:
        progress.say("duplicates: nothing new")
        return Report(NAME, "nothing to do", this.run_id, {}, following)
    progress.say(
        f"duplicates: {looked.looked_up} utterances looked up, {looked.pairs} new pairs; {told_of(_kinds(lake))}"
    )
    if not lake.exists("signals_audio_keys"):
        progress.say("only exact copies: near ones take `speechlake extract-signals --extractor audio_keys`")
    return Report(NAME, "done", this.run_id, this.counts, following)


def _look_up(hold: Hold, this: Run, *, again: bool) -> Looked:
    """Look up what is new, and bring the tables to it. Of what is staged, only `duplicates` is of use to a later run."""
    stages: list[Stage] = []
    digest = this.digest[:16]

    def written(name: str, frame: DataFrame) -> DataFrame:
        stages.append(hold.staging.write(f"{digest}-{name}", this.run_id, frame, {"part": name}))
        return hold.staging.read(stages[-1])

    current = written("current", with_filed(hold.lake, current_audio(hold.lake)))
    looked, fresh = look_up(hold, current, written, digest, again=again)
    written("duplicates", current_duplicates(hold.lake, current))
    this.rows_out = _commit(hold, stages[-1])
    remember(hold, fresh, looked.looked_up, digest, again=again)
    for stage in stages:
        hold.staging.delete(stage)
    return looked


def _commit(hold: Hold, stage: Stage) -> int:
    """Bring the table to the staged rows: corpus by corpus, because every MERGE names its corpus."""
    from pyspark.sql import functions as F

    if stage.note["part"] != "duplicates":
        return 0
    found, lake = hold.staging.read(stage).select(*DUPLICATES.column_names), hold.lake
    known = lake.read("duplicates")
    written = 0
    # Mostly a few of thousands: those of which a row differs now, or is gone.
    touched = known.exceptAll(found).select("corpus").distinct().collect()
    for corpus in sorted(row.corpus for row in touched):
        here, mine = (rows.where(F.col("corpus") == corpus) for rows in (known, found))
        gone = here.join(mine, on="utterance_id", how="left_anti")
        written += hold.merge("duplicates", gone, corpus=corpus, digest=stage.digest, delete=True)
        kept = mine.join(here.select("utterance_id"), on="utterance_id", how="left_semi")
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


def _kinds(lake: Lake) -> dict[str, int]:
    return {row.kind: row["count"] for row in lake.read("duplicates").groupBy("kind").count().collect()}


def told_of(clips: Mapping[str, int]) -> str:
    """How many clips of the lake are copies, by kind."""
    counted = [f"{clips[kind]} {word}" for kind, word in KINDS.items() if kind in clips]
    return f"clips in all: {', '.join(counted) or 'no copies'}"


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
