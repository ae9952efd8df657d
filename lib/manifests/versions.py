"""Versions of manifests: which is the newest that a lake knows, and whether one is that very version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from speechlake.schemas import MANIFESTS

if TYPE_CHECKING:
    from speechlake.lake import Lake


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
    if known is None or known.quarantined or known.sha256 != sha256:
        return f"{parser}/{places}"
    before = str(known.parser_version).partition("+")[0]
    return before if before == parser or before.startswith(f"{parser}/") else f"{parser}/{places}"


def same_version(known: Any, manifest: Mapping[str, Any]) -> bool:
    """True when `known`, a row of `manifests`, is this very version under this parser and limit."""
    return known is not None and all(
        known[name] == manifest[name] for name in ("sha256", "parser_version", "max_reject")
    )
