"""Profile: which fingerprint of each extractor is current, per language if need be; and setting it.

Without --set, lists what is current and what else was measured. With it, a fingerprint (or its first digits,
or a model that has only one) becomes current for one language, or for all that have none of their own:
views and policies follow at once, nothing is measured again, and setting back is the same command.

    spark-submit --py-files dist/speechlake.zip jobs/profiles.py \\
        --lake s3a://corpus/lake --set whisper=whisper-large-v3 --language ka
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from speechlake import job
from speechlake.errors import UsageError
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.ledger import Run
from speechlake.signals import EXTRACTORS
from speechlake.signals.catalogue import is_heeded, profile
from speechlake.signals.promote import Choice, choices, chosen, promote
from speechlake.terminal import console, show
from speechlake.text.languages import language_of

if TYPE_CHECKING:
    from rich.console import Console

NAME = "profile"
EVERY_OTHER = "every other"


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument(
        "--set",
        metavar="EXTRACTOR=WHAT",
        help="make a fingerprint or a model current, e.g. whisper=whisper-base",
    )
    made.add_argument("--language", help="for this language only; default: where a language has no own row")
    job.add_wait(made)
    return made


def run(
    lake: Lake,
    *,
    setting: tuple[str, str] | None = None,
    language: str | None = None,
    wait_s: float = 0.0,
    out: Console | None = None,
) -> Report:
    """Carry out `setting` (extractor, fingerprint or model), if any; then print the profile."""
    written, last = 0, None
    if setting:
        written, last = _set(lake, *setting, language, wait_s)
    counts = _show(out or console(), lake)
    outcome = "nothing to do" if setting and not written else "done"
    following = f"speechlake report --lake {lake.root}"
    return Report(NAME, outcome, last, {**counts, "written": int(bool(written))}, following)


def _set(lake: Lake, extractor: str, said: str, language: str | None, wait_s: float) -> tuple[int, str]:
    fingerprint = chosen(lake, extractor, said).fingerprint
    if not is_heeded(lake, fingerprint, language):
        raise UsageError(
            f"{said} hears in cut windows, which were not found equal for {language or 'any language'}",
            hint=f"speechlake calibrate --lake {lake.root} tells for which languages they are.",
        )
    told = {"extractor": extractor, "fingerprint": fingerprint, "language": language}
    this = Run(NAME, "lake", told)
    with lake.hold(NAME, this.scope, this.run_id, wait_s=wait_s) as hold:
        this.reads(lake, ("extractors", "profiles", f"signals_{extractor}"))
        written = promote(hold, extractor, fingerprint, language)
        if written:
            this.rows_out = 1
            this.finish(hold)
    return written, this.run_id


def _show(out: Console, lake: Lake) -> dict[str, int]:
    """Print what is current and what else was measured; how many of each."""
    now = profile(lake)
    current: list[list[Any]] = []
    others: list[list[Any]] = []
    for extractor in EXTRACTORS:
        there = {choice.fingerprint: choice for choice in choices(lake, extractor)}
        said = now.get(extractor, ())
        for languages, fingerprint in said:
            name = " ".join(sorted(languages)) if languages else EVERY_OTHER
            current.append([extractor, name, *_told(fingerprint, there.get(fingerprint))])
        named = {fingerprint for _, fingerprint in said}
        others += [[extractor, *_told(fp, choice)] for fp, choice in there.items() if fp not in named]
    columns = ["fingerprint", "model", "rows", "parameters"]
    show(out, "Current", ["extractor", "language", *columns], current)
    if others:
        show(out, "Measured, and not current", ["extractor", *columns], others)
    return {"current": len(current), "others": len(others)}


def _told(fingerprint: str, choice: Choice | None) -> list[Any]:
    if choice is None:
        return [fingerprint, None, 0, None]
    return [fingerprint, choice.model_id, choice.rows, choice.parameters]


def setting_of(said: str) -> tuple[str, str]:
    """(extractor, fingerprint or model) of `--set`; UsageError for another form."""
    extractor, equals, what = said.partition("=")
    if not (extractor and equals and what):
        raise UsageError(f"--set {said!r}: expected EXTRACTOR=FINGERPRINT or EXTRACTOR=MODEL")
    return extractor, what


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(NAME, arguments(), _call, argv, read=_read)


def _read(parsed: argparse.Namespace) -> None:
    if parsed.language and not parsed.set:
        raise UsageError("--language goes with --set")
    parsed.set = setting_of(parsed.set) if parsed.set else None
    parsed.language = language_of(parsed.language) if parsed.language else None


def _call(lake: Lake, parsed: argparse.Namespace) -> Report:
    return run(job.existing(lake), setting=parsed.set, language=parsed.language, wait_s=parsed.wait)


if __name__ == "__main__":
    sys.exit(main())
