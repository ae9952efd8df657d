"""Status: how every corpus of a lake stands: ingested, measured, stale, failed, to be tried again, last run, cost.

Current is what the profile names, as in views and policies, and what runs by default. Whether an utterance
lacks a measurement is the plan's own question, so that what stands here is what `extract-signals` would do.

The last line lists as `incomplete` each corpus that lacks anything of what runs by default, or of --extractor:
missing, stale or to be tried again; or all of whose audio is missing. As `refused` it lists each with a manifest
that was refused. Both are of --corpora and of the sources named there where that is given, else of the lake,
without what was erased. Reads tables only; needs no model and no audio.

    spark-submit --py-files dist/speechlake.zip jobs/status.py --lake s3a://corpus/lake --corpora corpora.yaml
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechlake import job
from speechlake.cli import command
from speechlake.corpora import Corpus, load_corpora
from speechlake.erasure.tombstones import known_hashes
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.manifests.references import normal
from speechlake.manifests.roots import roots_of
from speechlake.prices import add_price, price_of
from speechlake.questions.manifests import refused_manifests
from speechlake.questions.standing import (
    cost_by_corpus,
    current_extractors,
    ingested,
    last_runs,
    standing,
)
from speechlake.signals import DEFAULT_EXTRACTORS, EXTRACTORS
from speechlake.terminal import console, show

if TYPE_CHECKING:
    from rich.console import Console

NAME = "status"
# What keeps a corpus from being complete: a run of extract-signals would measure it.
OPEN = ("missing", "stale", "to_retry")
COUNTED = ("utterances", "measured", "failed", "given_up", *OPEN)


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument(
        "--corpora", type=Path, help="YAML file of corpora: those that were never ingested are told too"
    )
    made.add_argument("--corpus", help="one corpus; default all")
    made.add_argument(
        "--extractor",
        action="append",
        choices=list(EXTRACTORS),
        help="repeatable; default what the profile names, and what runs by default",
    )
    add_price(made)
    return made


@dataclass
class Standing:
    """How one corpus stands. `extractors`: rows of `questions.standing`."""

    corpus: str
    ingested: dict[str, Any] | None = None
    extractors: list[dict[str, Any]] = field(default_factory=list)
    last: dict[str, Any] | None = None
    cost: dict[str, Any] = field(default_factory=dict)

    def open_of(self, row: dict[str, Any], named: Sequence[str]) -> int:
        """What an extractor leaves open, where runs that name none measure by it: they would not mend another's."""
        return (
            sum(int(row[name]) for name in OPEN) if row["extractor"] in (named or DEFAULT_EXTRACTORS) else 0
        )

    def is_complete(self, named: Sequence[str]) -> bool:
        """False where nothing was ever accepted, no audio is there, or anything is missing, stale or to be tried again."""
        if self.ingested is None or self.ingested["manifests"] <= self.ingested["refused"]:
            return False
        if 0 < self.ingested["recordings"] == self.ingested["audio_missing"]:
            return False
        return not any(self.open_of(row, named) for row in self.extractors)


def run(
    lake: Lake,
    *,
    corpora: Sequence[Corpus] = (),
    corpus: str | None = None,
    extractors: Sequence[str] = (),
    price_per_device_hour: float | None = None,
    out: Console | None = None,
) -> Report:
    """Print how the corpora of the lake, and of `corpora`, stand; where these are given, they alone can be incomplete."""
    out = out or console()
    named = {each.name: each for each in corpora}
    found = _standings(lake, list(named), corpus, extractors)
    _print(out, found, price_per_device_hour)
    # What the file does not name cannot be ingested by it, and what was erased is refused: both would fail for ever.
    asked = [each for each in found if not named or each.corpus in named]
    open_ones = [each.corpus for each in asked if not each.is_complete(extractors)]
    emptied = [each.corpus for each in asked if each.ingested and not each.ingested["manifests"]]
    erased = known_hashes(lake, "corpus", open_ones) | known_hashes(lake, "lines", emptied)
    incomplete = [name for name in open_ones if name not in erased]
    bad = [each.corpus for each in asked if each.ingested and each.ingested["refused"]]
    refused = [name for name in bad if not named or _is_refused(lake, named[name])]
    counts = {"corpora": {each.corpus: _counts(each) for each in found}}
    following = command("extract-signals", "--lake", lake.root) if incomplete else None
    return Report(
        NAME, counts=counts, next_step=following, more={"incomplete": incomplete, "refused": refused}
    )


