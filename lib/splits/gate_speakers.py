"""Who may be heard in rows that name no speaker, for the gate: by a query of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.joins import sent_if_few
from speechlake.splits.gate_lines import is_boilerplate

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.checkpoints import Staged


def with_heard(rows: DataFrame, links: DataFrame, staged: Staged) -> DataFrame:
    """Add `heard`: of rows that name no speaker those whom other utterances, written or not, name in their recording, and
    in what they share audio with; null of others. Where everybody has a name, nothing is added.

    `links` has one row per utterance, as for `gate.leaks`. The one voice of a corpus binds nobody.
    """
    nameless = rows.filter(F.col("speaker_id").isNull()).select("utterance_id", _places())
    nameless = staged("nameless", nameless)
    if nameless.isEmpty():
        return rows
    places = sent_if_few(nameless.select("place").distinct())
    named = links.filter("speaker_id IS NOT NULL AND NOT single_speaker AND retired_in IS NULL")
    asked = named.select("speaker_id", _places()).join(places, "place", how="left_semi").distinct()
    met = nameless.join(asked, "place", how="inner").groupBy("utterance_id")
    heard = staged("speakers heard", met.agg(F.collect_set("speaker_id").alias("heard")))
    return rows.join(sent_if_few(heard), "utterance_id", how="left")


def _places() -> Column:
    """The recording, and what a row shares audio under, if that is no boilerplate: a row for each."""
    shared = F.when(~is_boilerplate(), F.col("overlap_id"))
    said = (
        F.struct(F.lit(kind).alias("kind"), value.alias("value"))
        for kind, value in (("r", F.col("recording_id")), ("a", shared))
    )
    return F.explode(F.filter(F.array(*said), lambda place: place["value"].isNotNull())).alias("place")
