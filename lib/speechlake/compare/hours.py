"""What a policy would keep for training if one model, or the other, were current."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from speechlake.signals import catalogue
from speechlake.signals.catalogue import Entries, Profile, restricted
from speechlake.splits.candidates import candidates, english_only, profile_of
from speechlake.splits.judging import judged, only, problems
from speechlake.splits.pins import pinned, quantiles, taken, with_numbers
from speechlake.units import MS_PER_HOUR

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake
    from speechlake.splits.policy import Policy


def in_place(said: Profile, rivals: Collection[str], entries: Entries) -> Profile:
    """A profile with `entries` wherever one of `rivals` stands for whisper; everywhere, where none does."""
    now = list(said.get("whisper", ()))
    if not any(one in rivals for _, one in now):
        return {**said, "whisper": list(entries)}
    then = [
        each
        for languages, one in now
        for each in (restricted(entries, languages) if one in rivals else [(languages, one)])
    ]
    return {**said, "whisper": then}


def in_any_window(lake: Lake, *sides: Entries) -> set[str]:
    """Their fingerprints, and the same models in other windows, which the profile may name for some languages."""
    fingerprints = {fingerprint for entries in sides for _, fingerprint in entries}
    calibrated = [{cut, full} for cut, (full, _) in catalogue.judged(lake).items()]
    return fingerprints.union(*(pair for pair in calibrated if pair & fingerprints))


def judged_by_both(lake: Lake, policy: Policy, old: Entries, new: Entries, measured: DataFrame) -> DataFrame:
    """Per utterance of `measured` (utterance_id, name): `ms`, and `a_reason`, `b_reason`: null where it passes.

    The reason is the first that stands against the row in train, with the old (a) or the new (b) model in
    the other's place; what a model cannot judge it does not lose. Copies and sides are not looked at: they
    depend on all other rows.
    """
    from pyspark.sql import functions as F

    if quantiles(policy):
        known = pinned(lake, policy.splits.scheme)
        policy = with_numbers(policy, taken(candidates(lake, policy), policy, known))
    said, english, rivals = profile_of(lake, policy), english_only(lake), in_any_window(lake, old, new)

    def reasons(entries: Entries, side: str) -> DataFrame:
        rows = candidates(lake, policy, in_place(said, rivals, entries))
        rows = judged(rows.join(measured, on="utterance_id", how="left_semi"), policy, english)
        against = problems(policy, only(F.lit("train")))
        first = F.when(F.size(against) > 0, against[0]["reason"])
        return rows.select(
            "utterance_id", F.coalesce("ms", F.lit(0)).alias("ms"), first.alias(f"{side}_reason")
        )

    a, b = reasons(old, "a"), reasons(new, "b").drop("ms")
    names = measured.select("utterance_id", "name")
    return names.join(a, on="utterance_id", how="inner").join(b, on="utterance_id", how="inner")


def hours_by_language(both: DataFrame) -> DataFrame:
    """Per language (`name`): hours that pass with each model, and what the new one gains and loses."""
    from pyspark.sql import functions as F

    passes_a, passes_b = F.col("a_reason").isNull(), F.col("b_reason").isNull()
    tests = {"a": passes_a, "b": passes_b, "gained": passes_b & ~passes_a, "lost": passes_a & ~passes_b}
    sums = [
        (F.coalesce(F.sum(F.when(test, F.col("ms"))), F.lit(0)) / MS_PER_HOUR).alias(f"hours_{name}")
        for name, test in tests.items()
    ]
    return both.groupBy("name").agg(*sums).orderBy("name")


def hours_by_reason(both: DataFrame) -> DataFrame:
    """Per reason: hours that the new model loses for it, and that the old one did not keep for it."""
    from pyspark.sql import functions as F

    a, b = F.col("a_reason"), F.col("b_reason")
    moved = both.where(a.isNull() != b.isNull()).withColumn("reason", F.coalesce(a, b))
    hours = {"gained": a.isNotNull(), "lost": b.isNotNull()}
    sums = [
        (F.coalesce(F.sum(F.when(test, F.col("ms"))), F.lit(0)) / MS_PER_HOUR).alias(f"hours_{name}")
        for name, test in hours.items()
    ]
    return moved.groupBy("reason").agg(F.count("*").alias("utterances"), *sums).orderBy("reason")
