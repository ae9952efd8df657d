"""Where the audio of a corpus lies now: its named roots."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Any

from speechlake.errors import UsageError

if TYPE_CHECKING:
    from speechlake.lake import Lake


def all_roots(lake: Lake) -> dict[str, dict[str, str]]:
    """Corpus -> name of a root -> its present URI."""
    return {row.corpus: {root.name: root.uri for root in row.roots} for row in lake.few("corpora")}


def roots_of(lake: Lake, corpus: str) -> dict[str, str]:
    """Name -> present URI of the roots of `corpus`; empty for a corpus that is not there."""
    return all_roots(lake).get(corpus, {})


def require_roots(lake: Lake, corpus: str) -> None:
    """UsageError where a root of `corpus` is not there, an absent mount say: no clip of it is to blame."""
    from speechlake.manifests.places import entry_of

    for name, uri in roots_of(lake, corpus).items():
        if entry_of(uri) is None:
            raise UsageError(
                f"root {name} of corpus {corpus} is not there: {uri}",
                hint=f"Mount it, or say where it is now: speechlake ingest-manifests … --audio-root {name}=URI",
            )


def require_files(lake: Lake, row: Mapping[str, Any], seen: Container[str]) -> None:
    """UsageError where a root under which audio was present is empty, as the place of an absent mount is.

    `row` is the corpus's of `corpora`, `seen` the names of the roots of which the listing says anything.
    """
    from pyspark.sql import functions as F

    empty = {root["name"]: root["uri"] for root in row["roots"] if root["name"] not in seen}
    if not empty:
        return
    corpus = row["corpus"]
    present = lake.read("recordings").where(
        f"corpus = '{corpus}' AND state = 'present' AND retired_in IS NULL"
    )
    had = present.where(F.col("root").isin(*empty)).select(F.min("root")).collect()[0][0]
    if had is not None:
        raise UsageError(
            f"root {had} of corpus {corpus} is empty, and its audio was there: {empty[had]}",
            hint=f"Mount it, or say where it is now: speechlake ingest-manifests … --audio-root {had}=URI. "
            "If the audio was deleted on purpose, leave a file there, such as a note: then it is missing.",
        )
