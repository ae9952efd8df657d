"""What `utterances` should say after segmenting, brought about: a pure function of lines and `segmentations`.

Nothing here hears audio, so a run that was killed after its results were committed, a manifest that
dropped a recording and lists it again, or a line with another speaker are mended by running again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from speechlake.hold import Hold
from speechlake.manifests.listed import MANIFEST, SEGMENTED, is_listed, is_segment, is_segmented, segments_of
from speechlake.manifests.table_rows import changed_rows
from speechlake.schemas import UTTERANCES
from speechlake.sql_text import literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# What a segment has of the line that it was cut from.
CARRIED = (
    "corpus",
    "recording_id",
    "channel",
    "speaker_id",
    "session_id",
    "language_raw",
    "language",
    "extras",
    "manifest_uri",
    "byte_offset",
)


@dataclass(frozen=True)
class Renewed:
    """How many rows of `utterances` were added, and how many changed (retired, back again, another speaker)."""

    added: int
    changed: int


def renew(hold: Hold, sources: DataFrame, fingerprint: str) -> Renewed:
    """Add the segments of `sources` (see `plan.sources`) that are missing, mend those that differ, then mark and retire.

    Sources that are refused, or not heard as they are now, stay as they are. What an ingest says of a row
    meanwhile stands: of rows of manifests only the mark is set, and only where it is what `sources` says it was.
    """
    from pyspark.sql import functions as F

    known = hold.lake.read("utterances").where(F.col("corpus") == hold.scope)
    told = resolved(sources)
    # Asked by the append and twice by what is changed.
    wanted = segment_rows(told, fingerprint).persist()
    added = hold.append_missing("utterances", wanted, within=F.col("corpus") == hold.scope)
    cut = f"startswith(t.retired_in, {literal(SEGMENTED)})"
    listed = f"t.origin = {literal(MANIFEST)} AND (t.retired_in IS NULL OR {cut})"
    changed = hold.merge("utterances", mended(known, wanted), corpus=hold.scope, still=f"NOT ({listed})")
    marked = outdated(known, sources, told, wanted, fingerprint).unionByName(marks(told, fingerprint))
    changed += hold.merge(
        "utterances", marked, corpus=hold.scope, only="retired_in", still="t.retired_in <=> s.was"
    )
    wanted.unpersist()
    return Renewed(added, changed)


def resolved(sources: DataFrame) -> DataFrame:
    """The sources of which it is known whether they are cut (`cuts`): heard, or no longer candidates."""
    from pyspark.sql import functions as F

    known = sources.where("NOT refuse AND (found IS NOT NULL OR NOT long)")
    cuts = F.col("long") & F.col("found.error").isNull() & F.col("found.speech_s").isNotNull()
    return known.withColumn("cuts", F.coalesce(cuts, F.lit(False)))


def segment_rows(resolved: DataFrame, fingerprint: str) -> DataFrame:
    """Rows of `utterances` for all segments; one that several sources hold has the line of the lowest id."""
    from pyspark.sql import functions as F

    each = resolved.where("cuts").withColumn("segment", F.explode("found.segments"))
    row = F.struct(*CARRIED, "segment.start_ms", "segment.end_ms")
    once = each.groupBy(F.col("segment.utterance_id").alias("key")).agg(
        F.min_by(row, F.col("utterance_id")).alias("row")
    )
    own = {"utterance_id": F.col("key"), "origin": F.lit(fingerprint)}
    nothing = {
        column.name: F.lit(None).cast(column.type)
        for column in UTTERANCES.columns
        if column.name not in (*CARRIED, *own, "start_ms", "end_ms")
    }
    return once.select("key", "row.*").withColumns({**own, **nothing}).select(*UTTERANCES.column_names)


def mended(known: DataFrame, wanted: DataFrame) -> DataFrame:
    """Segments that are there with other values, or as an interval that a manifest let go of; one that a manifest lists
    itself is left to it."""
    return changed_rows(known.where(~is_listed()), wanted, UTTERANCES.column_names)


def outdated(
    known: DataFrame, sources: DataFrame, resolved: DataFrame, wanted: DataFrame, fingerprint: str
) -> DataFrame:
    """(utterance_id, was, retired_in) of current segments of resolved sources that are not wanted any more, and of
    those that lie in no source at all: an ingest let go of it while it was cut."""
    from pyspark.sql import functions as F

    current = known.where(is_segment())
    inside = segments_of(resolved, current).select("utterance_id").distinct()
    unwanted = current.join(inside, on="utterance_id", how="left_semi").join(
        wanted.select("utterance_id"), on="utterance_id", how="left_anti"
    )
    place = ("utterance_id", "recording_id", "channel", "start_ms", "end_ms")
    cut = known.where(is_listed() & is_segmented()).select(*place)
    every = cut.unionByName(sources.select(*place))
    sourceless = current.join(segments_of(every, current), on="utterance_id", how="left_anti")
    return unwanted.unionByName(sourceless).select(
        "utterance_id", F.col("retired_in").alias("was"), F.lit(SEGMENTED + fingerprint).alias("retired_in")
    )


def marks(resolved: DataFrame, fingerprint: str) -> DataFrame:
    """(utterance_id, was, retired_in) of sources whose mark changes: cut now, or whole again."""
    from pyspark.sql import functions as F

    mark = F.when(F.col("cuts"), F.lit(SEGMENTED + fingerprint))
    changed = resolved.where(~mark.eqNullSafe(F.col("retired_in")) & (F.col("origin") == MANIFEST))
    return changed.select("utterance_id", F.col("retired_in").alias("was"), mark.alias("retired_in"))
