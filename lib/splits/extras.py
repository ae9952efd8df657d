"""Fields of manifests that no column takes, as a policy names them: `extras.<name>`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from speechlake.config import near
from speechlake.errors import ConfigError
from speechlake.splits.policy_links import EXTRAS

if TYPE_CHECKING:
    from speechlake.lake import Lake
    from speechlake.splits.policy import Policy

# Distinct names of fields that a hint is looked for among.
MOST_NAMES = 10_000


def refuse_unknown_extras(lake: Lake, policy: Policy) -> None:
    """ConfigError where a rule or link names a field that no current utterance has: it would never say anything."""
    from pyspark.sql import functions as F

    asked = {name for name in _named(policy.model_dump(mode="json")) if name.startswith(EXTRAS)}
    if not asked:
        return
    current = lake.read("utterances").where("retired_in IS NULL")
    names = current.select(F.explode(F.map_keys("extras")).alias("name")).distinct().limit(MOST_NAMES)
    known = sorted(f"{EXTRAS}{row.name}" for row in names.collect())
    for name in sorted(asked.difference(known)):
        raise ConfigError(
            f"policy {policy.name!r} names {name!r}, which no utterance of {lake.root} has",
            hint=near(name, known) if known else "No manifest here has fields besides those of speechlake.",
        )


def _named(value: Any) -> Iterator[str]:
    """Every name and text in a policy, keys of its maps included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _named(str(key))
            yield from _named(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _named(item)
