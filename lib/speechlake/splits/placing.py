"""Where every row that is fit for some side belongs, and why it cannot be there.

Linked and remembered; settled by lists and evaluation corpora; the rest in groups that fill sides; then train
rows that give way to what evaluates, overlapping intervals, and copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.checkpoints import Staged, in_place
from speechlake.joins import sent_if_few
from speechlake.splits import evaluation_corpora
from speechlake.splits.assignment import group_table, with_side
from speechlake.splits.eviction import Texts, evicted, evicting_columns
from speechlake.splits.groups import (
    link_value,
    voices_heard,
    with_link_group,
    with_linked_speaker,
    with_own_links,
    with_speakers_heard,
)
from speechlake.splits.keepers import beaten_copies, without
from speechlake.splits.keys import link_keys, shared_keys, utterance_key
from speechlake.splits.memory import (
    RANKS,
    MemorySeen,
    any_of,
    fits,
    rank_of,
    side_of,
    with_memory_of_keys,
    with_remembered_side,
    with_ties,
)
from speechlake.splits.overlaps import overlapped
from speechlake.splits.policy import SIDES, Policy
from speechlake.splits.refusals import kept_out_by_lists, large_groups, too_much_evicted
from speechlake.splits.settled import with_settled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import DataFrame

# What placing needs of a row, besides its links.
NEEDED = (
    *("utterance_id", "corpus", "recording_id", "channel", "start_ms", "ms", "speaker_id", "single_speaker"),
    *("cluster_id", "overlap_id", "duplicate_kind", "audio_samples_sha256"),
    *("language", "listed", "text_kind"),
    *("score_unit", "score_wer", "score_cer", "quality_ovrl", "fits_train", "fits_dev", "fits_test"),
    *("train_only", "elsewhere", "boilerplate"),
)
_PLACED = ("utterance_id", "side", "reason", "detail", "link_keys", "new_keys", "own")


@dataclass(frozen=True)
class Placed:
    """`rows` holds utterance_id, side, reason, detail, link_keys, new_keys (some of which nobody remembers) and own (the rank
    of the row's own published side, or null); `warnings` and `refusals` a `message` each."""

    rows: DataFrame
    warnings: DataFrame
    refusals: DataFrame


def place(
    rows: DataFrame,
    policy: Policy,
    assignments: DataFrame,
    staged: Staged,
    texts: Texts,
) -> Placed:
    """Place the judged `rows`; those that are fit for no side are absent. Counts evaluation corpora, so it runs Spark."""
    has = _seen(rows)
    linked, links = _linked(rows, policy, assignments, has, staged)
    audio = evaluation_corpora.audio(rows) if has.decontaminates else None
    # Frames of all rows: each joins the one before it where that lies.
    lying = in_place(staged)
    remembering = lying("remembering", with_memory_of_keys(linked, assignments, lying))
    memory = MemorySeen.of(remembering)
    published = remembering.filter("own IS NOT NULL")
    settled = with_settled(remembering.filter("is_fit"), audio, published, policy, staged)
    # Else nothing is settled before groups are.
    settles = has.decontaminates or has.listed or bool(policy.lists.named())
    if settles:
        settled = staged("settled", settled)
    free, others = settled.filter(F.col("settled").isNull()).drop("reason"), []
    gone = _gone(remembering, staged) if memory.gone and memory.newcomers else None
    if settles or memory.may_tie or gone is not None:
        free, tied = _without_ties(free, settled, gone, settles, staged)
        others.append(tied)
    if settles:
        others.append(_settled_alone(settled))
    known = lying("remembered", _remembered(free, others, links, lying))
    groups = staged("groups", group_table(known, policy))
    sided = lying("sided", with_side(known, groups, policy, staged))
    evaluated = published.filter(F.col("own") > RANKS["train"])
    out, refusals = _giving_way(sided, evaluated, rows, policy, staged, has.decontaminates, texts)
    if policy.lists.named():
        refusals.append(_too_much_kept_out(settled, sided, rows, policy))
    large = large_groups(known, remembering, groups, links, policy, staged)
    why = sent_if_few(staged("giving way", out.withColumnRenamed("reason", "why")))
    placed = sided.drop("detail").join(why, "utterance_id", how="left")
    placed = placed.withColumn("reason", F.coalesce("reason", "why"))
    placed = _with_what_stands_there(placed, sided, remembering, staged)
    placed = placed.select(*_PLACED)
    if settles:
        refused = settled.filter(F.col("reason").isNotNull()).withColumn("side", side_of(F.col("settled")))
        placed = placed.unionByName(refused.select(*_PLACED))
    refusing = large.filter("refuse").select("message")
    warnings = large.select("message")
    if has.decontaminates:
        warnings = warnings.unionByName(evaluation_corpora.told(rows, policy))
    return Placed(
        placed,
        warnings,
        reduce(lambda a, b: a.unionByName(b), refusals, refusing),
    )


@dataclass(frozen=True)
class _Seen:
    """Whether there is a row of an evaluation corpus that keeps train clean, one on a list, one that names no speaker, and
    one of a corpus that is declared to hold one speaker: where there is none, nobody is asked for more."""

    decontaminates: bool
    listed: bool
    nameless: bool
    single_speaker: bool


def _seen(rows: DataFrame) -> _Seen:
    """In one look at all rows."""
    asked = {
        "decontaminates": F.col("decontaminates"),
        "listed": F.col("listed").isNotNull(),
        "nameless": F.col("speaker_id").isNull(),
        "single_speaker": F.col("single_speaker"),
    }
    return _Seen(**any_of(rows, asked))


def _linked(
    rows: DataFrame, policy: Policy, assignments: DataFrame, has: _Seen, staged: Staged
) -> tuple[DataFrame, dict[str, str]]:
    """Rows with their link columns and keys, and whether they are fit for some side; kind of link -> column."""
    marked = rows.withColumn("is_fit", F.expr(" OR ".join(f"fits_{side}" for side in SIDES)))
    among = voices_heard(marked, assignments, staged) if has.single_speaker else None
    speaking = with_linked_speaker(marked, among=among, staged=staged)
    own, links = with_own_links(speaking, policy.links)
    evicting = evicting_columns(policy.links)
    valued = own.withColumns({column: link_value(name) for name, column in evicting.items()})
    columns = dict.fromkeys([*NEEDED, "is_fit", *links.values(), *evicting.values()])
    keyed = valued.select(*columns).withColumn("link_keys", link_keys(links))
    return (
        with_speakers_heard(keyed, rows, alone=has.single_speaker, staged=staged) if has.nameless else keyed
    ), links


def _gone(remembering: DataFrame, staged: Staged) -> DataFrame | None:
    """Rows that were published, are fit for no side by now, and share a link with a newcomer; None where there is none.

    As they were published all is remembered; but a speaker may be corrected since, or a copy found.
    """
    gone = remembering.filter("NOT is_fit")
    newcomers = remembering.filter("is_fit AND own IS NULL AND new_keys")
    asked = newcomers.select(F.explode(shared_keys()).alias("link_key")).distinct()
    asked = sent_if_few(staged("keys of newcomers", asked))
    met = gone.select("utterance_id", F.explode(shared_keys()).alias("link_key"))
    met = met.join(asked, "link_key", how="left_semi").select("utterance_id").distinct()
    met = staged("gone", met)
    return None if met.isEmpty() else gone.join(sent_if_few(met), "utterance_id", how="left_semi")


def _without_ties(
    free: DataFrame, settled: DataFrame, gone: DataFrame | None, settles: bool, staged: Staged
) -> tuple[DataFrame, DataFrame]:
    """Rows that groups place, and those that are out because they tie sides together, as groups of their own.

    `gone` are rows that were published and are fit for no side by now (`_gone`): they go nowhere, and a copy of one that
    evaluated does not train. Nor does one of what was published and is settled to be out.
    """
    asked = free.withColumn("is_out", F.lit(False))
    if gone is not None:
        asked = asked.unionByName(gone, allowMissingColumns=True)
    if settles:
        kept_out = settled.filter(F.col("reason").isNotNull() & F.col("own").isNotNull()).drop("reason")
        asked = asked.unionByName(kept_out.withColumns({"is_fit": F.lit(False), "is_out": F.lit(True)}))
    tied = with_ties(asked, staged).filter("is_fit").drop("is_out")
    out = tied.filter("tie").withColumns(
        {
            "link_group": utterance_key(),
            "remembered": F.coalesce("own", "highest"),
            "reason": F.lit("bridges_splits"),
        }
    )
    return tied.filter(~F.col("tie")).drop("tie"), out.drop("tie")


def _settled_alone(settled: DataFrame) -> DataFrame:
    """Rows of a list that stay, as groups of their own."""
    fixed = settled.filter(F.col("settled").isNotNull() & F.col("reason").isNull())
    return fixed.withColumns({"link_group": utterance_key(), "remembered": F.col("settled")})


def _remembered(
    keyed: DataFrame, others: list[DataFrame], links: Mapping[str, str], staged: Staged
) -> DataFrame:
    """Rows that groups place, with what is remembered of them, and `others`, which have a group and a side already.

    Of columns those that are read from then on, of `link_keys` those of rows that have `new_keys`: they are half of a row.
    """
    grouped = with_link_group(_slim(keyed, links), keyed, staged=staged)
    whole = with_remembered_side(grouped, keyed, staged)
    for other in others:
        whole = whole.unionByName(_slim(other, links).drop("lowest", "highest"))
    return whole.drop("settled", "is_fit", "replaced")


def _slim(rows: DataFrame, links: Mapping[str, str]) -> DataFrame:
    """Without what only links are made of, and without keys that are all remembered."""
    made = [column for column in links.values() if column not in NEEDED]
    return rows.drop(*made).withColumn("link_keys", F.when(F.col("new_keys"), F.col("link_keys")))


def _with_what_stands_there(
    placed: DataFrame, sided: DataFrame, keyed: DataFrame, staged: Staged
) -> DataFrame:
    """`detail` of what bridges sides, a row of another side that shares a link with it, and of a train-only corpus.
    `keyed` are the same utterances with all their `link_keys`."""
    bridging = sided.filter(F.col("reason") == "bridges_splits").select("utterance_id", "side")
    bridging = staged("bridging", bridging)
    # Hardly any build has such rows: all others are asked for their keys only where there are some.
    if not bridging.isEmpty():
        each = keyed.select("utterance_id", F.explode("link_keys").alias("link_key"))
        asked = sent_if_few(bridging.join(each, "utterance_id", how="inner"))
        other = sided.select(
            F.col("utterance_id").alias("other_id"),
            F.col("side").alias("other_side"),
            F.col("reason").isNotNull().alias("is_out"),
        )
        other = other.join(each.withColumnRenamed("utterance_id", "other_id"), "other_id", how="inner")
        met = other.join(asked, "link_key", how="inner").filter("side != other_side").groupBy("utterance_id")
        first = met.agg(F.min(F.struct("is_out", "link_key", "other_id")).alias("first"))
        stands = first.select("utterance_id", F.col("first.other_id").alias("stands"))
        placed = placed.join(stands, "utterance_id", how="left").withColumn(
            "detail", F.coalesce("detail", "stands")
        )
    elsewhere = F.when(F.col("reason") == "speaker_elsewhere", F.col("elsewhere"))
    return placed.withColumn("detail", F.coalesce("detail", elsewhere))


def _too_much_kept_out(settled: DataFrame, sided: DataFrame, rows: DataFrame, policy: Policy) -> DataFrame:
    """(message) where lists take more of train's hours than the policy allows."""
    out = kept_out_by_lists(settled)
    there = sided.filter(F.col("reason").isNull() & fits(rank_of(F.col("side"))) & (F.col("side") == "train"))
    train = there.select("utterance_id", "ms").unionByName(out.select("utterance_id", "ms"))
    return too_much_evicted(train, out.drop("ms"), rows, policy)


def _giving_way(
    sided: DataFrame,
    evaluated: DataFrame,
    rows: DataFrame,
    policy: Policy,
    staged: Staged,
    has_benchmarks: bool,
    texts: Texts,
) -> tuple[DataFrame, list[DataFrame]]:
    """(utterance_id, reason, detail) of rows that give way to others, each once; and why that is too much."""
    there = sided.filter(F.col("reason").isNull() & fits(rank_of(F.col("side"))))
    found, refusals = [], []
    train_loses = evicted(there, evaluated, rows, policy, staged, benchmarks=has_benchmarks, texts=texts)
    if train_loses is not None:
        train_loses = staged("evicted", train_loses)
        train = there.filter(F.col("side") == "train").select("utterance_id", "ms")
        refusals.append(too_much_evicted(train, train_loses, rows, policy))
        found.append(train_loses.select("utterance_id", "reason", "detail"))
    overlaps = staged("overlapped", overlapped(without(there, *found), policy))
    found.append(overlaps)
    found.append(beaten_copies(without(there, *found), policy))
    return reduce(lambda a, b: a.unionByName(b), found), refusals
