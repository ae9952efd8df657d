"""Models: are the weights that extractors open on this machine, and are they the expected ones?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from speechlake.errors import ModelError
from speechlake.health.finding import Finding, Patient, fine, look, mend, together
from speechlake.health.stored import rows_of
from speechlake.models.files import cache_folder
from speechlake.models.here import weights_here
from speechlake.models.pins import pinned
from speechlake.models.registry import REGISTRY
from speechlake.signals import DEFAULT_EXTRACTORS
from speechlake.signals.whisper import Whisper

# Extractors whose weights come with a package: (module, function that verifies them).
PACKAGED: Mapping[str, str] = {
    "speech": "model_file",
    "quality": "model_files",
    "events": "model_file",
    "speaker": "model_file",
}


def models(patient: Patient) -> Finding:
    """What the lake's profile measures with, or would by default, against registry, pins and packages."""
    current = _current(patient)
    wanted = current.get("whisper") or {str(Whisper.model): None}
    found = [_whisper(model, sha256) for model, sha256 in wanted.items()]
    needed = {*DEFAULT_EXTRACTORS, *current}
    for name, function in PACKAGED.items():
        verify = getattr(import_module(f"speechlake.signals.{name}"), function)
        found.append(_packaged(name, verify, needed=name in needed))
    fit = [*wanted, *(each.check for each in found if each.check in PACKAGED and each.state == "fine")]
    return together("models", found, f"sha256 as expected: {', '.join(fit)}")


def _current(patient: Patient) -> dict[str, dict[str, str | None]]:
    """Extractor -> {model id: sha256} of what the lake's profile names; empty without a lake."""
    fingerprints: dict[tuple[str, str | None], str] = {}
    for row in sorted(rows_of(patient, "profiles"), key=lambda row: int(row["n"])):
        fingerprints[row["extractor"], row["language"]] = row["fingerprint"]
    found: dict[str, dict[str, str | None]] = {}
    for row in rows_of(patient, "extractors"):
        if row["fingerprint"] in fingerprints.values():
            models = found.setdefault(row["name"], {})
            if row["model_id"]:
                models[row["model_id"]] = row["model_sha256"]
    return found


def _whisper(model: str, measured: str | None) -> Finding:
    """One model of Whisper: `measured` is the sha256 that the lake's rows were measured with."""
    entry = REGISTRY.get(model)
    try:
        pins = pinned(cache_folder())
        here = weights_here(model)
    except ModelError as error:
        return mend("models", error.message, error.hint or "")
    except OSError as error:
        return mend("models", f"{model} cannot be read: {error}", "Mend that copy.")
    expected = measured or (entry.sha256 if entry else None) or pins.get(entry.hub if entry else model)
    if here is None:
        fix = f"Fetch it, or put it into {cache_folder() / 'models'}: its first use fetches it where there is a network."
        return look("models", f"{model} is not on this machine", fix)
    if expected is not None and here != expected:
        told = f"{model} has sha256 {here[:16]}…, expected {expected[:16]}…"
        return mend("models", told, "Remove that copy and fetch it again, or promote what another measured.")
    return fine(model, here)


def _packaged(name: str, verify: Callable[[], Any], *, needed: bool) -> Finding:
    """An extractor's own weights. Those of extractors that nobody uses may be absent, but not wrong."""
    try:
        verify()
    except ModelError as error:
        wrong = "sha256" in error.message
        if wrong or needed:
            return mend("models", error.message.removesuffix("."), error.hint or "")
        return fine("models", f"{name} is not installed")
    return fine(name, name)
