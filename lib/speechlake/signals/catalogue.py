"""Which extractors exist in a lake, and which fingerprint of each is current."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

from speechlake.config import nearest
from speechlake.errors import UsageError
from speechlake.hold import Hold
from speechlake.ids import canonical_json
from speechlake.schemas import PROFILES, TABLES
from speechlake.signals.extractor import Identity
from speechlake.signals.plan import Wanted
from speechlake.text.subtags import primary_of

if TYPE_CHECKING:
    from pyspark.sql import Column

    from speechlake.lake import Lake

# (primary languages, or None for every other), fingerprint: the first match wins
Entries = Sequence[tuple[frozenset[str] | None, str]]
# extractor -> what is current of it
Profile = Mapping[str, Entries]


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
    """The current fingerprints: the highest n of each (extractor, language); null languages come last.

    Cut windows of Whisper stand for the languages whose newest verdict finds them equal, full ones in their place
    for all others: what is measured, counted and read follows a verdict at once.
    """
    latest: dict[str, dict[str | None, str]] = {}
    for row in sorted(lake.few("profiles"), key=lambda row: row.n):
        latest.setdefault(row.extractor, {})[row.language] = row.fingerprint
    verdicts = judged(lake) if latest else {}
    return {name: _as_judged(said, verdicts) for name, said in latest.items()}


def is_heeded(lake: Lake, fingerprint: str, language: str | None) -> bool:
    """Whether the profile would name `fingerprint`, set for `language`: not cut windows that were not found equal."""
    return fingerprint in {fp for _, fp in _as_judged({language: fingerprint}, judged(lake))}


def _as_judged(
    said: Mapping[str | None, str], verdicts: Mapping[str, tuple[str, frozenset[str]]]
) -> list[tuple[frozenset[str] | None, str]]:
    """What a profile says of one extractor (language -> fingerprint), with full windows where cut ones are not equal."""
    found: dict[str | None, str] = {}
    for language, fingerprint in said.items():
        full, equal = verdicts.get(fingerprint, (fingerprint, frozenset()))
        found[language] = fingerprint if language in equal else full
        if language is None:
            found |= dict.fromkeys(equal - said.keys(), fingerprint)
    by_name = sorted(found.items(), key=lambda kv: (kv[0] is None, kv[0] or ""))
    return [(frozenset([language]) if language else None, fp) for language, fp in by_name]


def judged(lake: Lake) -> dict[str, tuple[str, frozenset[str]]]:
    """Whisper with cut windows -> (the same with full ones, languages whose newest verdict is equal)."""
    newest = {
        (row.fingerprint, row.language): row
        for row in sorted(lake.few("calibrations"), key=lambda row: row.n)
    }
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for (cut, language), row in newest.items():
        equal = found.get(cut, ("", frozenset()))[1]
        found[cut] = (row.full_fingerprint, equal | {language} if row.equal else equal)
    return found


def ways(lake: Lake) -> dict[str, tuple[str, Entries]]:
    """Model id or fingerprint -> (extractor, which fingerprints it stands for, language by language).

    A model that was run in several ways stands for those that the profile names; one that it does not name, but
    that was calibrated, for cut windows where they were found equal. Empty entries: nothing says which of several.
    """
    current, verdicts = profile(lake), judged(lake)
    # The segmenter's model is one that an extractor has too, but it fills no table that a policy could name.
    rows = [row for row in lake.few("extractors") if f"signals_{row.name}" in TABLES]
    ran: dict[str, tuple[str, set[str]]] = {}
    for row in rows:
        if row.model_id:
            ran.setdefault(row.model_id, (row.name, set()))[1].add(row.fingerprint)
    found: dict[str, tuple[str, Entries]] = {
        row.fingerprint: (row.name, [(None, row.fingerprint)]) for row in rows
    }
    return found | {
        model: (name, _ways_of(ran_as, current.get(name, ()), verdicts))
        for model, (name, ran_as) in ran.items()
    }


def _ways_of(
    ran_as: Set[str], current: Entries, verdicts: Mapping[str, tuple[str, frozenset[str]]]
) -> list[tuple[frozenset[str] | None, str]]:
    if len(ran_as) == 1:
        return [(None, fingerprint) for fingerprint in ran_as]
    mine = [entry for entry in current if entry[1] in ran_as]
    pairs = {cut: verdicts[cut] for cut in ran_as & verdicts.keys() if verdicts[cut][0] in ran_as}
    named = {fingerprint for _, fingerprint in mine}
    if any(languages is None for languages, _ in mine):
        return mine
    if mine:
        others = {full for cut, (full, _) in pairs.items() if named & {cut, full}} or named
        return [*mine, (None, others.pop())] if len(others) == 1 else mine
    if len(ran_as) == 2 and pairs:
        ((cut, (full, equal)),) = pairs.items()
        return [(equal, cut), (None, full)] if equal else [(None, full)]
    return []


def using(lake: Lake, use: Mapping[str, Entries]) -> Profile:
    """The profile with the model ids of `use` in place of what it says of those extractors and languages.

    A fingerprint may stand for a model: that tells two ways of running one model apart. UsageError when a
    model was never run on this lake, or in several ways of which the profile names none.
    """
    known = ways(lake)
    resolved = dict(profile(lake))
    for extractor, said in use.items():
        own: list[tuple[frozenset[str] | None, str]] = []
        for languages, model in sorted(said, key=lambda entry: entry[0] is None):
            if known.get(model, ("", ()))[0] != extractor:
                here = {r.model_id for r in lake.few("extractors") if r.name == extractor and r.model_id}
                close, ran = nearest(model, sorted(here)), ", ".join(sorted(here)) or "none"
                measure = (
                    f"speechlake extract-signals --lake {lake.root} --extractor {extractor} --model {model}"
                )
                raise UsageError(
                    f"the policy uses model {model!r} for {extractor}, which measured nothing here (models: {ran})",
                    hint=f"Did you mean {close!r}?" if close else measure,
                )
            own += restricted(_said_once(lake, model, known[model][1]), languages)
        covered = any(languages is None for languages, _ in own)
        resolved[extractor] = own if covered else [*own, *resolved.get(extractor, ())]
    return resolved


def _said_once(lake: Lake, model: str, entries: Entries) -> Entries:
    """`entries`, unless there are none; UsageError then, with the fingerprints to choose from."""
    if entries:
        return entries
    ran = sorted(row.fingerprint for row in lake.few("extractors") if row.model_id == model)
    raise UsageError(
        f"the policy names model {model!r}, which ran here in {len(ran)} ways of which the profile names none",
        hint=f"Name one of them in place of the model: {', '.join(ran)} (`speechlake profile` tells them apart).",
    )


def restricted(entries: Entries, languages: frozenset[str] | None) -> Entries:
    """`entries` as far as they speak of `languages`; all of them for null."""
    if languages is None:
        return entries
    found: list[tuple[frozenset[str] | None, str]] = []
    for mine, fingerprint in entries:
        here = languages if mine is None else languages & mine
        if here:
            found.append((here, fingerprint))
            languages -= here
    return found


def current_fingerprint(entries: Entries, language: Column) -> Column:
    """The fingerprint that is current for an utterance of `language` (a BCP 47 tag, or null)."""
    from pyspark.sql import functions as F

    chosen: Column = F.lit(None).cast("string")
    for languages, fingerprint in reversed(list(entries)):
        chosen = (
            F.lit(fingerprint)
            if languages is None
            else F.when(primary_of(language).isin(*sorted(languages)), F.lit(fingerprint)).otherwise(chosen)
        )
    return chosen


def fingerprints(entries: Profile) -> list[str]:
    """All fingerprints a profile names, sorted."""
    return sorted({fp for said in entries.values() for _, fp in said})
