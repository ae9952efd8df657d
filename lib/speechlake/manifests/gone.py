"""Manifests that lay in a folder SOURCE and are there no more: each gets a version without lines, so that
what only they listed retires. Folders that a run does not name are left alone.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from speechlake.manifests.places import entry_of
from speechlake.manifests.references import Roots, normal

if TYPE_CHECKING:
    from speechlake.corpora import Corpus

GONE: Final = ""
"""Stands for the sha256 of a manifest that is not there; an empty file has one."""


def is_gone(manifest: Any) -> bool:
    """True for a version that says its manifest is no more; `manifest` is a row or a mapping."""
    return bool(manifest["sha256"] == GONE)


def gone_versions(
    corpus: Corpus,
    roots: Roots,
    newest: Mapping[str, Any],
    found: Container[str],
    *,
    again: bool = False,
) -> list[dict[str, Any]]:
    """The part of a `manifests` row that does not depend on lines, of every manifest that is gone now.

    `newest` are the rows of known manifests by uri, `found` the uris that this run read. `again`: those that were
    gone before too, because a table may hold what they listed once more. A manifest of another format than the run
    names is not found and not gone either: its file is there.
    """
    known = {uri: row for uri, row in newest.items() if uri not in found and (again or not is_gone(row))}
    folders = [normal(source) for source in corpus.sources if _is_folder(source)]
    return [
        {
            "uri": uri,
            "sha256": GONE,
            **{name: row[name] for name in ("parser_version", "format", "max_reject")},
        }
        for uri, row in known.items()
        if any(_is_gone_from(folder, uri, corpus, roots) for folder in folders)
    ]


def _is_gone_from(folder: str, uri: str, corpus: Corpus, roots: Roots) -> bool:
    if uri == roots.relative(folder):
        # A folder of audio alone was a manifest itself; now there are manifests in it.
        return corpus.format == "auto"
    return any(
        name.startswith(prefix) and _is_nothing(f"{place}/{name[len(prefix) :]}")
        for name in {uri, normal(uri)}
        for prefix, place in _names_in(folder, roots)
    )


def _names_in(folder: str, roots: Roots) -> Iterator[tuple[str, str]]:
    """(how names of manifests in `folder` begin, the place that stands for)."""
    yield f"{folder.rstrip('/')}/", folder.rstrip("/")
    yield roots.relative(f"{folder}/x").removesuffix("x"), folder
    for name, uri, _ in roots.declared:
        if f"{normal(uri)}/".startswith(f"{folder.rstrip('/')}/"):
            yield f"{name}:", normal(uri)


def _is_folder(source: str) -> bool:
    found = entry_of(source)
    return found is not None and found.is_folder


def _is_nothing(place: str) -> bool:
    try:
        return entry_of(place) is None
    except OSError:  # who cannot look does not know
        return False
