"""Where the audio of a corpus lies now: its named roots."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
