"""How much of each speaker, text, corpus or language trains, and with what weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from speechlake.config import Section, is_by_hand
from speechlake.splits.policy_values import CorpusName, Hours, as_tuple, plain

CAPPED: tuple[str, ...] = ("speaker", "text", "corpus", "language")
# A corpus that is to count a million times less is better left out; beyond, weights are no longer numbers.
MOST_FACTOR = 1e6
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

    @field_validator("corpora")
    @classmethod
    def _are_factors(cls, said: dict[str, float], info: ValidationInfo) -> dict[str, float]:
        for corpus, factor in said.items() if is_by_hand(info) else ():
            if not 1 / MOST_FACTOR <= factor <= MOST_FACTOR:
                raise PydanticCustomError(
                    "weights", f"{corpus}: expected a factor from {1 / MOST_FACTOR:g} to {MOST_FACTOR:g}"
                )
        return said

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
