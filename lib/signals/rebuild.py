"""An extractor again, from its row in `extractors`: how a profile's fingerprint is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from speechlake.errors import ConfigError
from speechlake.signals import EXTRACTORS
from speechlake.signals.extractor import Extractor

# In an identity for what it changes, but constants of the code, not fields of an extractor.
CONSTANTS = ("front_end",)


def rebuild(
    name: str, model_id: str | None, parameters: Mapping[str, Any], *, fingerprint: str, **where: Any
) -> Extractor:
    """The extractor that measures as `fingerprint` says; `where` gives what is not in it (`device`).

    ConfigError where this version of the code, or the model at hand, cannot give that fingerprint.
    """
    if name not in EXTRACTORS:
        raise ConfigError(f"extractor {name!r} is not known.", hint=f"Known: {', '.join(EXTRACTORS)}.")
    fields = {key: value for key, value in parameters.items() if key not in CONSTANTS}
    model = {"model": model_id} if name == "whisper" else {}
    try:
        extractor = cast(Callable[..., Extractor], EXTRACTORS[name])(**fields, **model, **where)
    except TypeError as error:
        raise ConfigError(
            f"extractor {name}: {error}.", hint="Promote a fingerprint of this version."
        ) from error
    found = extractor.identity().fingerprint
    if found != fingerprint:
        raise ConfigError(
            f"extractor {name} measures as {found} with this version and model, expected {fingerprint}.",
            hint="Run with the version and weights that measured, or promote the new fingerprint.",
        )
    return extractor
