"""An extractor again, from its row in `extractors`: how a fingerprint is run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from speechlake.errors import ConfigError
from speechlake.signals import EXTRACTORS
from speechlake.signals.extractor import Extractor

# In an identity for what it changes, but constants of the code, not fields of an extractor.
CONSTANTS = ("front_end",)


def rebuild_row(row: Any, **where: Any) -> Extractor:
    """The extractor of a row of `extractors`; `where` as in `rebuild`."""
    return rebuild(row.name, row.model_id, json.loads(row.parameters), fingerprint=row.fingerprint, **where)


def rebuild(
    name: str, model_id: str | None, parameters: Mapping[str, Any], *, fingerprint: str, **where: Any
) -> Extractor:
    """The extractor that measures as `fingerprint` says; `where` gives what is not in it (`device`).

    ConfigError where this version of the code, or the model at hand, cannot give that fingerprint.
    """
    if name not in EXTRACTORS:
        raise ConfigError(f"extractor {name!r} is not known.", hint=f"Known: {', '.join(EXTRACTORS)}.")
    # JSON knows no tuples.
    fields = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in parameters.items()
        if key not in CONSTANTS
    }
    model = {"model": model_id} if name == "whisper" else {}
    try:
        extractor = cast(Callable[..., Extractor], EXTRACTORS[name])(**fields, **model, **where)
    except TypeError as error:
        raise ConfigError(
            f"extractor {name}: {error}.", hint="Name a model to measure with this version: --model ID."
        ) from error
    found = extractor.identity().fingerprint
    if found != fingerprint:
        raise ConfigError(
            f"extractor {name} measures as {found} with this version and model, expected {fingerprint}.",
            hint="Run with the version and weights that measured, or measure anew with these: "
            f"speechlake extract-signals {_as_flags(extractor)} --promote.",
        )
    return extractor


def _as_flags(extractor: Extractor) -> str:
    from speechlake.signals.whisper import Whisper
    from speechlake.signals.whisper_flags import as_flags

    return as_flags(extractor) if isinstance(extractor, Whisper) else f"--extractor {extractor.name}"
