"""What still may name who goes, in rows that stay: told in the report, because only a person can say what it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from speechlake.erasure.found import Found, Meant, alike
from speechlake.erasure.request import Request, has_word, words

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake


def mentions(lake: Lake, request: Request, said: Meant, there: Found) -> list[str]:
    """A sentence per place that stays and holds a name of the request as a whole word, or one written otherwise."""
    names = sorted({name for subject in request.erase for name in subject.names()})
    if not names:
        return []
    return [
        *(f"{each} stays: the request writes it otherwise, and may mean it." for each in alike(lake, said)),
        *_in_rows(lake, names, said, there),
        *_in_corpora(lake, names, said),
        *_in_policies(lake, names),
        *_in_imports(lake, names),
    ]


def _in_rows(lake: Lake, names: list[str], said: Meant, there: Found) -> Iterator[str]:
    """Utterances, recordings and manifests of others, in the corpora that the request concerns."""
    from pyspark.sql import functions as F

    concerned = there.utterances.select("corpus").distinct()
    pattern = f"(?iu){words(names)}"
    extras = F.concat_ws(" ", F.map_values("extras"))
    looked_at: dict[str, tuple[DataFrame, tuple[str, ...], DataFrame]] = {
        "utterances": (
            lake.read("utterances").withColumn("extras", extras),
            ("source_id", "session_id", "speaker_id", "extras"),
            there.utterances.select("utterance_id"),
        ),
        "recordings": (lake.read("recordings"), ("path", "member"), there.recordings.select("recording_id")),
        "manifests": (lake.read("manifests"), ("uri",), there.manifests.select("corpus", "uri")),
    }
    for name, (rows, columns, going) in looked_at.items():
        staying = rows.join(going, on=going.columns, how="left_anti")
        here = staying.join(concerned, on="corpus", how="left_semi")
        found = here.where(F.coalesce(F.concat_ws(" ", *columns).rlike(pattern), F.lit(False))).count()
        if found:
            yield f"{found} rows of {name} that stay hold a name of the request in {', '.join(columns)}: look whose they are."


def _in_corpora(lake: Lake, names: list[str], said: Meant) -> Iterator[str]:
    for row in lake.read("corpora").collect():
        if row.corpus in said.corpora:
            continue
        told = " ".join(
            [
                row.corpus,
                row.speaker_namespace,
                *(" ".join([r.name, r.uri, *(r.former_uris or ())]) for r in row.roots),
            ]
        )
        if any(has_word(told, name) for name in names):
            yield f"corpus {row.corpus} has a name of the request in its own name, namespace or roots."


def _in_policies(lake: Lake, names: list[str]) -> Iterator[str]:
    for row in lake.read("releases").select("release", "policy").collect():
        if any(has_word(row.policy, name) for name in names):
            yield f"the policy of release {row.release} holds a name of the request, or a word like it."


def _in_imports(lake: Lake, names: list[str]) -> Iterator[str]:
    """What measured, imports among it, which keep the name of their file."""
    for row in lake.read("extractors").select("fingerprint", "name", "parameters").collect():
        if any(has_word(f"{row.name} {row.parameters}", name) for name in names):
            yield f"extractor {row.name} ({row.fingerprint}) holds a name of the request, or a word like it."
