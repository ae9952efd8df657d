"""Which fingerprint of an extractor is current: what can be chosen, and how it is set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from speechlake.errors import UsageError
from speechlake.signals.catalogue import numbered, profile
from speechlake.signals.plan import Wanted
from speechlake.signals.whisper import Whisper

if TYPE_CHECKING:
    from speechlake.hold import Hold
    from speechlake.lake import Lake

# A prefix of a fingerprint is understood from this length on.
SHORTEST_PREFIX = 4


@dataclass(frozen=True)
class Choice:
    """A fingerprint that is spelled out in `extractors`, and how many rows it measured."""

    extractor: str
    fingerprint: str
    model_id: str | None
    version: str
    parameters: str
    rows: int

    def __str__(self) -> str:
        return f"{self.fingerprint} ({self.model_id or 'no model'}, version {self.version}, {self.rows} rows)"


def choices(lake: Lake, extractor: str) -> list[Choice]:
    """Every fingerprint of an extractor, by model and fingerprint; UsageError for an unknown extractor."""
    from speechlake.signals import EXTRACTORS

    if extractor not in EXTRACTORS:
        raise UsageError(f"there is no extractor {extractor!r}", hint=f"Extractors: {', '.join(EXTRACTORS)}.")
    counted = lake.read(f"signals_{extractor}").groupBy("fingerprint").count().collect()
    rows = {row.fingerprint: row["count"] for row in counted}
    found = [
        Choice(extractor, k.fingerprint, k.model_id, k.version, k.parameters, rows.get(k.fingerprint, 0))
        for k in lake.few("extractors")
        if k.name == extractor
    ]
    return sorted(found, key=lambda choice: (choice.model_id or "", choice.fingerprint))


def chosen(lake: Lake, extractor: str, said: str) -> Choice:
    """The one fingerprint with rows that `said` names: itself, its first digits, or its model's id.

    UsageError that lists what there is where it names none or several.
    """
    there = choices(lake, extractor)
    measured = [choice for choice in there if choice.rows]
    exact = [choice for choice in measured if said in (choice.fingerprint, choice.model_id)]
    prefix = [c for c in measured if len(said) >= SHORTEST_PREFIX and c.fingerprint.startswith(said)]
    fitting = exact or prefix
    if len(fitting) == 1:
        return fitting[0]
    what = "names several fingerprints" if fitting else "has measured nothing"
    listed = "; ".join(map(str, fitting or measured or there)) or "none"
    raise UsageError(f"{said!r} {what} of {extractor} in {lake.root}", hint=f"There are: {listed}.")


def promote(hold: Hold, extractor: str, fingerprint: str, language: str | None) -> int:
    """Make a fingerprint current for a primary language subtag, or (null) where no language has its own.

    Appends a row to `profiles` and returns its number, or 0 where that row's meaning is in force already.
    UsageError, listing what there is, for a fingerprint without rows. Views and policies follow at once.
    """
    chosen(hold.lake, extractor, fingerprint)
    taken = 0

    def missing() -> list[dict[str, Any]]:
        nonlocal taken
        profiles = hold.lake.few("profiles")
        mine = [row for row in profiles if (row.extractor, row.language) == (extractor, language)]
        if mine and max(mine, key=lambda row: row.n).fingerprint == fingerprint:
            return []
        rows = numbered(hold.lake, [(extractor, language, fingerprint)])
        taken = int(rows[0]["n"])
        return rows

    return taken if hold.insert_missing("profiles", missing) else 0


def promote_all(hold: Hold, wanted: Sequence[Wanted]) -> None:
    """Make current what a run measured with, each for its languages; what measured nothing is left alone."""
    for each in wanted:
        measured = {choice.fingerprint for choice in choices(hold.lake, each.name) if choice.rows}
        if each.fingerprint in measured:
            named = sorted(each.languages) if each.languages else [None, *_of_other_windows(hold.lake, each)]
            for language in named:
                promote(hold, each.name, each.fingerprint, language)


def _of_other_windows(lake: Lake, wanted: Wanted) -> list[str]:
    """The languages whose own entry names the same Whisper, but with other windows than `wanted` has for them.

    Their verdict was revoked, or the run asked for accuracy. An entry that names another model was meant.
    """
    if not isinstance(wanted.extractor, Whisper):
        return []
    other = replace(wanted.extractor, windows="full" if wanted.extractor.windows == "cut" else "cut")
    fingerprint = other.identity().fingerprint
    entries = profile(lake).get(wanted.name, ())
    own = {language for languages, fp in entries if fp == fingerprint for language in languages or ()}
    return sorted(own - wanted.but)
