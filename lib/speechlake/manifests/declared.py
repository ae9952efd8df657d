"""What is declared of a corpus, beside what the lake knows of it: its row, its roots, its contradictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, permutations
from typing import TYPE_CHECKING, Any

from speechlake.contracts import rows_of
from speechlake.corpora import Corpus
from speechlake.errors import UsageError
from speechlake.hold import Hold
from speechlake.manifests.contract import Source
from speechlake.manifests.formats import FORMATS
from speechlake.manifests.record import Refused
from speechlake.manifests.references import DEFAULT_ROOT, Roots, base_of, normal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake


def known_corpus(lake: Lake, corpus: str) -> Any | None:
    """The row of `corpora`; None for a corpus of which nothing was accepted yet."""
    return next((row for row in lake.few("corpora") if row.corpus == corpus), None)


def corpus_row(corpus: Corpus, known: Any | None) -> dict[str, Any]:
    """The row of `corpora`: what is said now, with the former URIs of roots that moved."""
    said = {name: normal(uri) for name, uri in (corpus.roots or _default_root(corpus, known)).items()}
    before = {root.name: root for root in known.roots} if known else {}
    # A root that is not named this time stays what it was.
    uris = {**{name: root.uri for name, root in before.items()}, **said}
    return {
        "corpus": corpus.name,
        "licence": corpus.licence,
        "language": corpus.language,
        "roots": [
            {"name": name, "uri": uri, "former_uris": _former(uri, before.get(name))}
            for name, uri in sorted(uris.items())
        ],
        "speaker_namespace": corpus.namespace,
        "single_speaker": corpus.single_speaker,
        "channels": corpus.channels,
        "ids": corpus.ids,
        "text_tags": list(corpus.text_tags),
        "role": corpus.role,
    }


def several_speakers(lake: Lake, corpora: Sequence[str]) -> DataFrame:
    """(corpus, speakers) of those of `corpora` in which more than one speaker is known: none of them is single."""
    from pyspark.sql import functions as F

    current = lake.read("utterances").where(
        F.col("corpus").isin(list(corpora)) & F.col("retired_in").isNull()
    )
    counted = current.groupBy("corpus").agg(F.count_distinct("speaker_id").alias("speakers"))
    return counted.where("speakers > 1")


def _former(uri: str, before: Any | None) -> list[str]:
    if before is None:
        return []
    return [old for old in dict.fromkeys([*before.former_uris, before.uri]) if old != uri]


def _default_root(corpus: Corpus, known: Any | None) -> Mapping[str, str]:
    """Without `--audio-root`: the single SOURCE folder, or the folder of the single SOURCE file."""
    from speechlake.manifests.detect import existing

    if known:
        return {}
    places = set()
    for source in corpus.sources:
        is_folder = existing(source).is_folder
        places.add(normal(source) if is_folder else normal(source).rsplit("/", 1)[0])
    if len(places) > 1:
        raise UsageError(
            f"the sources of {corpus.name} lie in several folders: {', '.join(sorted(places))}",
            hint="Say where the audio lies: --audio-root URI, or --audio-root NAME=URI for each place.",
        )
    return {DEFAULT_ROOT: places.pop()}


def refuse_unrooted(corpus: str, sources: Sequence[Source], roots: Roots) -> None:
    """UsageError for a folder that is a manifest itself and lies under no root.

    Joined to another root, its names would mean the files that are called so there.
    """
    for source in sources:
        base = FORMATS[source.format].relative_to
        found = base_of(source.uri, roots, base).otherwise if base == "itself" else None
        if isinstance(found, Refused) and found.reason == "NO_ROOT":
            raise UsageError(
                f"the folder {source.uri} lies under no root of corpus {corpus}",
                hint=f"Name it: --audio-root NAME={source.uri}",
            )


def refuse_contradictions(lake: Lake, row: Mapping[str, Any], known: Any | None) -> None:
    """UsageError where `row` contradicts itself, or would rename what the lake holds.

    `known` is the row that it has, None for a new corpus.
    """
    uris = {root["name"]: root["uri"] for root in row["roots"]}
    for one, other in combinations(uris, 2):
        if uris[one] == uris[other]:
            raise UsageError(
                f"roots {one} and {other} of corpus {row['corpus']} are one place: {uris[one]}",
                hint="Give a place one name, and keep that of its recordings.",
            )
    if known is None:
        return
    for name in ("channels", "ids"):
        if known[name] != row[name]:
            raise UsageError(
                f"corpus {row['corpus']!r} was ingested with {name}={known[name]}, now it says {row[name]}: that would rename its utterances",
                hint=f"Keep {name}={known[name]}, or ingest under another corpus name.",
            )
    inside = newly_nested({root.name: root.uri for root in known.roots}, uris)
    taken = _roots_with_recordings(lake, row["corpus"]) if inside else set()
    for inner, outer in inside:
        if outer in taken:
            raise UsageError(
                f"root {inner} = {uris[inner]} lies inside root {outer} = {uris[outer]}, which has recordings",
                hint="Paths would be split between the two roots; keep the outer root alone.",
            )


def newly_nested(before: Mapping[str, str], now: Mapping[str, str]) -> list[tuple[str, str]]:
    """(inner, outer) names of roots, the first at or under the second's place, where one of the two is new or moved."""
    return [
        (inner, outer)
        for inner, outer in permutations(now, 2)
        if f"{now[inner].rstrip('/')}/".startswith(f"{now[outer].rstrip('/')}/")
        and any(before.get(name) != now[name] for name in (inner, outer))
    ]


def _roots_with_recordings(lake: Lake, corpus: str) -> set[str]:
    recordings = lake.read("recordings").where(f"corpus = '{corpus}'")
    return {row.root for row in recordings.select("root").distinct().collect()}


def upsert_corpus(hold: Hold, row: Mapping[str, Any], known: Any | None, digest: str = "") -> int:
    """Write the row of a corpus, when it is new (`known` None) or differs from the `known` one."""
    from speechlake.schemas import CORPORA

    if known is not None and known.asDict(recursive=True) == dict(row):
        return 0
    frame = rows_of(hold.lake.spark, CORPORA, [row])
    if known is not None:
        return hold.merge("corpora", frame, corpus=hold.scope, digest=digest)
    return hold.append_missing("corpora", frame, digest=digest, fresh=True, expected=1)
