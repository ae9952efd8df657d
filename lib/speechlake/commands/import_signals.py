"""Import signals: values that others measured, or another model's texts -> signals and transcripts.

SOURCE has a row per utterance: JSON lines, Parquet (a file or a folder) or a Delta table. Its columns become
values that policies read as `imported.<name>.<column>`, or a text that they prefer as `import:<name>`. What was
imported last is current; what was imported before stays. Rows that cannot be taken stand in
`import_refusals`, each with its reason. Running it again changes nothing.

    spark-submit --py-files dist/speechlake.zip jobs/import_signals.py --lake s3a://corpus/lake \\
        --name asr3 --column loss --column hardest_word:string s3a://training/asr3/losses.parquet

The answers of a page of `speechlake review` come back by

    speechlake import-signals --lake L --name review_<rule> --review answers.jsonl
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from speechlake import job
from speechlake.cli import command
from speechlake.errors import UsageError
from speechlake.feedback.commit import Imported, commit_import
from speechlake.feedback.rows import bound, source_rows
from speechlake.feedback.source import FORMATS, found_source, unreadable, with_types
from speechlake.feedback.spec import Import, Source, value_column
from speechlake.feedback.verdicts import ANSWERS
from speechlake.hold import Hold
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.ledger import Run, nothing_to_do
from speechlake.progress import Progress
from speechlake.sql_text import literal
from speechlake.views import located_utterances

NAME = "import-signals"
READS = (
    *("utterances", "recordings", "content_hashes"),
    # What it writes: of rows that are gone, a run that wrote none would not know.
    *("signals_imported", "import_refusals", "transcripts", "extractors", "profiles"),
)


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument("--name", required=True, help="what the values are called: imported.NAME.COLUMN")
    made.add_argument("--version", default="1", help="told apart from other imports of this name; default 1")
    made.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="[NAME=]COLUMN[:TYPE]",
        help="a column with values: number, boolean or string; default the type that it has; repeatable",
    )
    made.add_argument(
        "--text", metavar="COLUMN", help="a column with texts: transcripts of source import:NAME"
    )
    made.add_argument("--kind", choices=("machine", "human"), help="who wrote the texts")
    made.add_argument("--language", help="of the texts; default that of the utterance")
    made.add_argument("--review", action="store_true", help="the columns of a review's answers")
    made.add_argument(
        "--key",
        default="utterance_id",
        metavar="COLUMN",
        help="that holds the utterance's id; default utterance_id",
    )
    made.add_argument(
        "--source-id", metavar="COLUMN", help="that holds the corpus's own id, instead of --key"
    )
    made.add_argument(
        "--corpus", help="that all rows belong to; default, with --source-id, the column corpus"
    )
    made.add_argument("--format", default="auto", choices=FORMATS, help="of SOURCE")
    made.add_argument(
        "--max-reject", type=float, default=0.05, help="share of rows that may be refused; default 0.05"
    )
    job.add_wait(made)
    made.add_argument("source", metavar="SOURCE", help="file, folder or Delta table; path or URI")
    return made


def import_of(parsed: argparse.Namespace) -> Import:
    """What the arguments ask for; UsageError where they contradict each other."""
    from speechlake.text.languages import canonical

    language = canonical(parsed.language)
    if parsed.language and language is None:
        raise UsageError(f"--language {parsed.language!r} is no language that is known here")
    return Import(
        name=parsed.name,
        version=parsed.version,
        columns=(*(value_column(text) for text in parsed.column), *(ANSWERS if parsed.review else ())),
        text=parsed.text,
        kind=parsed.kind,
        language=language,
        corpus=parsed.corpus,
        key=parsed.source_id or parsed.key,
        by_source_id=parsed.source_id is not None,
    )


def run(
    lake: Lake,
    spec: Import,
    uri: str,
    *,
    format: str = "auto",
    max_reject: float = 0.05,
    wait_s: float = 0.0,
    progress: Progress,
) -> Report:
    """Take what the source at `uri` says of utterances of the lake, and count what became of its rows."""
    if spec.corpus is not None:
        job.corpora_of(lake, spec.corpus)
    source = found_source(lake.spark, spec, uri, format)
    spec = with_types(spec, source)
    told = {"import": spec.as_json(), "sha256": source.sha256, "max_reject": max_reject}
    this = Run(NAME, spec.name, told)
    with lake.hold(NAME, this.scope, this.run_id, wait_s=wait_s) as hold:
        hold.adopt(lambda stage: commit_import(hold, stage))
        found = None
        if hold.versions_written or not nothing_to_do(lake, this):
            this.reads(lake, READS)
            found = _import(hold, this, spec, source)
            this.counts, this.rows_in = dict(found.counts), found.counts["rows"]
            this.rows_out = found.counts.get("values_written", 0) + found.counts.get("texts_written", 0)
        refusal = found.refusal if found else None
        if hold.versions_written or (found and refusal is None and this.is_news(hold)):
            this.finish(hold, type(refusal).__name__ if refusal else "done")
    return _report(lake, this, spec, found, changed=bool(hold.versions_written), progress=progress)


def _import(hold: Hold, this: Run, spec: Import, source: Source) -> Imported:
    """Stage every row, bound to its utterance or refused; then commit."""
    from pyspark.sql import functions as F

    utterances = located_utterances(hold.lake).withColumn("retired", F.col("retired_in").isNotNull())
    note = {**this.arguments, "base_name": source.base_name}
    try:
        rows = bound(source_rows(hold.lake.spark, spec, source), utterances, spec)
        stage = hold.staging.write(this.digest[:16], this.run_id, rows, note)
    except Exception as error:
        told = unreadable(source, error)
        if told is None:
            raise
        raise told from error
    found = commit_import(hold, stage)
    hold.staging.delete(stage)
    return found


def _report(
    lake: Lake, this: Run, spec: Import, found: Imported | None, *, changed: bool, progress: Progress
) -> Report:
    refusal = found.refusal if found else None
    following: str | None = command(
        "build-splits", "--lake", lake.root, "--policy", "FILE", "--release", "NAME"
    )
    if refusal:
        listed = f"select * from import_refusals where name = {literal(spec.name)}"
        following = command("sql", "--lake", lake.root, listed) if this.counts["refused"] else None
    outcome = "refused" if refusal else "done" if changed else "nothing to do"
    progress.say(
        f"{spec.name}: " + (_sentence(this.counts) if found and not refusal and changed else outcome)
    )
    if found and found.left_behind:
        progress.say(
            f"{spec.name}: of {', '.join(found.left_behind)} nothing is current any more, because an import is what "
            "its last source says, and this one does not name them. Import all from one source, or each corpus under "
            "a --name of its own."
        )
    return Report(NAME, outcome, this.run_id, this.counts, following, refusal)


def _sentence(counts: dict[str, int]) -> str:
    reasons = [
        f"{n} {name.removeprefix('refused_').upper()}"
        for name, n in counts.items()
        if name.startswith("refused_")
    ]
    why = f" ({', '.join(reasons)})" if reasons else ""
    return (
        f"{counts['rows']} rows: {counts['accepted']} taken, {counts['repeats']} repeats, "
        f"{counts['refused']} refused{why}; {counts['values_written']} new values, "
        f"{counts.get('texts_written', 0)} new texts, {counts.get('texts_retired', 0)} retired"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(NAME, arguments(), _call, argv, read=_read)


def _read(parsed: argparse.Namespace) -> None:
    if not 0 <= parsed.max_reject <= 1:
        raise UsageError(f"--max-reject {parsed.max_reject}: expected a share from 0 to 1")
    parsed.asked = import_of(parsed)


def _call(lake: Lake, parsed: argparse.Namespace) -> Report:
    return run(
        job.existing(lake),
        parsed.asked,
        parsed.source,
        format=parsed.format,
        max_reject=parsed.max_reject,
        wait_s=parsed.wait,
        progress=Progress(),
    )


if __name__ == "__main__":
    sys.exit(main())
