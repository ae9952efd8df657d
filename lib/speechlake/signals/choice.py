"""Which extractors a run measures with, and for which utterances: named on the command line, or by the profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from speechlake.errors import UsageError
from speechlake.session import on_this_machine
from speechlake.signals import EXTRACTORS
from speechlake.signals.calibration import calibrated_languages
from speechlake.signals.catalogue import profile
from speechlake.signals.devices import compute_types
from speechlake.signals.plan import Wanted
from speechlake.signals.rebuild import rebuild_row
from speechlake.signals.whisper import Whisper

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from speechlake.lake import Lake

# On an accelerator whose free memory is not known: 64 full windows to a batch, four batches at once, as the prototype
# that kept one H100 78 to 97 % busy. Where it is known, `Whisper.fitted` lowers them to what fits.
ON_DEVICE: Mapping[str, Any] = {"batch_s": 1920.0, "streams": 4}


def resources(device: str, batch_s: float | None, streams: int | None) -> dict[str, Any]:
    """How Whisper runs, as fields that are not in its fingerprint; the device's defaults where nothing is said."""
    flags = {"batch_s": batch_s, "streams": streams}
    own: dict[str, Any] = {}
    if device == "cuda":
        own = {**ON_DEVICE, "fit": tuple(name for name, value in flags.items() if value is None)}
    return {"device": device, **own, **{name: value for name, value in flags.items() if value is not None}}


def whisper_of(lake: Lake, options: Mapping[str, Any], where: Mapping[str, Any]) -> Whisper:
    """Whisper with `options`; where they name no model, what the profile names for all languages, changed by them."""
    entries = profile(lake).get(Whisper.name, ())
    if "model" in options or not entries:
        return Whisper(**options, **where)
    current = next((fp for languages, fp in entries if languages is None), entries[0][1])
    (row,) = (row for row in lake.few("extractors") if row.fingerprint == current)
    return replace(cast(Whisper, rebuild_row(row, **where)), **options)


def wanted_by_profile(lake: Lake, name: str, where: Mapping[str, Any], quality: str) -> list[Wanted]:
    """What the lake's profile names for an extractor, each for its languages; nothing where it names nothing.

    Whisper hears in full windows where `quality` is accurate, whatever the verdicts allow.
    """
    rows = {row.fingerprint: row for row in lake.few("extractors") if row.name == name}
    found: dict[str, Wanted] = {}
    entries: list[tuple[frozenset[str] | None, str]] = []
    for languages, fingerprint in profile(lake).get(name, ()):
        extractor = rebuild_row(rows[fingerprint], **where)
        if isinstance(extractor, Whisper) and quality == "accurate":
            extractor = replace(extractor, windows="full")
        each = Wanted(extractor, extractor.identity())
        found[each.fingerprint] = each
        entries.append((languages, each.fingerprint))
    return [replace(found[fingerprint], **limits) for fingerprint, limits in limits_of(entries).items()]


def is_of_profile(lake: Lake, how: Whisper) -> bool:
    """The profile hears with `how` and nothing else, be it in cut windows or in full ones."""
    said = {fingerprint for _, fingerprint in profile(lake).get(Whisper.name, ())}
    own = {replace(how, windows=windows).identity().fingerprint for windows in ("cut", "full")}
    return bool(said) and said <= own


def limits_of(entries: Sequence[tuple[frozenset[str] | None, str]]) -> dict[str, dict[str, Any]]:
    """Fingerprint -> for which languages a profile's entries name it, as fields of `Wanted`."""
    named = frozenset(language for languages, _ in entries for language in languages or ())
    by_fingerprint: dict[str, list[frozenset[str] | None]] = {}
    for languages, fingerprint in entries:
        by_fingerprint.setdefault(fingerprint, []).append(languages)
    found: dict[str, dict[str, Any]] = {}
    for fingerprint, said in by_fingerprint.items():
        mine = frozenset(language for languages in said for language in languages or ())
        found[fingerprint] = {"but": named - mine} if None in said else {"languages": mine}
    return found


def wanted_with_options(
    lake: Lake, options: Mapping[str, Any], where: Mapping[str, Any], *, quality: str, promote: bool
) -> list[Wanted]:
    """Whisper as the profile names it but for `options`; to `promote`, in the windows that the verdicts allow now.

    Where no model is asked for, languages for which the profile names another one than for the rest stay with theirs.
    UsageError where this machine's device cannot compute so.
    """
    how = whisper_of(lake, options, where)
    named = not promote and (not options or is_of_profile(lake, how))
    by_profile = (
        wanted_by_profile(lake, Whisper.name, where, quality) if named or "model" not in options else []
    )
    if named and by_profile:
        wanted = by_profile
    else:
        sha256 = how.identity().model_sha256
        others = [each for each in by_profile if each.languages and each.identity.model_sha256 != sha256]
        but = frozenset(language for each in others for language in each.languages or ())
        wanted = [*wanted_whisper(lake, how, quality, but=but), *others]
    for each in wanted:
        require_computable(lake.spark, cast(Whisper, each.extractor))
    return wanted


def wanted_whisper(
    lake: Lake, how: Whisper, quality: str, *, but: frozenset[str] = frozenset()
) -> list[Wanted]:
    """`how`, with cut windows for the languages that `calibrate` found equal, unless `quality` is accurate.

    Nothing is wanted for the languages in `but`.
    """
    full = replace(how, windows="full")
    languages: frozenset[str] = frozenset()
    if quality == "fast":
        cut = replace(how, windows="cut")
        languages = calibrated_languages(lake, cut.identity().fingerprint) - but
    if not languages:
        return [Wanted(full, full.identity(), but=but)]
    return [
        Wanted(cut, cut.identity(), languages=languages),
        Wanted(full, full.identity(), but=languages | but),
    ]


def require_computable(spark: SparkSession, how: Whisper) -> None:
    """UsageError where CTranslate2 does not compute as `how` says on its device: a profile made on a GPU names float16.

    In local mode; on a cluster the executors may have other devices than the driver.
    """
    if not on_this_machine(spark) or how.computed_in in (known := compute_types(how.device)):
        return
    raise UsageError(
        f"fingerprint {how.identity().fingerprint} ({how.model}) computes in {how.computed_in}, which CTranslate2 does "
        f"not do on {how.device} here: it does {', '.join(sorted(known))}",
        hint="Measure on the kind of device that it was made for, or with what suits this one, beside it: "
        f"--model {how.model} --device {how.device}; with --promote that becomes current.",
    )


def wanted_plain(name: str) -> Wanted:
    """An extractor that takes no arguments, as this version of the code has it."""
    extractor = EXTRACTORS[name]()
    return Wanted(extractor, extractor.identity())
