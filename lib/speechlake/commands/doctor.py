"""Doctor: is this machine, and a lake, in order, and what is to be mended?

One line per check: Python, Java, Spark, Delta's jars, packages, memory, disk, devices, models by their
sha256, clock; with a lake also its version, its tables against their contracts, their files, locks, and what
kills left. Starts no Spark, writes nothing, and works where Java is missing. Ends with 2 where anything is to be
mended.

    spark-submit jobs/doctor.py --lake s3a://corpus/lake
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from speechlake import job
from speechlake.errors import UsageError
from speechlake.health import examined
from speechlake.health.finding import STATES, Finding, Patient
from speechlake.job import Report
from speechlake.terminal import console, shown

if TYPE_CHECKING:
    from rich.console import Console

NAME = "doctor"
COLOURS = {"fine": "green", "look": "yellow", "mend": "bold red"}


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__, lake=False)
    made.add_argument(
        "--lake",
        default=os.environ.get("SPEECHLAKE_LAKE"),
        help="folder or URI of a lake to look at too [SPEECHLAKE_LAKE]",
    )
    return made


def run(lake: str | None, *, out: Console | None = None) -> Report:
    """Print every check's line; the refusal says how many are to be mended."""
    out = out or console()
    findings = []
    for finding in examined(Patient(lake)):
        _print(out, finding)
        findings.append(finding)
    counted = Counter(each.state for each in findings)
    counts: dict[str, Any] = {
        **{state: counted[state] for state in STATES},
        "to_mend": [each.check for each in findings if each.state == "mend"],
        "to_look_at": [each.check for each in findings if each.state == "look"],
    }
    if not counted["mend"]:
        return Report(NAME, "done", counts=counts)
    told = f"to be mended: {', '.join(counts['to_mend'])}"
    refusal = UsageError(told, hint="What to do stands behind each.")
    return Report(NAME, "to be mended", counts=counts, refusal=refusal)


def _print(out: Console, finding: Finding) -> None:
    from rich.text import Text

    line = Text.assemble(
        (f"{finding.state:5}", COLOURS[finding.state]),
        f" {finding.check:9} ",
        shown(finding.found),
        (f"  -> {shown(finding.fix)}" if finding.fix else "", "bold"),
    )
    out.print(line, soft_wrap=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main_alone(NAME, arguments(), lambda parsed: run(parsed.lake), argv)


if __name__ == "__main__":
    sys.exit(main())
