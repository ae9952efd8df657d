"""Compare models: two models of Whisper, or ways to run one, over the utterances that both measured.

Per language and in total: the change of the error rate with its 95 % interval (paired bootstrap), its parts,
texts that are empty or ran away, languages that were heard otherwise, hours that a policy would gain and
lose, and the worst regressions to listen to. Reads stored texts and scores; writes nothing.

    spark-submit --py-files dist/speechlake.zip jobs/compare_models.py --lake s3a://corpus/lake \\
        --old whisper-base --new whisper-large-v3 --policy asr-train
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechlake import job
from speechlake.compare import answers, hours
from speechlake.compare.pairs import pairs
from speechlake.compare.sides import Side, side_of
from speechlake.errors import UsageError
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.questions.hours import units_of
from speechlake.splits.policy import Policy, load_policy
from speechlake.terminal import console, percent, show, show_frame
from speechlake.text.paired import Paired
from speechlake.text.paired_frames import paired_by

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from rich.console import Console

NAME = "compare-models"
TOTAL = "all"


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    what = "id of a Whisper model, in the windows found equal and the way that the profile names; or a fingerprint"
    made.add_argument("--old", required=True, help=what)
    made.add_argument("--new", required=True, help=what)
    made.add_argument(
        "--policy",
        type=Path,
        help="YAML file, or a name such as asr-train: count the hours that it would keep with each",
    )
    made.add_argument(
        "--n", type=job.whole(0), default=20, help="how many regressions are listed; default 20"
    )
    return made


def run(
    lake: Lake, *, old: str, new: str, policy: Policy | None = None, n: int = 20, out: Console | None = None
) -> Report:
    """Print how `new` does against `old`; UsageError where either is unknown or they share no utterance."""
    out = out or console()
    a, b = side_of(lake, old), side_of(lake, new)
    if a.entries == b.entries:
        raise UsageError(f"--old and --new both name {a}")
    both = pairs(lake, a.entries, b.entries).persist()
    try:
        texts = {row.name: row.asDict() for row in answers.texts(both).collect()}
        _refuse_nothing_shared(lake, a, b, texts)
        out.print(f"a, the old: {a}\nb, the new: {b}")
        counts = _errors(out, both) | _texts(out, texts)
        if policy is not None:
            counts |= _hours(out, hours.judged_by_both(lake, policy, a.entries, b.entries, both).persist())
        _regressions(out, both, n)
    finally:
        both.unpersist()
    return Report(NAME, counts=counts, next_step=_next(lake, counts, b))


def _refuse_nothing_shared(lake: Lake, a: Side, b: Side, texts: Mapping[str, Any]) -> None:
    if not texts:
        raise UsageError(
            f"no current utterance was measured by both {a} and {b}",
            hint=f"speechlake extract-signals --lake {lake.root} --extractor whisper --model MODEL measures more.",
        )


def _errors(out: Console, both: DataFrame) -> dict[str, Any]:
    """Print error rates by language and in total; the total's figures."""
    from pyspark.sql import functions as F

    scored = both.where("comparable")
    by_name = scored.groupBy("name").agg(units_of(F.col("a_unit")).alias("unit"))
    units = {row.name: row.unit for row in by_name.collect()}
    found = paired_by(scored, "name")
    if not found:
        out.print("Nothing that both heard has a score: error rates are not known.")
        return {"compared": 0}
    rows = [_rates(name, units[name], said) for name, said in found.items() if name]
    kinds = sorted({kind for unit in units.values() for kind in unit.split(" and ")})
    rows.append(_rates(TOTAL, " and ".join(kinds), found[""]))
    columns = ["language", "unit", "clips", "changed", "a", "b", "b - a", "95 % from", "to", "P(b better)"]
    show(out, "Error rate", [*columns, "substitutions", "deletions", "insertions"], rows)
    total = asdict(found[""])
    counts = {name: total.pop(name) for name in ("a", "b")}
    return {
        "compared": total.pop("utterances"),
        "counts_changed": total.pop("changed"),
        **total,
        **_plain(counts),
    }


