"""What no current manifest lists any more: utterances, texts, recordings. Rows stay and are marked.

An utterance that another current manifest repeats is not retired: that manifest becomes its owner.
Sources that a run does not name are left alone. `labels` (manifest_uri, label) has a row per manifest that
changed, with `uri#generation` of its new version: a frame, because a tree has a hundred thousand manifests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechlake.manifests.listed import is_listed, is_segment, is_segmented, segments_of
from speechlake.schemas import RECORDINGS, TRANSCRIPTS, UTTERANCES

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake


def retired_utterances(lake: Lake, corpus: str, lines: DataFrame, labels: DataFrame) -> DataFrame:
    """Rows of `utterances` that the manifests in `labels` owned and no longer list.

    What was cut out of one of them goes with it, but for what a line lists by now.
    """
    from pyspark.sql import functions as F

    listed = lines.where("class != 'refused'").select("utterance_id")
    gone = _owned(lake, corpus, labels).join(listed, on="utterance_id", how="left_anti")
    heirs = _current_repeats(lake, corpus, labels)
    gone = gone.join(heirs, on="utterance_id", how="left")
    mark = F.when(F.col("heir").isNull(), F.col("label")).otherwise(F.col("retired_in"))
    retired = (
        gone.withColumn("retired_in", mark)
        .withColumn("manifest_uri", F.coalesce("heir.uri", "manifest_uri"))
        .withColumn("byte_offset", F.coalesce("heir.byte_offset", "byte_offset"))
        .select(*UTTERANCES.column_names)
    )
    if not lake.exists("segmentations"):
        return retired
    segments = _segments_of_retired(lake, corpus, retired)
    return retired.unionByName(segments.join(listed, on="utterance_id", how="left_anti"))


def _segments_of_retired(lake: Lake, corpus: str, retired: DataFrame) -> DataFrame:
    """Segments of what is retired, under the same mark; of several, the lowest."""
    from pyspark.sql import functions as F

    out = retired.where(F.col("retired_in").isNotNull() & ~is_segmented())
    segments = lake.read("utterances").where((F.col("corpus") == corpus) & is_segment())
    marks = out.select(F.col("utterance_id").alias("source_utterance_id"), F.col("retired_in").alias("mark"))
    marked = segments_of(out, segments).join(marks, on="source_utterance_id", how="inner")
    once = marked.groupBy("utterance_id").agg(F.min("mark").alias("mark"))
    with_mark = segments.join(once, on="utterance_id", how="inner").withColumn("retired_in", F.col("mark"))
    return with_mark.select(*UTTERANCES.column_names)


def retired_transcripts(
    lake: Lake, corpus: str, lines: DataFrame, said: DataFrame, labels: DataFrame
) -> DataFrame:
    """Rows of `transcripts` of utterances these manifests own whose text they no longer say.

    What they list no more, and another manifest repeats, keeps its texts: those that the other one says too.
    """
    from pyspark.sql import functions as F

    listed = lines.where("class = 'utterance'").select("utterance_id")
    heirs = _current_repeats(lake, corpus, labels).join(listed, on="utterance_id", how="left_anti")
    owned = _owned(lake, corpus, labels).join(heirs, on="utterance_id", how="left_anti")
    owner = owned.select("utterance_id", "label")
    # What a manifest says came from manifests; texts of aligners and imports are not its to retire.
    known = lake.read("transcripts").where((F.col("corpus") == corpus) & F.col("retired_in").isNull())
    known = known.where(said_by_manifest())
    unsaid = known.join(said, on=["utterance_id", "source", "text_sha256"], how="left_anti")
    return (
        unsaid.join(owner, on="utterance_id", how="inner")
        .withColumn("retired_in", F.col("label"))
        .select(*TRANSCRIPTS.column_names)
    )


def texts_of_retired(lake: Lake, corpus: str, said: DataFrame) -> DataFrame:
    """Current rows of `transcripts` of utterances that were retired, under the same mark, but those in `said`.

    They were marked together; one without the other is what a restored table holds.
    """
    from pyspark.sql import functions as F

    here = F.col("corpus") == corpus
    retired = lake.read("utterances").where(here & F.col("retired_in").isNotNull() & ~is_segmented())
    marks = retired.select("utterance_id", F.col("retired_in").alias("mark"))
    texts = lake.read("transcripts").where(here & F.col("retired_in").isNull() & said_by_manifest())
    texts = texts.join(said, on=["utterance_id", "source", "text_sha256"], how="left_anti")
    marked = texts.join(marks, on="utterance_id", how="inner").withColumn("retired_in", F.col("mark"))
    return marked.select(*TRANSCRIPTS.column_names)


def said_by_manifest() -> Column:
    """True for texts whose source is a manifest."""
    from pyspark.sql import functions as F

    return (F.col("source") == "manifest") | F.col("source").startswith("manifest:")


def retired_recordings(lake: Lake, corpus: str, labels: DataFrame) -> DataFrame:
    """Rows of `recordings` whose mark changes: retired with their last utterance, back with a new one.

    The mark is that of the last utterances; the least, where several manifests let go of them at once.
    """
    from pyspark.sql import functions as F

    here = F.col("corpus") == corpus
    listed = F.col("retired_in").isNull() | is_listed()
    now = labels.select(F.col("label").alias("retired_in"), F.lit(True).alias("now"))
    utterances = lake.read("utterances").where(here).join(F.broadcast(now), on="retired_in", how="left")
    gone = F.when(~listed, F.col("retired_in"))
    marks = utterances.groupBy("recording_id").agg(
        F.count_if(listed).alias("current"),
        F.coalesce(F.min(F.when(F.col("now"), gone)), F.min(gone)).alias("label"),
    )
    recordings = lake.read("recordings").where(here).join(marks, on="recording_id", how="inner")
    unused = F.col("current") == 0
    return (
        recordings.where(unused != F.col("retired_in").isNotNull())
        .withColumn("retired_in", F.when(unused, F.col("label")))
        .select(*RECORDINGS.column_names)
    )


def _owned(lake: Lake, corpus: str, labels: DataFrame) -> DataFrame:
    """Listed utterances of the manifests in `labels`, with their `label`."""
    from pyspark.sql import functions as F

    owned = (F.col("corpus") == corpus) & is_listed()
    return lake.read("utterances").where(owned).join(F.broadcast(labels), on="manifest_uri", how="inner")


def _current_repeats(lake: Lake, corpus: str, labels: DataFrame) -> DataFrame:
    """(utterance_id, heir): the first line of another manifest's newest accepted version that repeats it."""
    from pyspark.sql import functions as F

    mine = F.col("corpus") == corpus
    changed = labels.select(F.col("manifest_uri").alias("uri"))
    accepted = lake.read("manifests").where(mine & F.col("accepted")).join(changed, on="uri", how="left_anti")
    current = (
        accepted.groupBy("uri")
        .agg(F.max(F.struct("generation", "sha256", "parser_version")).alias("m"))
        .select("uri", "m.sha256", "m.parser_version")
    )
    version = ["uri", "sha256", "parser_version"]
    repeats = lake.read("repeats").where(mine).join(current, on=version, how="inner")
    return repeats.groupBy("utterance_id").agg(F.min(F.struct("uri", "byte_offset")).alias("heir"))
