"""From staged results to `content_hashes` and `segmentations`, whose rows say all that follows from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from speechlake.erasure.honoured import segments_left
from speechlake.hold import Hold
from speechlake.schemas import SEGMENTATIONS
from speechlake.signals.commit import content_rows
from speechlake.signals.failures import NOT_OF_THE_CLIP, is_broken
from speechlake.staging import Stage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass
class Heard:
    """Counts of what was heard, and what it cost. `broken` says what failed on nearly all recordings, and why."""

    sources: int = 0
    segmented: int = 0
    short: int = 0
    without_speech: int = 0
    errors: int = 0
    transient: int = 0
    refused_with_text: int = 0
    rows: int = 0
    audio_s: float = 0.0
    cpu_s: float = 0.0
    bytes_read: int = 0
    broken: tuple[str, ...] = ()

    def add(self, other: Heard) -> None:
        """Sum up."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def commit_heard(hold: Hold, stage: Stage) -> Heard:
    """Commit one staged chunk. Refused sources and transient failures leave no row: they are tried again."""
    from pyspark.sql import functions as F

    staged, here = hold.staging.read(stage), F.col("corpus") == hold.scope
    counted = _counted(staged)
    final = staged.where("NOT transient AND NOT refused")
    counted.rows += hold.append_missing(
        "content_hashes", content_rows(final, hold.scope), within=here, digest=stage.digest
    )
    # What is added to `utterances` is read from these rows.
    left = segments_left(hold.lake, final)
    rows = segmentation_rows(left, hold.scope, stage.note["fingerprint"], stage.note["run_id"])
    counted.rows += hold.append_missing("segmentations", rows, within=here, digest=stage.digest)
    return counted


def segmentation_rows(final: DataFrame, corpus: str, fingerprint: str, run_id: str) -> DataFrame:
    """Rows of `segmentations`."""
    from pyspark.sql import functions as F

    nothing = F.array().cast(SEGMENTATIONS.column("segments").type)
    return final.withColumns(
        {
            "corpus": F.lit(corpus),
            "fingerprint": F.lit(fingerprint),
            "run_id": F.lit(run_id),
            "segments": F.coalesce("segments", nothing),
            "utterances": F.coalesce(F.size("segments"), F.lit(0)).cast("bigint"),
        }
    ).select(*SEGMENTATIONS.column_names)


def _counted(staged: DataFrame) -> Heard:
    from pyspark.sql import functions as F

    kinds = {
        "segmented": "size(segments) > 0",
        "without_speech": "size(segments) = 0",
        "short": "error IS NULL AND NOT refused AND speech_s IS NULL",
        "errors": "error IS NOT NULL AND NOT transient",
        "transient": "transient",
        "refused_with_text": "refused",
    }
    costs = ("audio_s", "cpu_s", "bytes_read")
    row = staged.agg(
        F.count("*").alias("sources"),
        *[F.count_if(F.coalesce(F.expr(what), F.lit(False))).alias(name) for name, what in kinds.items()],
        *[F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in costs],
    ).collect()[0]
    heard = Heard(**row.asDict())
    return replace(heard, broken=_broken(staged)) if heard.transient else heard


def _broken(staged: DataFrame) -> tuple[str, ...]:
    """What failed on nearly all recordings of a chunk: the store of all that were opened, the model of all it heard."""
    from pyspark.sql import functions as F

    of_store = F.col("error") == "STORAGE"
    of_model = F.col("error").isin(*NOT_OF_THE_CLIP) & ~of_store
    found = []
    for failed, worked in ((of_store, "error IS NULL OR NOT transient"), (of_model, "speech_s IS NOT NULL")):
        failed = F.col("transient") & failed
        row: Any = staged.agg(
            F.count_distinct(F.when(failed, F.col("recording_id"))).alias("failures"),
            F.count_distinct(F.when(F.expr(worked), F.col("recording_id"))).alias("worked"),
            F.min(F.when(failed, F.concat_ws(", ", "error", "detail"))).alias("said"),
        ).collect()[0]
        if is_broken(row.failures, row.worked):
            found.append(f"segmenter: {row.said}")
    return tuple(found)