def _plain(counts: Mapping[str, Any]) -> dict[str, Any]:
    return {f"errors_{side}": sum(said[1:]) for side, said in counts.items()} | {
        "reference_units": sum(counts["a"][:3])
    }


def _rates(name: str, unit: str, said: Paired) -> list[Any]:
    change = (said.difference, said.low, said.high)
    parts = (said.substitutions, said.deletions, said.insertions)
    whole = [name, unit, said.utterances, said.changed, percent(said.rate_a), percent(said.rate_b)]
    return [*whole, *map(_change, change), percent(said.improvement), *map(_change, parts)]


def _change(value: float | None) -> str | None:
    """A difference of rates in points, with its sign."""
    return None if value is None else f"{100 * value:+.2f}"


def _texts(out: Console, texts: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Print what became of texts and languages, old -> new where both have a number; the sums."""
    sums = answers.totals(texts)
    rows = [
        [name, *(row[column] for column in answers.OF_PAIRS)]
        + [f"{row[f'a_{column}']} -> {row[f'b_{column}']}" for column in answers.OF_BOTH]
        for name, row in {**texts, TOTAL: sums}.items()
    ]
    columns = ["language", *answers.OF_PAIRS, *answers.OF_BOTH]
    show(out, "Texts and languages", [name.replace("_", " ") for name in columns], rows)
    return sums


def _hours(out: Console, both: DataFrame) -> dict[str, float]:
    """Print hours that pass for train by language and by reason; the sums."""
    try:
        rows = [row.asDict() for row in hours.hours_by_language(both).collect()]
        names = [name for name in rows[0] if name != "name"] if rows else []
        sums = {name: sum(float(row[name]) for row in rows) for name in names}
        told = [[row["name"], *(row[name] for name in names)] for row in [*rows, {"name": TOTAL, **sums}]]
        show(
            out, "Hours that pass for train", ["language", *(name.replace("_", " ") for name in names)], told
        )
        show_frame(
            out, "Hours gained and lost, by the reason that stood against them", hours.hours_by_reason(both)
        )
    finally:
        both.unpersist()
    return {name: round(value, 6) for name, value in sums.items()}


def _regressions(out: Console, both: DataFrame, n: int) -> None:
    """Print the utterances that lost most, three lines each: the reference, the old text, the new one."""
    rows: list[list[Any]] = []
    for row in answers.regressions(both, n).collect():
        place = row.path if not row.start_ms else f"{row.path} at {row.start_ms / 1000:.1f} s"
        rows += [
            [row.utterance_id, f"{row.units} units", "said", row.reference],
            [row["name"], f"{row.a_errors} errors", "a", row.a_text],
            [place, f"{row.b_errors} errors", "b", row.b_text],
        ]
    if rows:
        show(
            out, f"Worst regressions, {len(rows) // 3} at most {n}", ["utterance", "errors", "", "text"], rows
        )


def _next(lake: Lake, counts: Mapping[str, Any], new: Side) -> str | None:
    """What is missing, else to make the new model current where all of the interval is in its favour."""
    if counts["unscored"]:
        return f"speechlake score-transcripts --lake {lake.root}"
    high = counts.get("high")
    better = high is not None and high < 0
    return f"speechlake {new.promoting}" if better else None


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(NAME, arguments(), _call, argv, read=_read)


def _read(parsed: argparse.Namespace) -> None:
    if parsed.policy:
        parsed.policy = load_policy(parsed.policy)


def _call(lake: Lake, parsed: argparse.Namespace) -> Report:
    return run(job.existing(lake), old=parsed.old, new=parsed.new, policy=parsed.policy, n=parsed.n)


if __name__ == "__main__":
    sys.exit(main())
