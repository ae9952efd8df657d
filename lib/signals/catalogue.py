"""Which extractors exist in a lake, and which fingerprint of each is current."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from speechlake.errors import UsageError
from speechlake.hold import Hold
from speechlake.ids import canonical_json
from speechlake.schemas import PROFILES, TABLES
from speechlake.signals.extractor import Identity
from speechlake.signals.plan import Wanted

if TYPE_CHECKING:
    from pyspark.sql import Column

    from speechlake.lake import Lake

# extractor -> ((primary languages, or None for every other), fingerprint), the first match wins
Profile = Mapping[str, Sequence[tuple[frozenset[str] | None, str]]]


def register(hold: Hold, wanted: Sequence[Wanted], *, profiled: bool = True) -> None:
    """Write what is new of `extractors`, and, where `profiled`, profile rows for extractors that have none."""
    lake = hold.lake

    def first() -> list[dict[str, Any]]:
        there = {row.extractor for row in lake.few("profiles")}
        return numbered(
            lake,
            [
                (each.name, language, each.fingerprint)
                for each in wanted
                if each.name not in there
                for language in (sorted(each.languages) if each.languages else [None])
            ],
        )

    register_identities(hold, [each.identity for each in wanted])
    if profiled:
        hold.insert_missing("profiles", first, unless=("extractor", "language"))


def numbered(lake: Lake, said: Sequence[tuple[str, str | None, str]]) -> list[dict[str, Any]]:
    """Rows of `profiles` for (extractor, language, fingerprint), with n growing from the highest there is.

    To be called inside `hold.insert_missing("profiles", lambda: numbered(…))`, which asks again where
    another job took a number first.
    """
    highest = max((row.n for row in lake.few("profiles")), default=0)
    return [
        dict(zip(PROFILES.column_names, (highest + i, *row), strict=True))
        for i, row in enumerate(said, start=1)
    ]


def register_identities(hold: Hold, identities: Sequence[Identity]) -> None:
    """Write what is new of `extractors`: every fingerprint spelled out."""

    def unknown() -> list[dict[str, Any]]:
        there = {row.fingerprint for row in hold.lake.few("extractors")}
        return [_told(each) for each in identities if each.fingerprint not in there]

    hold.insert_missing("extractors", unknown)


def _told(identity: Identity) -> dict[str, Any]:
    """The row of `extractors` that spells a fingerprint out."""
    parameters = canonical_json(dict(identity.parameters))
    return {**vars(identity), "parameters": parameters, "fingerprint": identity.fingerprint}


def profile(lake: Lake) -> Profile:
    """The current fingerprints: the highest n of each (extractor, language); null languages come last."""
    latest: dict[str, dict[str | None, str]] = {}
    for row in sorted(lake.few("profiles"), key=lambda row: row.n):
        latest.setdefault(row.extractor, {})[row.language] = row.fingerprint
    return {
        name: [
            (frozenset([language]) if language else None, fp)
            for language, fp in sorted(said.items(), key=lambda kv: (kv[0] is None, kv[0] or ""))
        ]
        for name, said in latest.items()
    }


def models(lake: Lake) -> dict[str, tuple[str, str]]:
    """Model id -> (extractor, fingerprint), the profile's fingerprint where a model has several."""
    current = {fp for said in profile(lake).values() for _, fp in said}
    # The segmenter's model is one that an extractor has too, but it fills no table that a policy could name.
    found: dict[str, tuple[str, str]] = {}
    for row in sorted(lake.few("extractors"), key=lambda row: (row.fingerprint in current, row.fingerprint)):
        if row.model_id and f"signals_{row.name}" in TABLES:
            found[row.model_id] = (row.name, row.fingerprint)
    return found


def using(lake: Lake, use: Mapping[str, Sequence[tuple[frozenset[str] | None, str]]]) -> Profile:
    """The profile with the model ids of `use` in place of what it says of those extractors.

    A fingerprint may stand for a model: that tells two ways of running one model apart. UsageError when a
    model was never run on this lake.
    """
    named = models(lake)
    known = {row.fingerprint: (row.name, row.fingerprint) for row in lake.few("extractors")} | named
    resolved = dict(profile(lake))
    for extractor, said in use.items():
        for _, model in said:
            if known.get(model, ("", ""))[0] != extractor:
                ran = ", ".join(sorted(m for m, (name, _) in named.items() if name == extractor)) or "none"
                raise UsageError(
                    f"the policy uses model {model!r} for {extractor}, which measured nothing here (models: {ran})",
                    hint=f"speechlake extract-signals --lake {lake.root} --extractor {extractor} --model {model}",
                )
        own = [(languages, known[model][1]) for languages, model in said]
        rest = (
            []
            if any(languages is None for languages, _ in own)
            else [entry for entry in resolved.get(extractor, []) if entry[0] is None]
        )
        resolved[extractor] = [*own, *rest]
    return resolved


def current_fingerprint(entries: Sequence[tuple[frozenset[str] | None, str]], language: Column) -> Column:
    """The fingerprint that is current for an utterance of `language` (a BCP 47 tag, or null)."""
    from pyspark.sql import functions as F

    primary = F.element_at(F.split(language, "-"), 1)
    chosen: Column = F.lit(None).cast("string")
    for languages, fingerprint in reversed(list(entries)):
        chosen = (
            F.lit(fingerprint)
            if languages is None
            else F.when(primary.isin(*sorted(languages)), F.lit(fingerprint)).otherwise(chosen)
        )
    return chosen


def fingerprints(entries: Profile) -> list[str]:
    """All fingerprints a profile names, sorted."""
    return sorted({fp for said in entries.values() for _, fp in said})
