"""Explain: the way of one utterance through all tables.

Its manifest line, content, texts, every measurement with model and run, scores, links, and for every
release the side it is on or the rules it failed, with value and threshold.

    spark-submit --py-files dist/speechlake.zip jobs/explain.py --lake s3a://corpus/lake 3f2a9c
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from speechlake import job
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.terminal import console, show
from speechlake.trace import find, sections

if TYPE_CHECKING:
    from rich.console import Console

NAME = "explain"


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument("utterance_id", help="the id, or an unambiguous beginning of it")
    return made


def run(lake: Lake, key: str, *, out: Console | None = None) -> Report:
    """Print everything that is known of one utterance; sections without rows are left out."""
    out = out or console()
    utterance = find(lake, key)
    for title, columns, rows in sections(lake, utterance):
        if rows:
            show(out, title, columns, rows)
    return Report(NAME, counts={"utterance_id": utterance.utterance_id})


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(
        NAME, arguments(), lambda lake, parsed: run(job.existing(lake), parsed.utterance_id), argv
    )


if __name__ == "__main__":
    sys.exit(main())
