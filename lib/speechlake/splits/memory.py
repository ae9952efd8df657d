"""What earlier releases said: sides are remembered by link key, so that a published row never moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.joins import sent_if_few
from speechlake.splits.keys import audio_keys, audio_places, utterance_key
from speechlake.splits.policy import Side

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import Column, DataFrame

    from speechlake.checkpoints import Staged

# Precedence: where memories differ, the higher side stays what it was.
RANKS: dict[Side, int] = {"train": 1, "dev": 2, "test": 3}


# What of a row a link key stands for.
OWN, AUDIO, OTHER = 1, 2, 3


def rank_of(side: Column) -> Column:
    """A side as a number that grows with its precedence; null for null."""
    return F.coalesce(*(F.when(side == name, F.lit(rank)) for name, rank in RANKS.items()))


def side_of(rank: Column) -> Column:
    """The side of a rank; null for null."""
    return F.coalesce(*(F.when(rank == number, F.lit(name)) for name, number in RANKS.items()))


def fits(rank: Column) -> Column:
    """True where the row passes what its side asks for (`fits_train`, `fits_dev`, `fits_test`)."""
    return F.coalesce(*(F.when(rank == n, F.col(f"fits_{side}")) for side, n in RANKS.items()), F.lit(False))


def speaker_missing() -> Column:
    """Nobody said who speaks, in a corpus that is not declared to hold one speaker."""
    return F.col("speaker_id").isNull() & ~F.col("single_speaker")


def with_memory_of_keys(rows: DataFrame, assignments: DataFrame, staged: Staged) -> DataFrame:
    """Add `own`, `lowest`, `highest`, `replaced` and `new_keys`: the rank of a row's own published side, those of its link
    keys (null where nothing is remembered), whether its file, or what was decoded, was published on another side than the
    row, and whether some of its keys are remembered by nobody.

    `assignments` holds link_key and side of this scheme, as published, one row per key. Of rows that are not `is_fit`
    those stay that were published, and nobody is asked for more of them.
    """
    # Keys of rows that are not fit are not computed so: Spark puts what they are made of here.
    asked = F.when(F.col("is_fit"), F.col("link_keys")).otherwise(F.array(utterance_key())).alias("asked")
    first, beyond = audio_places()
    placed = rows.select("utterance_id", asked, first.alias("audio"), beyond.alias("beyond"))
    each = placed.select(
        "*", F.size("asked").alias("asked_for"), F.posexplode("asked").alias("place", "link_key")
    )
    # A row's own key is its last one. All is told by then of what keys say of a row: less moves.
    is_own = F.col("place") == F.col("asked_for") - 1
    of_audio = F.col("place").between(F.col("audio"), F.col("beyond") - 1) & ~is_own
    of = F.when(is_own, F.lit(OWN)).when(of_audio, F.lit(AUDIO)).otherwise(F.lit(OTHER)).alias("of")
    keys = each.select("utterance_id", "link_key", of)
    known = assignments.select("link_key", rank_of(F.col("side")).alias("rank"))
    own = F.max(F.when(F.col("of") == OWN, F.col("rank")))
    ranks = (F.min("rank").alias("lowest"), F.max("rank").alias("highest"))
    heard = F.when(F.col("of") == AUDIO, F.col("rank"))
    replaced = F.coalesce((F.min(heard) < own) | (F.max(heard) > own), F.lit(False)).alias("replaced")
    memory = (
        keys.join(known, "link_key", how="inner")
        .groupBy("utterance_id")
        .agg(own.alias("own"), *ranks, replaced, F.count("*").alias("remembered_keys"))
    )
    new_keys = F.coalesce("remembered_keys", F.lit(0)) < F.size("link_keys")
    memory = sent_if_few(staged("memory of keys", memory))
    joined = rows.join(memory, "utterance_id", how="left")
    joined = joined.withColumn("new_keys", new_keys).drop("remembered_keys")
    return joined.filter("is_fit OR own IS NOT NULL")


def any_of(rows: DataFrame, asked: Mapping[str, Column]) -> dict[str, bool]:
    """Of each condition whether some row meets it, in one look at all rows; null is no."""
    found = rows.agg(*(F.coalesce(F.bool_or(said), F.lit(False)).alias(name) for name, said in asked.items()))
    return found.collect()[0].asDict()


@dataclass(frozen=True)
class MemorySeen:
    """Whether there is, among rows with their memory (`with_memory_of_keys`), one that was published and is not fit any
    more, a new one under keys of which nobody knows, a published one that may have to go by what its keys say, and a new
    one whose keys are of two sides: where there is none, nobody is asked for more."""

    gone: bool
    newcomers: bool
    evicts: bool
    between: bool

    @classmethod
    def of(cls, rows: DataFrame) -> MemorySeen:
        """In one look at all rows."""
        own, fit = F.col("own"), F.col("is_fit")
        asked = {
            "gone": ~fit,
            "newcomers": fit & own.isNull() & F.col("new_keys"),
            # Of all others, no key is known to another side.
            "evicts": fit & own.isNotNull() & (_may_be_elsewhere() | F.col("replaced")),
            "between": fit & _is_between(F.col("lowest"), F.col("highest")),
        }
        return cls(**any_of(rows, asked))

    @property
    def may_tie(self) -> bool:
        """Whether `with_ties` may find a row, if nothing is there but rows that are fit."""
        return self.evicts or self.between


def _may_be_elsewhere() -> Column:
    """Of a published row: some key is remembered on a higher side, or may be that of one, as nobody remembers it."""
    return F.col("new_keys") | (F.col("own") < F.col("highest"))


def _is_between(lowest: Column, highest: Column) -> Column:
    """A new row whose keys are of two sides. What a train-only corpus once evaluated binds nobody, itself least of all."""
    between = F.col("own").isNull() & ~F.col("train_only") & (lowest < highest)
    return F.coalesce(between, F.lit(False))


def with_ties(rows: DataFrame, staged: Staged) -> DataFrame:
    """Add `tie`: rows that tie sides together by their own links, and so go before groups are made.

    A new row whose links are remembered, or were published, on two sides; a published row that shares a link
    with one that is published on a higher side; one whose file was replaced by audio of another side; and one that
    `is_out` already. So a newcomer goes, not what models were trained on; and what goes binds nobody but its copies, for
    models have heard it: one wrong line neither empties train, nor takes the later clips of its speaker along. `lowest`
    and `highest` of new rows then count what was published under keys that nobody remembers yet: a cluster that was
    found since, a speaker that was corrected.
    """
    evicted = staged("evicted before", _evicted(rows))
    found = _newly_linked(rows, evicted).unionByName(
        evicted.withColumn("is_evicted", F.lit(True)), allowMissingColumns=True
    )
    found = sent_if_few(staged("ties", found))
    joined = rows.join(found, "utterance_id", how="left")
    lowest, highest = F.least("lowest", "new_lowest"), F.greatest("highest", "new_highest")
    tie = F.coalesce("is_evicted", F.lit(False)) | _is_between(lowest, highest)
    return joined.withColumns({"tie": tie, "lowest": lowest, "highest": highest}).drop(
        "new_lowest", "new_highest", "is_evicted"
    )


def _evicted(rows: DataFrame) -> DataFrame:
    """(utterance_id) of published rows that share a link with one that is published on a higher side, and of those that
    are `replaced` or `is_out`."""
    own = F.col("own")
    gone = F.coalesce("replaced", F.lit(False)) | F.coalesce("is_out", F.lit(False))
    there = fits(own) & why_not_there(own).isNull() & ~gone
    higher = rows.filter((own > RANKS["train"]) & there).select(
        F.explode("link_keys").alias("link_key"), own.alias("rank")
    )
    lower = rows.filter(own.isNotNull() & _may_be_elsewhere())
    keyed = lower.select("utterance_id", "own", F.explode("link_keys").alias("link_key"))
    met = keyed.join(higher.groupBy("link_key").agg(F.max("rank").alias("rank")), "link_key", how="inner")
    found = met.filter(own < F.col("rank")).select("utterance_id")
    return found.unionByName(rows.filter(own.isNotNull() & gone).select("utterance_id")).distinct()


def _newly_linked(rows: DataFrame, evicted: DataFrame) -> DataFrame:
    """(utterance_id, new_lowest, new_highest) of new rows that share a link with published ones by now.

    Looked for are keys that nobody remembers, and few rows have any, but for new ones. What is evicted binds copies of
    it to its side, though others are remembered on theirs by the same key; where its file was replaced it is heard on
    two, and they go.
    """
    goes = sent_if_few(evicted).withColumn("goes", F.lit(True))
    marked = rows.join(goes, "utterance_id", how="left").filter("new_keys OR goes")
    # What a train-only corpus once evaluated binds its copies alone: they are not of train either.
    of_voice = (
        _binding(F.col("own")).isNull() & F.col("own").isNotNull() & F.col("linked_speaker").isNotNull()
    )
    voiceless = F.slice("link_keys", F.lit(2), F.size("link_keys") - 1)
    binding = F.when(F.col("goes"), audio_keys()).when(of_voice, voiceless).otherwise(F.col("link_keys"))
    heard = [F.when(F.col("goes") & F.col("replaced"), F.col(end)) for end in ("lowest", "highest")]
    ends = [F.coalesce(end, "own").alias(name) for end, name in zip(heard, ("low", "high"), strict=True)]
    keyed = marked.select("utterance_id", "own", *ends, F.explode(binding).alias("link_key"))
    published = keyed.filter(F.col("own").isNotNull())
    ranks = F.min("low").alias("new_lowest"), F.max("high").alias("new_highest")
    met = keyed.filter(F.col("own").isNull()).join(
        published.groupBy("link_key").agg(*ranks), "link_key", how="inner"
    )
    return met.groupBy("utterance_id").agg(
        F.min("new_lowest").alias("new_lowest"),
        F.max("new_highest").alias("new_highest"),
        F.lit(False).alias("is_evicted"),
    )


def with_remembered_side(rows: DataFrame, keyed: DataFrame, staged: Staged) -> DataFrame:
    """Add `remembered` (a rank or null) and `reason`, from what `with_memory_of_keys` and `with_ties` found. `keyed` are the
    same utterances with all their `link_keys`.

    A row that was published (`own`) keeps its side; any other takes that of its own links, else the highest in its
    group. Reasons are `speaker_elsewhere` (an evaluation row of a corpus that is train only), `speaker_unknown` (an
    evaluation row without a speaker), `boilerplate` and `bridges_splits` (shares a key with a row of another side).
    """
    groups = staged("memory of groups", _memory_of_groups(rows))
    joined = rows.join(sent_if_few(groups), "link_group", how="left")
    # A train-only corpus is not of train where what it shares a link with evaluated: it says so, and binds nobody.
    remembered = F.coalesce("own", "highest", "highest_in_group")
    reasoned = joined.withColumn("remembered", remembered).drop("highest", "lowest", "highest_in_group")
    reasoned = reasoned.withColumn("reason", why_not_there(F.col("remembered")))
    if groups.filter("mixed").isEmpty():
        return reasoned.drop("mixed")
    bridges = _bridges(reasoned, keyed, staged).withColumn("bridge", F.lit("bridges_splits"))
    joined = reasoned.join(sent_if_few(staged("bridges", bridges)), "utterance_id", how="left")
    return joined.withColumn("reason", F.coalesce("reason", "bridge")).drop("bridge", "mixed")


def _memory_of_groups(rows: DataFrame) -> DataFrame:
    """(link_group, highest_in_group, mixed) of the groups of which something is remembered."""
    groups = rows.groupBy("link_group").agg(
        F.max(_direct()).alias("highest_in_group"), (F.min(_direct()) < F.max(_direct())).alias("mixed")
    )
    return groups.filter(F.col("highest_in_group").isNotNull())


def _direct() -> Column:
    """What a row's own links say of its side."""
    return _binding(F.coalesce("own", "highest"))


