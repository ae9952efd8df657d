"""The pipeline as a process of its own, over corpora of noise and with extractors that need no model.

    python fault_driver.py --lake LAKE --corpora NAME=FOLDER,… [--until JOB] [--wait SECONDS]

Each folder holds an `m.jsonl`, as `fault_story.lay_out` writes it.
"""

from __future__ import annotations

import argparse
import sys

import fault_extractors
import job_extractors
from fault_extractors import SomeSpeech
from fault_story import POLICY
from job_extractors import Parrot

from speechlake import job
from speechlake.commands import pipeline
from speechlake.config import loads
from speechlake.corpora import make_corpus
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.progress import Progress
from speechlake.signals.audio import Audio
from speechlake.signals.audio_keys import AudioKeys
from speechlake.signals.plan import wanted_of
from speechlake.splits.policy import Policy


def arguments() -> argparse.ArgumentParser:
    """Which corpora, and how far."""
    made = job.parser(__doc__ or "")
    made.add_argument("--corpora", required=True)
    made.add_argument("--until", default=pipeline.STEPS[-1], choices=pipeline.STEPS)
    job.add_wait(made)
    return made


def call(lake: Lake, parsed: argparse.Namespace) -> Report:
    """The pipeline."""
    for module in (job_extractors, fault_extractors):
        lake.spark.sparkContext.addPyFile(str(module.__file__))
    pairs = [pair.partition("=") for pair in parsed.corpora.split(",")]
    corpora = [
        make_corpus(
            name=name,
            sources=(f"{folder}/m.jsonl",),
            roots={"audio": folder},
            language="en",
            max_reject=0.5,
        )
        for name, _, folder in pairs
    ]
    wanted = wanted_of([Audio(), SomeSpeech(), Parrot(), AudioKeys()])
    policy = loads(POLICY, "policy.yaml", Policy)
    cuts = [pipeline.Cut(policy, POLICY, "first")]
    flow = pipeline.Flow(corpora, wanted, cuts, parsed.until, wait_s=parsed.wait)
    return pipeline.run(lake, flow, progress=Progress())


if __name__ == "__main__":
    sys.exit(job.main("pipeline", arguments(), call, None))
