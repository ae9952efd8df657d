"""Versions of manifests: which is the newest that a lake knows, and whether one is that very version."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from speechlake.manifests.classify import DIFFERS, SAME_INTERVAL
from speechlake.schemas import MANIFESTS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

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
    # What was read anew for the sake of others says so behind it.
    heeds = now if known.quarantined else parser
    return before if before == heeds or before.startswith(f"{heeds}/") else now


def doubtful(
    lake: Lake,
    corpus: str,
    versions: Sequence[Mapping[str, Any]],
    newest: Mapping[str, Any],
    *,
    but: Collection[str] = (),
) -> list[Mapping[str, Any]]:
    """Those of `versions` that say something of what others have changed since, as versions that are to be read anew.

    Not those of the manifests in `but`, which this run has read last: where the clock was set back, runs that ended
    before it have later ids.

    Of one kind are manifests of which lines were refused for what another one said, which was read later or is
    known no more: such a line may be the only one that is left of its utterance. Of the other kind are those that
    inherited an utterance whose line they only repeated: its text may have been corrected meanwhile.
    """
    last = max((str(row.run_id) for row in newest.values()), default="")
    there = {v["uri"]: v for v in versions if v["uri"] in newest and v["uri"] not in but}
    older = {uri: v for uri, v in there.items() if newest[uri].run_id < last}
    losers = [uri for uri in older if newest[uri].quarantined]
    found = _lost_to_others(lake, corpus, newest, losers) if losers else set()
    repeating = [uri for uri in older if newest[uri].repeats]
    found |= _heirs(lake, corpus, newest, repeating) if repeating else set()
    return [
        {**older[uri], "parser_version": _after(str(older[uri]["parser_version"]), newest[uri].generation)}
        for uri in sorted(found)
    ]


def _lost_to_others(lake: Lake, corpus: str, newest: Mapping[str, Any], uris: Sequence[str]) -> set[str]:
    from pyspark.sql import functions as F

    lost = _of_newest(lake.read("quarantine"), corpus, newest, uris).where(F.col("reason") == SAME_INTERVAL)
    winner = F.regexp_extract("detail", f"(?s)^{DIFFERS}(.*)@[0-9]+$", 1)
    rows = lost.select("uri", winner.alias("winner")).distinct().where("winner != ''").collect()
    return {
        row.uri
        for row in rows
        if row.winner not in newest or newest[row.winner].run_id > newest[row.uri].run_id
    }


def _heirs(lake: Lake, corpus: str, newest: Mapping[str, Any], uris: Sequence[str]) -> set[str]:
    from pyspark.sql import functions as F

    repeats = _of_newest(lake.read("repeats"), corpus, newest, uris).select(
        "utterance_id", "uri", "byte_offset"
    )
    owned = lake.read("utterances").where((F.col("corpus") == corpus) & F.col("retired_in").isNull())
    # At the very line that repeats it: what a manifest says twice is owned at its first line.
    same = ["utterance_id", "uri", "byte_offset"]
    heirs = repeats.join(owned.withColumnRenamed("manifest_uri", "uri"), on=same, how="left_semi")
    return {row.uri for row in heirs.select("uri").distinct().collect()}


def _of_newest(rows: DataFrame, corpus: str, newest: Mapping[str, Any], uris: Sequence[str]) -> DataFrame:
    """Those `rows` (corpus, uri, sha256, parser_version, …) that are of the newest versions of `uris`."""
    from pyspark.sql import functions as F

    now = [(uri, newest[uri].sha256, newest[uri].parser_version) for uri in uris]
    named = rows.sparkSession.createDataFrame(now, "uri string, sha256 string, parser_version string")
    here = rows.where(F.col("corpus") == corpus)
    return here.join(F.broadcast(named), on=["uri", "sha256", "parser_version"], how="left_semi")


def _after(parser: str, generation: int) -> str:
    """`parser` as it stands after this generation, in the place of a former one; the times that channels were
    counted stay."""
    version, plus, times = parser.partition("+")
    return "/".join([*version.split("/")[:PARTS], f"after{generation}"]) + plus + times


def only_options_differ(known: Any, manifest: Mapping[str, Any]) -> bool:
    """True where `known`, a row of `manifests`, is the same text, read by the same parser with other options."""
    before, now = (str(row["parser_version"]).split("/") for row in (known, manifest))
    return bool(known["sha256"] == manifest["sha256"]) and before[0] == now[0] and before[1:2] != now[1:2]


def same_version(known: Any, manifest: Mapping[str, Any]) -> bool:
    """True when `known`, a row of `manifests`, is this very version under this parser and limit."""
    return known is not None and all(
        known[name] == manifest[name] for name in ("sha256", "parser_version", "max_reject")
    )
