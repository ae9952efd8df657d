"""What lies in many recordings: jingles, prompts, announcements. It says nothing of who belongs together."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from speechlake.checkpoints import Staged, checkpointed
from speechlake.joins import lying_together

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# A jingle or prompt that lies in more recordings than this says nothing of who belongs together. Recordings that are
# retired do not count: a corpus that is delivered anew, coded otherwise, every week is no jingle.
BOILERPLATE_RECORDINGS = 20
# A part that lies in more recordings is boilerplate too; what two utterances share beyond it by a second is theirs.
BEYOND_S = 1.0
# Places are told apart in steps, of which a part has all that it touches: up to two more than it is long, BEYOND_S.
PLACE_S = 0.5


def boilerplate(
    current: DataFrame, copies: DataFrame, common: DataFrame, evaluating: Collection[str]
) -> DataFrame:
    """(utterance_id) of clusters, `copies`, over too many recordings, and of those with a clip that is nothing but
    `common` places: the jingle cut out, alone or in a few copies."""
    from pyspark.sql import functions as F

    places = common.groupBy("utterance_id").agg((F.count("*") * PLACE_S).alias("common_s"))
    whole = places.join(current, on="utterance_id", how="inner").where("duration_s IS NOT NULL")
    whole = whole.where(F.col("duration_s") - F.col("common_s") <= BEYOND_S).select("utterance_id")
    lone = whole.join(copies, on="utterance_id", how="left_anti")
    members = copies.unionByName(lone.withColumn("label", F.col("utterance_id")))
    marked = members.join(whole.withColumn("is_common", F.lit(True)), on="utterance_id", how="left")
    clusters = (
        marked.join(current, on="utterance_id", how="inner")
        .groupBy("label")
        .agg(
            F.countDistinct(F.when(~F.col("is_retired"), F.col("recording_id"))).alias("recordings"),
            F.bool_or(F.coalesce("is_common", F.lit(False))).alias("is_common"),
            F.bool_or(F.col("corpus").isin(list(evaluating))).alias("evaluates"),
        )
    )
    many = F.col("recordings") > BOILERPLATE_RECORDINGS
    told = clusters.where(many | (F.col("is_common") & ~F.col("evaluates"))).select("label")
    return members.join(told, on="label", how="left_semi").select("utterance_id")


def common_places(parts: DataFrame, current: DataFrame, staged: Staged = checkpointed) -> DataFrame:
    """(utterance_id, place): steps of PLACE_S of an utterance that lie in more than BOILERPLATE_RECORDINGS other
    recordings each: the jingle at the start of an episode, not a talk of which every minute lies in another clip.

    `parts` are pairs with a common part, `current` rows with utterance_id, recording_id and is_retired.
    """
    from pyspark.sql import functions as F

    own = current.select("utterance_id", F.col("recording_id").alias("own"))
    there = current.where("NOT is_retired")
    others = there.select(F.col("utterance_id").alias("partner"), "recording_id")
    met = _both_ends(parts).join(others, on="partner", how="inner").join(own, on="utterance_id", how="inner")
    met = met.where("recording_id != own").select("utterance_id", "recording_id", "places")
    met = staged("parts", met)
    # Mostly nobody has so many partners: places are looked at for those alone.
    many = met.groupBy("utterance_id").agg(F.countDistinct("recording_id").alias("recordings"))
    many = many.where(F.col("recordings") > BOILERPLATE_RECORDINGS).select("utterance_id")
    few = lying_together(met.join(many, on="utterance_id", how="left_semi"), "utterance_id")
    # A step counts once for a recording, however many of its clips share it.
    once = few.groupBy("utterance_id", "recording_id").agg(
        F.array_distinct(F.flatten(F.collect_list("places"))).alias("places")
    )
    by_place = once.select("utterance_id", F.explode("places").alias("place")).groupBy(
        "utterance_id", "place"
    )
    counted = by_place.agg(F.count("*").alias("recordings"))
    return counted.where(F.col("recordings") > BOILERPLATE_RECORDINGS).select("utterance_id", "place")


def without_common_parts(parts: DataFrame, common: DataFrame) -> DataFrame:
    """Pairs of which more than BEYOND_S is theirs on both ends; where an end has no `common_places`, all of it is."""
    from pyspark.sql import functions as F

    met = _both_ends(parts).join(common.select("utterance_id").distinct(), on="utterance_id", how="left_semi")
    placed = met.select("low", "high", "utterance_id", F.explode("places").alias("place"))
    told = placed.join(common.withColumn("is_common", F.lit(True)), on=["utterance_id", "place"], how="left")
    own = told.groupBy("low", "high", "utterance_id").agg(
        F.count_if(F.col("is_common").isNull()).alias("own")
    )
    out = own.where(F.col("own") * PLACE_S <= BEYOND_S).select(
        F.col("low").alias("utterance_id"), F.col("high").alias("other_id")
    )
    return parts.join(out, on=["utterance_id", "other_id"], how="left_anti")


def _both_ends(parts: DataFrame) -> DataFrame:
    """(low, high, utterance_id, partner, places) of each end of each pair: the steps of PLACE_S of the utterance in
    which the common part lies."""
    from pyspark.sql import functions as F

    begins = {"utterance_id": F.col("start_s"), "other_id": F.col("start_s") + F.col("offset_s")}
    both = []
    for name, partner in (("utterance_id", "other_id"), ("other_id", "utterance_id")):
        first = F.floor(begins[name] / PLACE_S)
        last = F.ceil((begins[name] + F.col("shared_s")) / PLACE_S) - 1
        places = F.sequence(first, F.greatest(first, last)).alias("places")
        both.append(
            parts.select(
                *ends(parts), F.col(name).alias("utterance_id"), F.col(partner).alias("partner"), places
            )
        )
    return both[0].unionByName(both[1])


def ends(pairs: DataFrame) -> list[Column]:
    """The two utterances of each of `pairs` as `low` and `high`."""
    return [pairs["utterance_id"].alias("low"), pairs["other_id"].alias("high")]
