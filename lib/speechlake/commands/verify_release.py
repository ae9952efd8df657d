"""Verify a release: its rows, its sides and a sample of its files are what was published.

Recomputes the digest of the stored rows, asks the gate anew by all that is known now, lists of
evaluation sets included, and reads files at their present place to compare their bytes. What differs is told,
with exit code 3; rows that were erased on request are told apart. A list that changed since, or is gone, is
told too: the release has what it named.

    spark-submit --py-files dist/speechlake.zip jobs/verify_release.py --lake s3a://corpus/lake 2026-11 --sample 500
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from speechlake import job
from speechlake.erasure.releases import explained
from speechlake.errors import ReleaseDiffers
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.questions import release_named
from speechlake.splits.lists import lists_now
from speechlake.splits.publish import told_leaks
from speechlake.splits.verify import digest_now, files_read, leaks_now, policy_now
from speechlake.terminal import console, show

if TYPE_CHECKING:
    from rich.console import Console

NAME = "verify-release"
# What to do where rows, sides or files differ.
HINTS = {
    "rows": "Restore the rows that are missing or changed.",
    "sides": "What was learned since (a copy, a corrected speaker) may part what was published: build, and publish under a new name.",
    "files": "Were files moved? `speechlake ingest-manifests --audio-root` says where they lie now.",
}


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument("release", help="name of the release")
    made.add_argument(
        "--sample",
        type=job.whole(0),
        default=100,
        metavar="N",
        help="files that are read and hashed; default 100; 0: none",
    )
    made.add_argument("--seed", type=int, help="another seed draws other files; default today's date")
    return made


def run(lake: Lake, name: str, *, sample: int = 100, seed: int = 0, out: Console | None = None) -> Report:
    """Print what was checked; whatever differs is a refusal. `seed` says which files are drawn."""
    out = out or console()
    release = release_named(lake, name) or {}
    _policy(out, release)
    differing = {
        "rows": _rows(out, lake, release),
        "sides": _sides(out, lake, release),
        "files": _files(out, lake, release, sample, seed),
    }
    told = [line for lines in differing.values() for line in lines]
    refusal = None
    if told:
        hints = (HINTS[what] for what, lines in differing.items() if lines)
        refusal = ReleaseDiffers(
            f"release {name!r} is not what was published: {'; '.join(told)}", hint=" ".join(hints)
        )
    counts = {"release": name, "build_id": release["build_id"], "problems": len(told)}
    return Report(NAME, "refused" if refusal else "done", counts=counts, refusal=refusal)


def _rows(out: Console, lake: Lake, release: dict[str, Any]) -> list[str]:
    found, recorded = digest_now(lake, release["build_id"]), release["rows_digest"]
    erased = None if found == recorded else explained(lake, release, found)
    same = found == recorded or erased is not None
    told = "as recorded" if found == recorded else erased or f"recorded was {recorded[:16]}"
    out.print(f"rows: digest {found[:16]}, {told}")
    return [] if same else [f"its rows have digest {found}, {recorded} was recorded"]


def _policy(out: Console, release: dict[str, Any]) -> None:
    """Tell whether the policy that stands beside the release is the one that its digest was taken of."""
    found, recorded = policy_now(release), release["policy_sha256"]
    out.print(f"policy: {'as recorded' if found == recorded else found or 'not compared'}")
    if found is None:
        out.print("  note: it reads lists of files, or is not understood by this version of speechlake")
    elif found != recorded:
        out.print(
            f"  note: {recorded} was recorded: it was changed by hand, or is read otherwise by this version"
        )


def _sides(out: Console, lake: Lake, release: dict[str, Any]) -> list[str]:
    leaks, note = leaks_now(lake, release)
    told = told_leaks(leaks)
    out.print(f"sides: {told or 'nothing leaks'}")
    if note:
        out.print(f"  note: {note}")
    for each in lists_now(lake, release["build_id"]):
        out.print(f"list of {each.side}: {each.utterances} utterances, {each.state}")
    return [f"the gate finds {told}"] if told else []


def _files(out: Console, lake: Lake, release: dict[str, Any], sample: int, seed: int) -> list[str]:
    if sample <= 0:
        return []
    read = files_read(lake, release["build_id"], sample, seed=seed).collect()
    wrong = sorted((row for row in read if row.problem), key=lambda row: str(row.path))
    out.print(f"files: {len(read)} read, {len(wrong)} differ (seed {seed})")
    show(out, "", ["path", "problem"], [[row.path, row.problem] for row in wrong]) if wrong else None
    return [f"{len(wrong)} of {len(read)} files that were read differ"] if wrong else []


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(NAME, arguments(), _call, argv)


def _call(lake: Lake, parsed: argparse.Namespace) -> Report:
    # Who verifies every week comes to read other files each time.
    seed = int(f"{datetime.now(UTC):%Y%m%d}") if parsed.seed is None else parsed.seed
    return run(job.existing(lake), parsed.release, sample=parsed.sample, seed=seed)


if __name__ == "__main__":
    sys.exit(main())
