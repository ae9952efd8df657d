"""One evaluation of a policy: candidates in; splits, decisions, assignments and their summary out.

Order: what counts for every side makes rows eligible; groups fill sides; then what counts for the side a
row came to; then keepers among copies that passed. Rows depend on nothing but candidates, policy and
assignments: not on order, partitions or time.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.splits import outcome
from speechlake.splits.assignment import with_side
from speechlake.splits.caps import with_caps
from speechlake.splits.components import Staged, checkpointed
from speechlake.splits.forms import with_forms
from speechlake.splits.groups import with_link_group, with_linked_speaker
from speechlake.splits.judging import judged, placement_problems, problems, sides_of
from speechlake.splits.keys import LINKS, link_keys
from speechlake.splits.memory import fits, rank_of
from speechlake.splits.policy import SIDES, Policy
from speechlake.splits.text import kind_rank
from speechlake.splits.weights import with_weights

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


@dataclass(frozen=True)
class Build:
    """What a policy yields. `splits`, `decisions` and `assignments` lack `build_id` (and `decisions` nothing else).

    `counts` and `rules` are rows of the arrays in `releases`, `warnings` has a `message` per row, and
    `known_speakers` one row with `ratio`. All four are small: as many rows as corpora, languages and rules.
    """

    splits: DataFrame
    decisions: DataFrame
    assignments: DataFrame
    counts: DataFrame
    rules: DataFrame
    warnings: DataFrame
    known_speakers: DataFrame


def build(
    candidates: DataFrame,
    policy: Policy,
    assignments: DataFrame,
    *,
    english_only: Collection[str] = (),
    staged: Staged = checkpointed,
) -> Build:
    """Evaluate `policy`. Every row of `candidates` ends in exactly one of `splits` and `decisions`.

    `assignments` holds link_key and side of the policy's scheme, as published, one row per key.
    `english_only` lists fingerprints of models that know no other language. Frames that several steps read
    pass through `staged`. Runs Spark only to choose how groups are computed, and for the hours that weights balance. The policy's
    quantiles must have been replaced by their numbers (`speechlake.splits.pins`).
    """
    rows = staged("judged", judged(candidates, policy, english_only))
    placed = staged("placed", _placed(rows, policy, assignments, staged))
    decided = _finished(staged("decided", _decided(rows, placed, policy)), policy, staged)
    return Build(
        splits=outcome.splits(decided, policy),
        decisions=outcome.decisions(decided),
        assignments=outcome.assignments(decided, assignments, policy),
        counts=outcome.counts(decided),
        rules=outcome.rules(decided),
        warnings=outcome.warnings(decided, policy),
        known_speakers=outcome.known_speakers(decided),
    )


def _finished(decided: DataFrame, policy: Policy, staged: Staged) -> DataFrame:
    """Decided rows with the form of their text and their weight, without what is above a cap."""
    formed = with_forms(decided, policy, staged)
    capped = with_caps(formed, policy, staged)
    return with_weights(capped, policy)


def _placed(rows: DataFrame, policy: Policy, assignments: DataFrame, staged: Staged) -> DataFrame:
    """(utterance_id, side, reason, keeper, link_keys) of every row that is fit for some side."""
    fit = rows.filter(" OR ".join(f"fits_{side}" for side in SIDES))
    linked = staged(
        "linked",
        fit.select(*_LINKED)
        .transform(lambda frame: with_linked_speaker(frame, policy.duplicates.kinds))
        .withColumn("link_keys", link_keys(LINKS)),
    )
    grouped = with_link_group(linked, LINKS, staged=staged)
    sided = with_side(grouped, policy, assignments, staged)
    return with_keeper(sided, policy).select("utterance_id", "side", "reason", "keeper", "link_keys")


_LINKED = (
    *(
        "utterance_id",
        "corpus",
        "recording_id",
        "speaker_id",
        "single_speaker",
        "cluster_id",
        "duplicate_kind",
    ),
    *(
        "language",
        "text_kind",
        "score_unit",
        "score_wer",
        "score_cer",
        "ms",
        "fits_train",
        "fits_dev",
        "fits_test",
    ),
)


def with_keeper(rows: DataFrame, policy: Policy) -> DataFrame:
    """Add `keeper`: the utterance_id of the copy that stays on this row's side; null for it and all others.

    Copies compete among rows of one side that passed, by the policy's order of preference, then by id.
    """
    there = F.col("reason").isNull() & fits(rank_of(F.col("side"))) & F.col("linked_cluster").isNotNull()
    order = F.struct(*(_preference(name).alias(name) for name in policy.duplicates.keep), "utterance_id")
    copies = rows.filter(there).select("utterance_id", "side", "linked_cluster", order.alias("rank"))
    best = copies.groupBy("side", "linked_cluster").agg(F.min("rank").alias("best"))
    beaten = (
        copies.join(best, ["side", "linked_cluster"], how="inner")
        .filter(F.col("best.utterance_id") != F.col("utterance_id"))
        .select("utterance_id", F.col("best.utterance_id").alias("keeper"))
    )
    return rows.join(beaten, "utterance_id", how="left")


def _preference(name: str) -> Column:
    """A number that is lower for a better copy."""
    if name == "text_kind":
        return kind_rank(F.col("text_kind"))
    if name == "duration":
        return -F.col("ms")
    rate = F.when(F.col("score_unit") == "char", F.col("score_cer")).otherwise(F.col("score_wer"))
    return F.coalesce(rate, F.lit(float("inf")))


def _decided(rows: DataFrame, placed: DataFrame, policy: Policy) -> DataFrame:
    """Every candidate with `side`, `link_keys` and `failures`; a row is kept when it has a side and no failure."""
    joined = rows.join(placed, "utterance_id", how="left")
    asked = F.when(F.col("side").isNotNull(), F.array("side")).otherwise(sides_of(SIDES))
    found = F.concat(problems(policy, asked), placement_problems(F.col("reason"), F.col("keeper")))
    kept = F.col("side").isNotNull() & (F.size("failures") == 0)
    return joined.withColumn("failures", found).withColumn("kept", kept).drop("keeper")
