"""Fields of manifests that a policy names: `extras.<name>`, which no column takes, and texts, `manifest:<name>`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from speechlake.config import near
from speechlake.errors import ConfigError
from speechlake.splits.columns import EXTRAS
from speechlake.splits.policy_rules import checks_of
from speechlake.splits.publish import was_cut_by

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake
    from speechlake.splits.policy import Policy

TEXTS = "manifest:"
# Names of fields that a hint is looked for among.
MOST_NAMES = 10_000


def refuse_unknown_fields(lake: Lake, policy: Policy) -> None:
    """ConfigError where a policy names a field that no utterance ever had: it would never say anything.

    What a release was cut by stays good when the last utterance with a field goes.
    """
    from pyspark.sql import functions as F

    extras, texts = _extras(policy), _texts(policy)
    if not (extras or texts) or was_cut_by(lake, policy):
        return
    if extras:
        keys = lake.read("utterances").select(F.explode(F.map_keys("extras")).alias("key"))
        _refuse_unknown(lake, policy, extras, keys.select(F.concat(F.lit(EXTRAS), "key").alias("name")))
    if texts:
        sources = lake.read("transcripts").select(F.col("source").alias("name"))
        _refuse_unknown(lake, policy, texts, sources.where(F.col("name").startswith(TEXTS)))


def _extras(policy: Policy) -> list[str]:
    """The fields that rules and links of a policy name."""
    named = {check.column for rule in policy.rules() for check in checks_of(rule)} | {*policy.links.columns}
    return sorted(name for name in named if name and name.startswith(EXTRAS))


def _texts(policy: Policy) -> list[str]:
    return sorted(name for name in (policy.text.sources if policy.text else ()) if name.startswith(TEXTS))


def _refuse_unknown(lake: Lake, policy: Policy, asked: Iterable[str], names: DataFrame) -> None:
    from pyspark.sql import functions as F

    fields = names.distinct()
    there = {row.name for row in fields.where(F.col("name").isin(asked)).collect()}
    for name in asked:
        if name not in there:
            known = sorted(row.name for row in fields.limit(MOST_NAMES).collect())
            raise ConfigError(
                f"policy {policy.name!r} names {name!r}, which no utterance of {lake.root} has",
                hint=near(name, known) if known else "Manifests here have no fields of their own.",
            )
