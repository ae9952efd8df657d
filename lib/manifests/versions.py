"""Versions of manifests: which is the newest that a lake knows, and whether one is that very version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from speechlake.ids import make_id
from speechlake.manifests.classify import SAME_INTERVAL
from speechlake.schemas import MANIFESTS

if TYPE_CHECKING:
    from speechlake.lake import Lake

# Of a parser's version: its number, digests of options, of what roots are called, and of where they lie.
PARTS = 4


def newest_manifests(lake: Lake, corpus: str) -> dict[str, Any]:
    """The newest generation of each manifest of `corpus`, by uri: one row a manifest, on the driver."""
    from pyspark.sql import functions as F

    latest = lake.read("manifests").where(F.col("corpus") == corpus)
    columns = [name for name in MANIFESTS.column_names if name != "generation"]
    best = latest.groupBy("uri").agg(F.max(F.struct("generation", *columns)).alias("m")).select("m.*")
    return {row.uri: row for row in best.collect()}


def parser_at(parser: str, places: str, sha256: str, known: Any | None) -> str:
    """The parser's version with a digest of where the roots lie, `places`; `known` is the manifest's newest row.

    Roots that moved change no line that was taken, so that the same manifest keeps its version. Where lines were
    refused, it may have been for the root that is named rightly now: those are parsed again.
    """
    now = f"{parser}/{places}"
    if known is None or known.sha256 != sha256:
        return now
    before = str(known.parser_version).partition("+")[0]
    # What was parsed once more for the sake of others has a digest of them behind it.
    heeds = now if known.quarantined else parser
    return before if before == heeds or before.startswith(f"{heeds}/") else now


def disputed(
    lake: Lake,
    corpus: str,
    versions: Sequence[Mapping[str, Any]],
    changed: Sequence[Mapping[str, Any]],
    newest: Mapping[str, Any],
) -> list[Mapping[str, Any]]:
    """Those of `versions` that did not change, and of which lines were refused because others said something else.

    Some of those others are in `changed` now: such a line may be the only one that is left of its utterance. They
    are versions of their own, named by what changed.
    """
    from pyspark.sql import functions as F

    moved = {version["uri"] for version in changed}
    doubtful = [v for v in versions if v["uri"] not in moved and newest[v["uri"]].quarantined]
    if not doubtful:
        return []
    here = (F.col("corpus") == corpus) & (F.col("reason") == SAME_INTERVAL)
    lines = lake.read("quarantine").where(here).select("uri", "sha256", "parser_version")
    refused = {tuple(row) for row in lines.distinct().collect()}
    after = make_id(*sorted(f"{v['uri']}@{v['sha256']}@{v['parser_version']}" for v in changed))[:8]
    return [
        {**v, "parser_version": _after(str(v["parser_version"]), after), "disputed": True}
        for v in doubtful
        if (v["uri"], v["sha256"], newest[v["uri"]].parser_version) in refused
    ]


def _after(parser: str, digest: str) -> str:
    """`parser` with this digest in the place of a former one; the times that channels were counted stay."""
    version, plus, times = parser.partition("+")
    return "/".join([*version.split("/")[:PARTS], digest]) + plus + times


def same_version(known: Any, manifest: Mapping[str, Any]) -> bool:
    """True when `known`, a row of `manifests`, is this very version under this parser and limit."""
    return known is not None and all(
        known[name] == manifest[name] for name in ("sha256", "parser_version", "max_reject")
    )
