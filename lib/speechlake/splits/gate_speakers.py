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

    `links` has one row per utterance, as for `gate.leaks`. The one voice of a corpus binds nobody but the rows of that
    corpus, of which it is the voice too.
    """
    always = F.lit(True)
    nameless = rows.filter(F.col("speaker_id").isNull()).select(
        "utterance_id", _places(recording=always, audio=always, corpus=F.col("single_speaker"))
    )
    nameless = staged("nameless", nameless)
    if nameless.isEmpty():
        return rows
    places = sent_if_few(nameless.select("place").distinct())
    named = links.filter("speaker_id IS NOT NULL AND retired_in IS NULL")
    alone = F.col("single_speaker")
    told = named.select("speaker_id", _places(recording=~alone, audio=~alone, corpus=alone))
    asked = told.join(places, "place", how="left_semi").distinct()
    met = nameless.join(asked, "place", how="inner").groupBy("utterance_id")
    heard = staged("speakers heard", met.agg(F.collect_set("speaker_id").alias("heard")))
    return rows.join(sent_if_few(heard), "utterance_id", how="left")


def _places(*, recording: Column, audio: Column, corpus: Column) -> Column:
    """Where somebody is heard, a row for each whose condition is true: in the recording, in what a row shares audio under,
    if that is no boilerplate, and in the corpus."""
    said = (
        F.when(met, F.struct(F.lit(kind).alias("kind"), F.col(column).alias("value")))
        for kind, column, met in (
            ("r", "recording_id", recording),
            ("a", "overlap_id", audio & ~is_boilerplate()),
            ("c", "corpus", corpus),
        )
    )
    return F.explode(F.filter(F.array(*said), lambda place: place["value"].isNotNull())).alias("place")
