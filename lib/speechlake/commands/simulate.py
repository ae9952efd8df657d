"""Simulate: what a policy would keep, and which rows another would change. Writes nothing.

The same evaluation as build-splits, against the sides that the policy's scheme has published: hours per
side, corpus and language, hours that each rule alone removes, and, with a second policy, the rows that end
elsewhere under it.

    spark-submit --py-files dist/speechlake.zip jobs/simulate.py \\
        --lake s3a://corpus/lake --policy asr-train --policy stricter.yaml
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechlake import job
from speechlake.errors import UsageError
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.splits import simulate
from speechlake.splits.compared import asked_audio, keyed_audio, never_compared
from speechlake.splits.evaluate import Evaluated, evaluated
from speechlake.splits.fields import refuse_unknown_fields
from speechlake.splits.pins import without_values
from speechlake.splits.policy import Policy, load_policy
from speechlake.splits.reuse import reusing
from speechlake.terminal import console, show, shown

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from rich.console import Console

NAME = "simulate"


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument(
        "--policy",
        required=True,
        action="append",
        type=Path,
        help="YAML file of a policy, or a name such as asr-train; given twice, the second is compared with the first",
    )
    return made


def run(lake: Lake, policies: Mapping[str, Policy], *, out: Console | None = None) -> Report:
    """Evaluate one policy or two, by the names to show, and print what they keep and where they differ."""
    out = console() if out is None else out
    with reusing([*policies.values()]):
        for policy in policies.values():
            refuse_unknown_fields(lake, policy)
        ends = {name: evaluated(lake, policy) for name, policy in policies.items()}
    counts = {name: _told(out, lake, name, policies[name], end) for name, end in ends.items()}
    changed = _changed(out, *ends.items()) if len(ends) == 2 else None
    said: dict[str, Any] = {"policies": counts} | ({} if changed is None else {"changed": changed})
    last = [*policies][-1]
    following = f"speechlake build-splits --lake {lake.root} --policy {last} --release NAME"
    return Report(NAME, "done", counts=said, next_step=following)


def _told(out: Console, lake: Lake, name: str, policy: Policy, end: Evaluated) -> dict[str, Any]:
    """Print what one `policy`, which names quantiles, keeps; its numbers for the last line."""
    sides = _rows(simulate.by_side(end.build))
    rules = _rows(end.build.rules)
    reasons = _rows(simulate.by_reason(end.build))
    _show(out, f"{name}: hours by side", sides)
    _show(out, f"{name}: rules, with the hours that each alone removes", rules)
    _show(out, f"{name}: first reasons of what is excluded", reasons)
    _show(out, f"{name}: hours by corpus and language", _rows(simulate.by_corpus_and_language(end.build)))
    if end.numbers:
        pins = [{"quantile": key, "number": number} for key, number in end.numbers.items()]
        _show(out, f"{name}: quantiles and their numbers", pins)
    warned = [row["message"] for row in _rows(end.build.warnings)]
    for message in (*warned, *without_values(policy, end.numbers)):
        out.print(f"warning: {shown(message)}")
    audio = asked_audio(lake, end.build.splits, end.policy.decontaminate)
    unknown = never_compared(lake, audio, keyed_audio(lake, audio))
    refused = [*(row["message"] for row in _rows(end.build.refusals)), *([unknown] if unknown else [])]
    for message in refused:
        out.print(f"would be refused: {shown(message)}")
    return {
        "hours": {row["split"]: round(row["hours"], 4) for row in sides},
        "utterances": {row["split"]: row["utterances"] for row in sides},
        "hours_removed_alone": {row["rule"]: round(row["hours_alone"], 4) for row in rules},
        "excluded": {row["reason"]: row["utterances"] for row in reasons},
        "quantiles": dict(end.numbers),
        "refused": refused,
    }


def _changed(
    out: Console, first: tuple[str, Evaluated], second: tuple[str, Evaluated]
) -> list[dict[str, Any]]:
    """Print which rows end elsewhere under the second policy; the same for the last line."""
    rows = _rows(simulate.changes(first[1].build, second[1].build))
    shown = [{**row, "examples": " ".join(one[:12] for one in row["examples"])} for row in rows]
    _show(out, f"from {first[0]} to {second[0]}: rows that end elsewhere", shown)
    return [{**row, "hours": round(row["hours"], 4)} for row in rows]


def _rows(frame: DataFrame) -> list[dict[str, Any]]:
    """Rows of a small frame."""
    return [row.asDict() for row in frame.collect()]


def _show(out: Console, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    names = [*rows[0]] if rows else []
    show(out, title, [name.replace("_", " ") for name in names], [[row[n] for n in names] for row in rows])


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(NAME, arguments(), _call, argv, read=_read)


def _read(parsed: argparse.Namespace) -> None:
    if len(parsed.policy) > 2:
        raise UsageError(
            f"--policy is given {len(parsed.policy)} times", hint="One policy, or two to compare."
        )
    policies = {str(path): load_policy(path) for path in parsed.policy}
    if len(policies) < len(parsed.policy):
        raise UsageError("--policy names the same file twice", hint="One policy, or two to compare.")
    parsed.policies = policies


def _call(lake: Lake, parsed: argparse.Namespace) -> Report:
    return run(job.existing(lake), parsed.policies)


if __name__ == "__main__":
    sys.exit(main())
