"""How much of each speaker, text, corpus or language trains, and with what weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from speechlake.config import Section
from speechlake.splits.policy_values import CorpusName, Hours, as_tuple, plain

CAPPED: tuple[str, ...] = ("speaker", "text", "corpus", "language")
CAP_REASONS: Mapping[str, str] = {
    f"over_cap_{what}": f"The policy caps the hours of one {what} in train, and they are full."
    for what in CAPPED
}


class Cap(Section):
    """At most so many hours of train of one speaker, text (normalised), corpus or language.

    Rows without that value are not capped. Which rows stay is drawn by a salted hash of their ids.
    """

    per: Literal["speaker", "text", "corpus", "language"]
    hours: Hours


class Weights(Section):
    """Sampling weights of train rows.

    Strata of h hours are sampled in proportion to h^temperature: 1 leaves them as they are, 0 makes them
    equal. `corpora` multiplies the weights of some corpora. The mean weight over the hours of train is 1.
    """

    per: Annotated[tuple[Literal["language", "corpus"], ...], BeforeValidator(lambda v: _as_list(v))] = (
        "language",
    )
    temperature: Annotated[float, Field(ge=0, le=1)] = 1.0
    corpora: dict[CorpusName, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _weighs(self) -> Weights:
        if self.temperature == 1 and not self.corpora:
            raise PydanticCustomError("weights", "expected a temperature below 1, or factors of corpora")
        if not self.per or len(set(self.per)) < len(self.per):
            raise PydanticCustomError("weights", "expected language, corpus, or both in per")
        return self

    def meaning(self) -> dict[str, Any]:
        """What it asks, in one spelling: without a temperature, strata do not matter."""
        factors = {name: plain(factor) for name, factor in sorted(self.corpora.items()) if factor != 1}
        per = sorted(self.per) if self.temperature != 1 else []
        return {"per": per, "temperature": plain(self.temperature), "corpora": factors}


def _as_list(value: object) -> object:
    return (value,) if isinstance(value, str) else as_tuple(value)