def _is_refused(lake: Lake, corpus: Corpus) -> bool:
    """True where a manifest stands refused that a source of the corpus leads to: one that another took the place of
    is never read again, and would stand for ever."""
    from pyspark.sql import functions as F

    roots = {**roots_of(lake, corpus.name), **corpus.roots}
    sources = [normal(source).rstrip("/") for source in corpus.sources]
    mine = refused_manifests(lake).where(F.col("corpus") == corpus.name).collect()
    places = [_place(row.uri, roots) for row in mine]
    return any(place == source or place.startswith(f"{source}/") for place in places for source in sources)


def _place(uri: str, roots: Mapping[str, str]) -> str:
    """Where a manifest lies that tables name `uri`: a place, or `root:path`."""
    name, _, path = uri.partition(":")
    if name not in roots or path.startswith("//"):
        return normal(uri)
    folder = normal(roots[name])
    return folder if path == "." else f"{folder.rstrip('/')}/{path}"


def _standings(
    lake: Lake, corpora: Sequence[str], corpus: str | None, extractors: Sequence[str]
) -> list[Standing]:
    known = {row.corpus: row.asDict() for row in ingested(lake).collect()}
    names = sorted({*known, *corpora})
    if corpus is not None:
        names = [corpus] if corpus in corpora else job.corpora_of(lake, corpus)
    last = {row.scope: row.asDict() for row in last_runs(lake).where("scope <> 'lake'").collect()}
    cost = {row.corpus: row.asDict() for row in cost_by_corpus(lake).collect()}
    wanted = current_extractors(lake, extractors)
    order = {w.fingerprint: n for n, w in enumerate(wanted)}
    # All corpora in one question: of a hundred, each on its own would be minutes of planning.
    there = [name for name in names if name in known]
    counted = [row.asDict() for row in standing(lake, there, wanted).collect()] if there else []
    by_corpus: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for row in sorted(counted, key=lambda row: order[row["fingerprint"]]):
        by_corpus[row["corpus"]].append(row)
    return [
        Standing(name, known.get(name), rows, last.get(name), cost.get(name, {}))
        for name, rows in by_corpus.items()
    ]


def _counts(each: Standing) -> dict[str, Any]:
    """What the last line says of a corpus."""
    by_extractor: dict[str, dict[str, int]] = {}
    for row in each.extractors:
        mine = by_extractor.setdefault(row["extractor"], dict.fromkeys(COUNTED, 0))
        for name in COUNTED:
            mine[name] += row[name]
    last = {"last_run": f"{each.last['job']} {each.last['outcome']}"} if each.last else {}
    return {"utterances": (each.ingested or {}).get("utterances", 0), **last, "extractors": by_extractor}


def _print(out: Console, found: Sequence[Standing], price: float | None) -> None:
    names = ("manifests", "refused", "quarantined", "recordings", "audio_missing", "utterances")
    counted = [[each.corpus, *((each.ingested or {}).get(name, 0) for name in names)] for each in found]
    show(out, "Ingested", ["corpus", *_heads(names)], counted)
    ends = ("last_run", "outcome", "ended_(UTC)", "hours_measured", "device_hours", "price")
    show(out, "Last run, and what measuring cost", ["corpus", *_heads(ends)], (_ran(e, price) for e in found))
    rows = [
        [each.corpus, row["extractor"], row["fingerprint"], *(row[name] for name in COUNTED)]
        for each in found
        for row in each.extractors
    ]
    heads = ["corpus", "extractor", "fingerprint", *_heads(COUNTED)]
    show(out, "Measured by each current extractor", heads, rows)


def _heads(names: Sequence[str]) -> list[str]:
    return [name.replace("_", " ") for name in names]


def _ran(each: Standing, price: float | None) -> list[Any]:
    last, charged = each.last or {}, each.cost.get("charged_hours")
    cost = None if price is None or charged is None else price * charged
    told = [
        last.get("job"),
        last.get("outcome"),
        last.get("ended"),
        each.cost.get("hours_measured"),
        charged,
        cost,
    ]
    return [each.corpus, *told]


def _read(parsed: argparse.Namespace) -> None:
    parsed.corpora = load_corpora(parsed.corpora) if parsed.corpora else ()
    parsed.price_per_device_hour = price_of(parsed.price_per_device_hour)


def _call(lake: Lake, parsed: argparse.Namespace) -> Report:
    return run(
        # Before the first ingest every corpus of the file is incomplete, and that is an answer.
        lake if parsed.corpora else job.existing(lake),
        corpora=parsed.corpora,
        corpus=parsed.corpus,
        extractors=parsed.extractor or (),
        price_per_device_hour=parsed.price_per_device_hour,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(NAME, arguments(), _call, argv, read=_read)


if __name__ == "__main__":
    sys.exit(main())
