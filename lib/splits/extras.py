"""Fields of manifests that no column takes, as a policy names them: `extras.<name>`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechlake.config import near
from speechlake.errors import ConfigError
from speechlake.splits.policy_links import EXTRAS
from speechlake.splits.policy_rules import checks_of

if TYPE_CHECKING:
    from speechlake.lake import Lake
    from speechlake.splits.policy import Policy

# Names of fields that a hint is looked for among.
MOST_NAMES = 10_000


def refuse_unknown_extras(lake: Lake, policy: Policy) -> None:
    """ConfigError where a rule or link names a field that no utterance ever had: it would never say anything."""
    from pyspark.sql import functions as F

    asked = extras_named(policy)
    if not asked:
        return
    fields = lake.read("utterances").select(F.explode(F.map_keys("extras")).alias("name")).distinct()
    there = {row.name for row in fields.where(F.col("name").isin(asked)).collect()}
    for name in asked:
        if name not in there:
            known = sorted(f"{EXTRAS}{row.name}" for row in fields.limit(MOST_NAMES).collect())
            raise ConfigError(
                f"policy {policy.name!r} names {EXTRAS + name!r}, which no utterance of {lake.root} has",
                hint=near(EXTRAS + name, known) if known else "Manifests here have no fields of their own.",
            )


def extras_named(policy: Policy) -> list[str]:
    """The fields that rules and links of a policy name, sorted."""
    named = {check.column for rule in policy.rules() for check in checks_of(rule)} | {*policy.links.columns}
    return sorted(name.removeprefix(EXTRAS) for name in named if name and name.startswith(EXTRAS))
