"""Report: what a lake and a release hold, on the terminal or, with --html, as a page.

Lines read and refused, hours in and kept by corpus and language with their error rates, what each rule
removes alone, the splits, and what the measuring took. With a price per device hour (an accelerator's, or
that of a CPU core for runs that used none) also what it cost, per release and hour kept.

The page is one file that opens from disk without a network. It adds, for a release, where the hours go,
histograms, speakers, and clips at the margins of each rule to listen to; it holds their speech and texts.

    spark-submit --py-files dist/speechlake.zip jobs/report.py --lake s3a://corpus/lake --release 2026-11
    spark-submit --py-files dist/speechlake.zip jobs/report.py --lake s3a://corpus/lake --html 2026-11.html
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechlake import job, questions
from speechlake.cli import command
from speechlake.errors import UsageError
from speechlake.feedback.precision import has_reviews, reviews, rule_precision
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.page.render import page_path, write_page
from speechlake.prices import add_price, price_of
from speechlake.progress import Progress
from speechlake.questions import groups
from speechlake.questions.hours import whole_ms
from speechlake.terminal import console, percent, show, show_frame, shown
from speechlake.views import utterances_now

if TYPE_CHECKING:
    from rich.console import Console

NAME = "report"
EXAMPLES = 3
MAX_EXAMPLES = 20


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument("--release", help="name of a release; default the one published last")
    made.add_argument("--html", metavar="FILE", help="write a page of the release instead")
    made.add_argument(
        "--examples",
        type=job.whole(0, MAX_EXAMPLES),
        metavar="N",
        help=f"clips to listen to on the page, on each side of each rule, 0 to {MAX_EXAMPLES}; default {EXAMPLES}",
    )
    add_price(made)
    return made


def run(
    lake: Lake, *, release: str | None, price_per_device_hour: float | None = None, out: Console | None = None
) -> Report:
    """Print the report of `release`, or of the one published last, or of a lake without any."""
    out = out or console()
    row = questions.release_named(lake, release)
    _manifests(out, lake)
    if lake.read("corpora").isEmpty():
        # What an ingestion that was refused leaves: the quarantine above says why.
        return Report(
            NAME,
            counts={"utterances": 0},
            next_step="mend the manifests, or raise --max-reject, and run speechlake ingest-manifests again",
        )
    now = utterances_now(lake).select(*questions.READ_OF_NOW).persist()
    try:
        build = str(row["build_id"]) if row else None
        _hours(out, lake, now, build)
        _duplicates(out, now)
        counts: dict[str, Any] = {"utterances": now.count()}
    finally:
        now.unpersist()
    if row:
        counts |= {"release": row["release"], "build_id": build}
        _release(out, lake, row)
    if has_reviews(lake):
        _reviewed(out, lake)
    _cost(out, lake, price_per_device_hour)
    out.print(f"The lake lies in {lake.root}")
    return Report(
        NAME,
        counts=counts,
        next_step=command("sql", "--lake", lake.root, "select * from utterances_now limit 5"),
    )


def page(
    lake: Lake,
    file: Path,
    *,
    release: str | None,
    examples: int = EXAMPLES,
    price_per_device_hour: float | None = None,
    progress: Progress,
) -> Report:
    """Write the page of `release`, or of the one published last, to `file`; UsageError where there is none."""
    # Templates and charts are of no use to the terminal's report.
    from speechlake.page.release_page import release_page

    row = questions.release_named(lake, release)
    if row is None:
        raise UsageError(
            f"there is no release in {lake.root}, and a page is of one",
            hint=command("build-splits", "--lake", lake.root, "--policy", "FILE", "--release", "NAME"),
        )
    html = release_page(lake, row, examples=examples, price=price_per_device_hour, progress=progress)
    write_page(file, html)
    counts = {"release": row["release"], "build_id": row["build_id"], "bytes": file.stat().st_size}
    return Report(NAME, counts=counts, next_step=f"open {file} in a browser")


def _manifests(out: Console, lake: Lake) -> None:
    show_frame(out, "Lines read", questions.lines_read(lake))
    show_frame(out, "Quarantined, by reason", questions.quarantine_reasons(lake))


def _hours(out: Console, lake: Lake, now: Any, build: str | None) -> None:
    kept = questions.splits_of(lake, build) if build else None
    show_frame(out, "Audio that cannot be measured", questions.audio_errors(now))
    title = "Hours by corpus and language; errors of Whisper against the manifest's text"
    same = {
        name: (lambda value: value)
        for name in ("corpus", "language", "clips", "hours", "clips_kept", "hours_kept", "unit")
    }
    rates = dict.fromkeys(("error_rate", "substitutions", "deletions", "insertions", "unjudged"), percent)
    show_frame(out, title, questions.by_corpus_and_language(now, kept), {**same, **rates})
    if build:
        came, went = questions.changed_since(lake, build, now)
        if came or went:
            out.print(
                f"  note: this table is of the lake as it is now: {came} clips came after the release, {went} that it keeps are listed no more"
            )


def _duplicates(out: Console, now: Any) -> None:
    measured = now.withColumn("ms", whole_ms("audio_duration_s"))
    show_frame(out, "Duplicates, by kind", groups.duplicates_by_kind(measured))


def _release(out: Console, lake: Lake, row: dict[str, Any]) -> None:
    build = str(row["build_id"])
    title = "Rules, each alone: hours that no other rule or reason removes"
    names = ("rule", "passed", "failed", "not_applicable", "hours_alone")
    show(
        out,
        title,
        [name.replace("_", " ") for name in names],
        ([rule[name] for name in names] for rule in row["rules"]),
    )
    show_frame(out, "Excluded, by first reason", questions.reasons_of(lake, build))
    show_frame(out, "Groups, by what links them", questions.groups_of(lake, build))
    show_frame(
        out, f"Release {row['release']}, build {build}", questions.by_split(questions.splits_of(lake, build))
    )
    for warning in row["warnings"]:
        out.print(f"  note: {shown(warning)}")
    out.print(f"  digest of its rows: {row['rows_digest']}")
    out.print(
        f"  share of kept hours whose speaker is known: {percent(row['known_speaker_hours_ratio']) or '-'}"
    )


def _reviewed(out: Console, lake: Lake) -> None:
    title = "Rules as reviewers heard them: share of what each removes, and of what it keeps, that is bad"
    columns = {
        **dict.fromkeys(("rule", "reviewed", "removed_heard"), lambda value: value),
        **dict.fromkeys(("precision", "low", "high"), percent),
        "kept_heard": lambda value: value,
        "kept_bad": percent,
        "asked": lambda value: "-" if value is None else value.replace('"', ""),
    }
    show_frame(out, title, rule_precision(reviews(lake)), columns)


def _cost(out: Console, lake: Lake, price: float | None) -> None:
    for row in questions.extraction_cost(lake, price).collect():
        if not row.hours:
            continue
        used = f"{row.cpu_hours:.2f} CPU hours ({row.cores_used or 0:.1f} cores busy)"
        if row.device_hours:
            used += f", {row.device_hours:.2f} device hours ({row.devices_used or 0:.2f} devices busy)"
        cost = "" if row.price is None else f", price {row.price:,.2f}"
        # Runs that were interrupted left what they measured, and no time.
        rate, timed = row.times_real_time, (row.times_real_time or 0) * row.wall_s / 3600
        share = "" if f"{timed:.2f}" == f"{row.hours:.2f}" else f", {timed:.2f} h of them"
        took = f"{share} in {row.wall_s:.0f} s ({rate:.1f} x real time)" if rate else ""
        out.print(f"Measured {row.hours:.2f} h of audio{took}, {used}, {row.model_loads} model loads{cost}")
        if price is not None:
            show_frame(out, f"Price, at {price:g} per device hour", questions.price_by_release(lake, price))


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(NAME, arguments(), _call, argv, read=_read)


def _read(parsed: argparse.Namespace) -> None:
    parsed.price_per_device_hour = price_of(parsed.price_per_device_hour)
    if parsed.html is not None:
        parsed.html = page_path(parsed.html)
    elif parsed.examples is not None:
        raise UsageError("--examples are clips on a page", hint="Name its file: --html FILE.")


def _call(lake: Lake, parsed: argparse.Namespace) -> Report:
    price = parsed.price_per_device_hour
    if parsed.html is not None:
        return page(
            job.existing(lake),
            parsed.html,
            release=parsed.release,
            examples=EXAMPLES if parsed.examples is None else parsed.examples,
            price_per_device_hour=price,
            progress=Progress(),
        )
    return run(job.existing(lake), release=parsed.release, price_per_device_hour=price)


if __name__ == "__main__":
    sys.exit(main())
