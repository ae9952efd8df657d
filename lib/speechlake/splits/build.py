"""One evaluation of a policy: candidates in; splits, decisions, assignments and their summary out.

Order: what counts for every side makes rows eligible; lists and evaluation corpora settle theirs; groups fill
sides; train rows give way to what evaluates; then what counts for the side a row came to; then keepers among
rows that passed. Rows depend on nothing but candidates, policy and assignments: not on order, partitions or
time.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.checkpoints import Staged, checkpointed, in_place, planned_at_once
from speechlake.schemas import DECISIONS, SPLITS
from speechlake.splits import evaluation_corpora, outcome
from speechlake.splits.caps import with_caps
from speechlake.splits.compared import not_compared
from speechlake.splits.eviction import Texts
from speechlake.splits.forms import formed, with_forms, without_unsaid
from speechlake.splits.judging import columns_read as read_by_judging
from speechlake.splits.judging import judged, only, placement_problems, problems
from speechlake.splits.lists import with_lists
from speechlake.splits.memory import fits, rank_of
from speechlake.splits.placing import NEEDED, Placed, place
from speechlake.splits.policy import SIDES, Policy
from speechlake.splits.weights import with_weights

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# What is read of a judged row besides what placing needs and what is written, and of a decided row besides what is
# written. The rest, half of all columns, would be copied with each step.
_READ_OF_JUDGED = (
    *("failed", "said", "set_aside", "audio_duration_s", "audio_error", "audio_attempt_code"),
    *("speaker_namespace", "evaluation_texts", "prompts", "decontaminates"),
)
_READ_OF_DECIDED = (
    *("kept", "alone", "failures", "link_keys", "said", "set_aside", "decontaminates"),
    *("new_keys", "own", "ms", "audio_duration_s", "single_speaker", "listed"),
    *("overlap_id", "duplicate_kind"),
)


@dataclass(frozen=True)
class Build:
    """What a policy yields. `splits`, `decisions` and `assignments` lack `build_id` (and `decisions` nothing else).

    `counts` and `rules` are rows of the arrays in `releases`, `warnings` has a `message` per row, and
    `known_speakers` one row with `ratio`. All four are small: as many rows as corpora, languages and rules.
    `refusals` has a `message` per reason why this must not be published. `listed` holds kept rows that a list
    names: (corpus, utterance_id, listed, file, sha256).
    """

    splits: DataFrame
    decisions: DataFrame
    assignments: DataFrame
    counts: DataFrame
    rules: DataFrame
    warnings: DataFrame
    known_speakers: DataFrame
    refusals: DataFrame
    listed: DataFrame


def build(
    candidates: DataFrame,
    policy: Policy,
    assignments: DataFrame,
    *,
    english_only: Collection[str] = (),
    evaluated_texts: DataFrame | None = None,
    staged: Staged = checkpointed,
) -> Build:
    """Evaluate `policy`. Every row of `candidates` ends in exactly one of `splits` and `decisions`.

    `assignments` holds link_key and side of the policy's scheme, as published, one row per key.
    `english_only` lists fingerprints of models that know no other language, `evaluated_texts` (utterance_id, text, prompts)
    holds what releases of the scheme evaluate by. Frames that several steps read
    pass through `staged`. Runs Spark only to choose how groups, joins, shared texts and new link keys are
    computed, and for the hours that weights balance. The policy's quantiles must have been replaced by their numbers
    (`speechlake.splits.pins`).
    """
    marked = candidates.transform(lambda frame: judged(frame, policy, english_only)).transform(
        lambda frame: evaluation_corpora.with_marks(frame, policy)
    )
    marked = marked.transform(_off_other_sides)
    with planned_at_once(candidates.sparkSession):
        rows = staged("judged", _only(marked, _of_judged(policy)))
    forms = formed(rows, policy, staged)
    rows = without_unsaid(rows, forms, staged)
    placed = place(rows, policy, assignments, staged, Texts(forms, evaluated_texts))
    decided = in_place(staged)("decided", _decided(rows, placed, policy))
    decided = _finished(decided, policy, forms, staged)
    tally = staged("tally", outcome.tallied(decided))
    listed = decided.filter("kept AND listed IS NOT NULL")
    waiting, forgotten = not_compared(tally)
    told = (
        *(outcome.warnings(tally, policy), placed.warnings),
        *(evaluation_corpora.shared_speakers(tally), waiting),
    )
    return Build(
        splits=outcome.splits(decided, policy),
        decisions=outcome.decisions(decided),
        assignments=outcome.assignments(decided, assignments, policy, staged),
        counts=outcome.counts(tally),
        rules=outcome.rules(tally, policy),
        warnings=reduce(lambda one, other: one.unionByName(other), told).orderBy("message"),
        known_speakers=outcome.known_speakers(tally),
        refusals=placed.refusals.unionByName(forgotten),
        listed=with_lists(listed if policy.lists.named() else listed.limit(0), policy),
    )


def columns_read(policy: Policy) -> set[str]:
    """Names of the columns of candidates that `build` reads, among names of what it makes of them."""
    return read_by_judging(policy) | _of_judged(policy) | {*evaluation_corpora.READ}


def _of_judged(policy: Policy) -> set[str]:
    """Names of the columns of judged rows that later steps read."""
    named = {*policy.links.of_mode("together"), *policy.links.of_mode("exclude_from_train")}
    linked = {"session_id" if name == "session" else name.partition(".")[0] for name in named}
    return _written(policy) | linked | {*_READ_OF_JUDGED, *NEEDED}


def _written(policy: Policy) -> set[str]:
    """Names of the columns of which a build's rows are made. Why a row failed is spelled for its side, in `failures`."""
    contracts = {column.name for table in (SPLITS, DECISIONS) for column in table.columns}
    measured_by = {f"{name}_fingerprint" for name in outcome.extractors_of(policy)}
    return contracts - {"failed"} | measured_by


