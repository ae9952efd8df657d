"""Diff releases: what the second of two releases adds, removes, moves and says otherwise.

Within one scheme no row ever moves between sides: where one did, this says so and ends with exit code 3.

    spark-submit --py-files dist/speechlake.zip jobs/diff_releases.py --lake s3a://corpus/lake 2026-10 2026-11
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechlake import job
from speechlake.errors import LeakFound
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.outputs import CSV_FILE, require_folder, write_csv
from speechlake.questions import release_named
from speechlake.splits.diff import ADDED, MOVED, NEW_AUDIO, NEW_TEXT, REMOVED, SAME, changes, counted
from speechlake.terminal import console, show

if TYPE_CHECKING:
    from rich.console import Console

NAME = "diff-releases"
EXAMPLES = 5


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument("before", metavar="A", help="name of a release")
    made.add_argument("after", metavar="B", help="name of the release that it is compared with")
    made.add_argument(
        CSV_FILE,
        type=Path,
        metavar="FILE",
        help="write every utterance that differs, and why, to a file of CSV",
    )
    return made


def run(
    lake: Lake, before: str, after: str, *, csv_file: Path | None = None, out: Console | None = None
) -> Report:
    """Print what differs; a row that moved within a scheme is a refusal."""
    out = out or console()
    old, new = (release_named(lake, name) or {} for name in (before, after))
    found = changes(lake, str(old["build_id"]), str(new["build_id"])).persist()
    try:
        rows = counted(found).collect()
        examples = _examples(found) if any(row.change == MOVED for row in rows) else []
        if csv_file is not None:
            write_csv(found.where(f"change != '{SAME}'").orderBy("change", "utterance_id"), csv_file)
    finally:
        found.unpersist()
    totals = {change: sum(row.clips for row in rows if row.change == change) for change in _CHANGES}
    _print(out, rows, totals, f"{before} -> {after}")
    same_scheme = old["scheme"] == new["scheme"]
    _print_moved(out, rows, examples, same_scheme=same_scheme)
    refusal = _refusal(totals[MOVED], examples, str(new["scheme"])) if same_scheme else None
    counts = {change.replace(" ", "_"): n for change, n in totals.items()}
    following = f"speechlake report --lake {lake.root} --release {after}"
    outcome = "refused" if refusal else "done"
    return Report(NAME, outcome, counts=counts, next_step=following, refusal=refusal)


_CHANGES = (ADDED, REMOVED, MOVED, NEW_AUDIO, NEW_TEXT, SAME)


def _examples(found: Any) -> list[Any]:
    moved = found.where(f"change = '{MOVED}'").orderBy("utterance_id")
    return list(moved.select("utterance_id", "before", "after").limit(EXAMPLES).collect())


def _print(out: Console, rows: Sequence[Any], totals: dict[str, int], title: str) -> None:
    show(out, title, ["change", "clips"], totals.items())
    for change, side in ((ADDED, "after"), (REMOVED, "before")):
        lines = _sums((r for r in rows if r.change == change), lambda r, side=side: (r[side], r.reason))  # type: ignore[misc]
        show(out, f"{change.capitalize()}, by side and reason", ["split", "reason", "clips", "hours"], lines)
    lines = [
        [language, side, *_hours(rows, language, side)]
        for language in sorted(
            {row[name] for row in rows for name in ("language_before", "language")}, key=str
        )
        for side in ("train", "dev", "test")
    ]
    show(out, "Hours by language", ["language", "split", "before", "after"], [x for x in lines if any(x[2:])])


def _print_moved(out: Console, rows: Sequence[Any], examples: Sequence[Any], *, same_scheme: bool) -> None:
    moved = _sums((row for row in rows if row.change == MOVED), lambda row: (row.before, row.after))
    if not moved:
        return
    why = "" if same_scheme else " (two schemes: each has sides of its own)"
    show(out, f"Moved between sides{why}", ["before", "after", "clips", "hours"], moved)
    show(out, "Some that moved", ["utterance_id", "before", "after"], [[*row] for row in examples])


def _hours(rows: Sequence[Any], language: str | None, side: str) -> list[float]:
    """Hours of a language on a side, before and after, each as its release tells them."""
    return [
        sum(row[hours] or 0.0 for row in rows if (row[when], row[tongue]) == (side, language))
        for when, tongue, hours in (
            ("before", "language_before", "hours_before"),
            ("after", "language", "hours"),
        )
    ]


def _sums(rows: Iterable[Any], key: Callable[[Any], tuple[Any, ...]]) -> list[list[Any]]:
    """One line per key with clips and hours, in order of keys."""
    found: dict[tuple[Any, ...], tuple[int, float]] = {}
    for row in rows:
        clips, hours = found.get(key(row), (0, 0.0))
        found[key(row)] = (clips + row.clips, hours + (row.hours or 0.0))
    return [[*keys, *sums] for keys, sums in sorted(found.items(), key=lambda item: str(item[0]))]


def _refusal(moved: int, examples: Sequence[Any], scheme: str) -> LeakFound | None:
    if not moved:
        return None
    told = "; ".join(f"{row.utterance_id} from {row.before} to {row.after}" for row in examples)
    return LeakFound(
        f"{moved} rows moved between sides within scheme {scheme!r}, which must never happen: {told}",
        hint="Do not evaluate with both releases. Were tables changed by hand, or releases deleted?",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(
        NAME, arguments(), _call, argv, read=lambda parsed: require_folder(parsed.csv_file, CSV_FILE)
    )


def _call(lake: Lake, parsed: argparse.Namespace) -> Report:
    return run(job.existing(lake), parsed.before, parsed.after, csv_file=parsed.csv_file)


if __name__ == "__main__":
    sys.exit(main())
