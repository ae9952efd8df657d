"""What is to be segmented: long utterances, and whole files that may be long, not heard yet as they are now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from speechlake.manifests.listed import is_listed, is_segmented
from speechlake.segments.segmenter import Segmenter
from speechlake.signals.plan import BYTES_PER_SECOND, PLACE, SLOTS, with_content

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake

READ = (*PLACE, "content_sha256")


def sources(lake: Lake, corpus: str, how: Segmenter, *, discard_text: bool) -> DataFrame:
    """Rows of `utterances` that are or were to be cut, with their recording's place, and what is known of them.

    `cut` says that it is cut now, `long` that its line makes it a candidate (a whole file may turn out to
    be short), `refuse` that a text stands against cutting it; `found` is its row of `segmentations` for
    the present content and this segmenter, null where there is none.
    """
    from pyspark.sql import functions as F

    here = F.col("corpus") == corpus
    whole = (F.col("start_ms") == 0) & F.col("end_ms").isNull()
    limit_ms = int(how.longer_than_s * 1000)
    long = whole | (F.coalesce("end_ms", F.lit(1 << 62)) - F.col("start_ms") > limit_ms)
    lines = lake.read("utterances").where(here & is_listed())
    lines = lines.withColumns({"cut": is_segmented(), "long": long}).where("cut OR long")
    recordings = with_content(
        lake.read("recordings").where(here), lake.read("content_hashes").where(here)
    ).select(*READ, "size_bytes", "state")
    renamed = {"byte_offset": "audio_offset"}
    joined = lines.join(recordings.withColumnsRenamed(renamed), on="recording_id", how="inner")
    said = lake.read("transcripts").where(here & F.col("retired_in").isNull())
    joined = joined.join(
        said.groupBy("utterance_id").agg(F.lit(True).alias("has_text")), on="utterance_id", how="left"
    )
    refuse = F.coalesce("has_text", F.lit(False)) & ~F.col("cut") & F.lit(not discard_text)
    return (
        joined.withColumn("refuse", refuse)
        .drop("has_text")
        .join(_found(lake, corpus, how), on=["utterance_id", "content_sha256"], how="left")
    )


def _found(lake: Lake, corpus: str, how: Segmenter) -> DataFrame:
    from pyspark.sql import functions as F

    mine = (F.col("corpus") == corpus) & (F.col("fingerprint") == how.identity().fingerprint)
    return (
        lake.read("segmentations")
        .where(mine)
        .select("utterance_id", "content_sha256", F.struct("speech_s", "segments", "error").alias("found"))
    )


def unheard(known: DataFrame) -> DataFrame:
    """One row per recording with those of its `sources` that are to be heard. Adds `slot` and `seconds`.

    Long intervals with a text are left out: nothing of them needs to be heard to refuse them.
    """
    from pyspark.sql import functions as F

    wanted = known.where("long AND found IS NULL AND state = 'present'").where(~is_refused_by_line())
    length = F.coalesce(
        (F.col("end_ms") - F.col("start_ms")) / 1000.0, F.col("size_bytes") / BYTES_PER_SECOND, F.lit(0.0)
    )
    one = F.struct("start_ms", "utterance_id", "end_ms", "channel", "refuse")
    place = [F.col("audio_offset").alias(name) if name == "byte_offset" else F.col(name) for name in READ]
    grouped = wanted.withColumn("one", one).withColumn("length", length).groupBy(*place)
    return grouped.agg(
        F.sort_array(F.collect_list("one")).alias("sources"), F.max("length").alias("seconds")
    ).withColumn("slot", F.pmod(F.xxhash64("recording_id"), F.lit(SLOTS)).cast("int"))


def is_refused_by_line() -> Column:
    """True for an interval with a text: it is known to be long."""
    from pyspark.sql import functions as F

    return F.col("refuse") & (F.col("end_ms").isNotNull() | (F.col("start_ms") > 0))


def dealt(recordings: DataFrame, tasks: int) -> DataFrame:
    """The recordings in up to `tasks` partitions: longest first, so that no long one waits for the last turn."""
    from pyspark.sql import functions as F
    from pyspark.sql.window import Window

    # Only places of recordings, of one chunk: ranking them in one task is cheap.
    rank = F.row_number().over(Window.orderBy(F.col("seconds").desc(), "recording_id")) - 1
    ranked = recordings.withColumn("turn", rank)
    spread = ranked.repartitionById(tasks, (F.col("turn") % tasks).cast("int"))
    return spread.sortWithinPartitions("turn").drop("turn")


def totals(plan: DataFrame) -> Any:
    """Recordings, sources and estimated audio seconds of a staged plan."""
    from pyspark.sql import functions as F

    return plan.agg(
        F.count("*").alias("recordings"),
        F.coalesce(F.sum(F.size("sources")), F.lit(0)).alias("sources"),
        F.coalesce(F.sum("seconds"), F.lit(0.0)).alias("seconds"),
    ).collect()[0]