def _binding(rank: Column) -> Column:
    """What a train-only corpus once evaluated binds nobody, or its train rows would all be evicted."""
    return F.when(~(F.col("train_only") & (rank > RANKS["train"])), rank)


def why_not_there(rank: Column) -> Column:
    """Why a row cannot be on the side of `rank`, whatever it passes; null where nothing speaks against it."""
    evaluates = rank > RANKS["train"]
    return (
        F.when(evaluates & F.col("train_only"), F.lit("speaker_elsewhere"))
        .when(evaluates & speaker_missing(), F.lit("speaker_unknown"))
        .when(evaluates & F.col("boilerplate"), F.lit("boilerplate"))
    )


def _bridges(rows: DataFrame, keyed: DataFrame, staged: Staged) -> DataFrame:
    """(utterance_id) of rows that still share a key with another side: the chains that newcomers make.

    A new row gives way to what was published and, among new ones, the lower side to the higher; a published row to
    one that was published on a higher side.
    """
    there = F.col("reason").isNull() & fits(F.col("remembered"))
    said = rows.filter("mixed").select("utterance_id", "own", "remembered", "reason", there.alias("there"))
    said = sent_if_few(staged("mixed groups", said))
    mixed = keyed.select("utterance_id", "link_keys").join(said, "utterance_id", how="inner")
    each = mixed.withColumn("link_key", F.explode("link_keys")).drop("link_keys")
    keys = each.groupBy("link_key").agg(
        F.min("own").alias("lowest_published"),
        F.max(F.when(F.col("there"), F.col("own"))).alias("highest_published"),
        F.max(F.when(F.col("there"), F.col("remembered"))).alias("highest_there"),
    )
    above = F.coalesce(F.col("remembered") > F.col("lowest_published"), F.lit(False))
    below = F.coalesce(F.col("remembered") < F.col("highest_there"), F.lit(False))
    astride = F.when(F.col("own").isNull(), above | below).otherwise(
        F.col("own") < F.col("highest_published")
    )
    met = each.join(keys, "link_key", how="inner").filter(F.col("reason").isNull() & astride)
    return met.select("utterance_id").distinct()
