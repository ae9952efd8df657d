"""Link keys that nobody has any more: sides are remembered by them, and they say that somebody was there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.splits.columns import EXTRAS
from speechlake.splits.groups import link_value
from speechlake.splits.keys import id_of, utterance_key
from speechlake.splits.policy_links import LINK_COLUMNS

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake


def lost_keys(lake: Lake, going: DataFrame) -> DataFrame:
    """(link_key) of the utterances in `going`, rows of `utterances`, that no other utterance has.

    Keys that others share stay: they keep everyone else where they are.
    """
    own = going.select(utterance_key().alias("link_key"))
    left = lost_links(lake, going).select(id_of("kind", "value").alias("link_key"))
    return own.unionByName(left).distinct()


def lost_links(lake: Lake, going: DataFrame) -> DataFrame:
    """(kind, value) of the links of the utterances in `going` that no other utterance has.

    All that a policy may link is looked at, whatever policies there are.
    """
    everyone = _with_links(lake, lake.read("utterances"))
    mine = _with_links(lake, going)
    theirs = everyone.join(going.select("utterance_id"), on="utterance_id", how="left_anti")
    values = mine.select(F.explode(_values()).alias("link")).select("link.*").distinct()
    shared = theirs.select(F.explode(_values()).alias("link")).select("link.*")
    return values.join(shared, on=["kind", "value"], how="left_anti")


def _with_links(lake: Lake, utterances: DataFrame) -> DataFrame:
    """Add overlap_id, speaker_namespace, `contents` and `samples`: all that the bytes of the recording, and what was decoded
    of the utterance, ever were."""
    corpora = lake.read("corpora").select("corpus", "speaker_namespace")
    overlaps = lake.read("duplicates").select("utterance_id", "overlap_id")
    read = lake.read("content_hashes").groupBy("recording_id")
    contents = read.agg(F.collect_set("content_sha256").alias("contents"))
    heard = lake.read("signals_audio").groupBy("utterance_id")
    samples = heard.agg(F.collect_set("samples_sha256").alias("samples"))
    joined = utterances.join(F.broadcast(corpora), on="corpus", how="left")
    for known, by in ((overlaps, "utterance_id"), (samples, "utterance_id"), (contents, "recording_id")):
        joined = joined.join(known, on=by, how="left")
    return joined


def _values() -> Column:
    """Array of (kind, value) of all that may link a row to others, as `speechlake.splits.keys` hashes them."""

    def link(kind: Column, value: Column) -> Column:
        return F.struct(kind.alias("kind"), value.alias("value"))

    plain = {
        "speaker": F.col("speaker_id"),
        "recording": F.col("recording_id"),
        "duplicate": F.col("overlap_id"),
        "session": F.col("session_id"),
        **{name: link_value(name) for name in LINK_COLUMNS},
    }
    own = F.array(*(link(F.lit(kind), value) for kind, value in plain.items()))
    extras = F.transform(
        F.map_entries("extras"),
        lambda entry: link(
            F.concat(F.lit(EXTRAS), entry["key"]), F.concat("speaker_namespace", F.lit(":"), entry["value"])
        ),
    )

    def each_of(kind: str, values: str) -> Column:
        known = F.coalesce(values, F.array().cast("array<string>"))
        return F.transform(known, lambda value: link(F.lit(kind), value))

    heard = each_of("content", "contents"), each_of("samples", "samples")
    return F.filter(F.concat(own, extras, *heard), lambda each: each["value"].isNotNull())