def _only(rows: DataFrame, names: set[str]) -> DataFrame:
    return rows.select(*(name for name in rows.columns if name in names))


def _finished(decided: DataFrame, policy: Policy, forms: DataFrame | None, staged: Staged) -> DataFrame:
    """Decided rows with the form of their text and their weight, without what is above a cap."""
    capped = with_caps(with_forms(decided, policy, forms, staged), policy, staged)
    return with_weights(capped, policy)


def _off_other_sides(rows: DataFrame) -> DataFrame:
    """A listed row is fit for its list's side at most."""
    here = {side: F.col("listed").isNull() | (F.col("listed") == side) for side in SIDES}
    return rows.withColumns({f"fits_{side}": F.col(f"fits_{side}") & own for side, own in here.items()})


def _decided(rows: DataFrame, placed: Placed, policy: Policy) -> DataFrame:
    """Every candidate with `side`, `link_keys`, `failures` and `alone`; kept when it has a side and no failure.

    `alone` is the rule without which the row would stay: the only one that stands against it. A row without a side
    could train, whatever else an evaluation side would want of it.
    """
    joined = rows.join(placed.rows, "utterance_id", how="left")
    asked = only(F.coalesce("side", "listed"))
    # Spelling out takes time: nothing is there to be said of a row that is fit for its side.
    where_it_is = placement_problems(F.col("reason"), F.col("detail"))
    found = F.when(fits(rank_of(F.col("side"))), where_it_is).otherwise(
        F.concat(problems(policy, asked), where_it_is)
    )
    kept = F.col("side").isNotNull() & (F.size("failures") == 0)
    one_side = only(F.coalesce("listed", F.lit("train")))
    against = F.when(F.col("side").isNull(), problems(policy, one_side)).otherwise(F.col("failures"))
    alone = F.when(F.size(against) == 1, against[0]["rule"])
    decided = joined.withColumn("failures", found).withColumns({"kept": kept, "alone": alone})
    # Nobody asks for the others, and they are a third of a row.
    decided = decided.withColumn("link_keys", F.when(F.col("new_keys"), F.col("link_keys")))
    return _only(decided, _written(policy) | {*_READ_OF_DECIDED})
