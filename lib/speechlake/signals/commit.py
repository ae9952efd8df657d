"""From staged measurements to tables: content hashes, one signal table per extractor, attempts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from speechlake import watching
from speechlake.contracts import rows_of
from speechlake.hold import Hold
from speechlake.schemas import ATTEMPTS, CHUNKS, CONTENT_HASHES, TABLES
from speechlake.signals.failures import FEWEST_OF_BROKEN, NOT_OF_THE_CLIP, NOT_TRIED, is_broken
from speechlake.signals.plan import MAX_ATTEMPTS
from speechlake.signals.staged import COSTS
from speechlake.staging import Stage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


# A file that was listed and is not there now.
NOT_THERE = "MISSING"
# What attempts are counted by.
TRIED = ("utterance_id", "fingerprint", "listing_key", "inputs_hash")


@dataclass
class Measured:
    """Counts of what was committed, and what it cost. `spent`: those of `attempts` that were the last.

    `unconfirmed` counts utterances that failed in one worker only, of which nothing is written; `gone` counts utterances whose file is not there now; `broken` says what failed on nearly all clips, and why.
    """

    utterances: int = 0
    rows: int = 0
    errors: int = 0
    attempts: int = 0
    unconfirmed: int = 0
    spent: int = 0
    gone: int = 0
    audio_s: float = 0.0
    cpu_s: float = 0.0
    device_s: float = 0.0
    bytes_read: int = 0
    model_loads: int = 0
    broken: tuple[str, ...] = ()

    def add(self, other: Measured) -> None:
        """Sum up."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def add_beside(self, other: Measured) -> None:
        """Sum up what another phase of the run gave; the clips that both measured are the same ones."""
        same = {
            name: max(vars(self)[name], vars(other)[name]) for name in ("utterances", "errors", "audio_s")
        }
        self.add(other)
        vars(self).update(same)

    def counts(self) -> dict[str, Any]:
        """What is counted, by name."""
        return {name: value for name, value in vars(self).items() if name != "broken"}


@dataclass(frozen=True)
class _Answers:
    """What one column of a stage holds: rows that are final, those with values, failures that are not of the clip."""

    final: int
    measured: int
    failures: int
    said: str | None


def commit_measured(
    hold: Hold, stage: Stage, *, keep: str | None = None, earlier: DataFrame | None = None
) -> Measured:
    """Commit one staged chunk; the note says which column is of which extractor.

    A failure that may pass becomes an attempt only where `earlier` failures (utterance_id, fingerprint) hold it,
    those that another worker met. The rest are counted as unconfirmed and added to the Parquet folder `keep`, if
    given; nothing else is written of them, so that they are planned again.
    """
    from pyspark.sql import functions as F

    staged, columns = hold.staging.read(stage), dict(stage.note["extractors"])
    here = F.lit(hold.scope) == F.col("corpus")
    measured, answers = _counted(staged, list(columns))
    contents = content_rows(staged, hold.scope)
    measured.rows += hold.append_missing("content_hashes", contents, within=here, digest=stage.digest)
    for column, name in columns.items():
        rows = signal_rows(staged, column, name, hold.scope, stage.note["run_id"])
        measured.rows += hold.append_missing(
            f"signals_{name}", rows, within=here, digest=stage.digest, expected=answers[column].final
        )
    if measured.attempts:
        failed, known = failures(staged, list(columns)), hold.lake.read("attempts").where(here)
        if earlier is None:
            broken = [column for column in columns if _is_broken(staged, column, answers[column], known)]
            measured.broken = tuple(f"{columns[column]}: {answers[column].said}" for column in broken)
            confirmed, rest = failed.limit(0), failed
            measured.unconfirmed, measured.attempts = measured.attempts, 0
        else:
            confirmed, rest = _divided(failed, earlier)
            rows = attempt_rows(confirmed, known, hold.scope, stage.note["run_id"])
            hold.append_missing("attempts", rows, within=here, digest=stage.digest)
            measured.attempts = confirmed.select("utterance_id").distinct().count()
            measured.unconfirmed = rest.select("utterance_id").distinct().count()
            measured.spent = spent_now(confirmed, hold.lake.read("attempts").where(here))
        if keep is not None and measured.unconfirmed:
            rest.write.mode("append").parquet(keep)
    # A chunk that was committed before, and whose stage a kill left behind, was told of then.
    if hold.append_missing("chunks", chunk_row(hold, stage, measured), digest=stage.digest):
        watching.chunk_ended(hold.job, hold.scope, measured)
    return measured


def chunk_row(hold: Hold, stage: Stage, measured: Measured) -> DataFrame:
    """The row of `chunks` of a stage."""
    said = {
        **{name: value for name, value in measured.counts().items() if name in CHUNKS.column_names},
        "corpus": hold.scope,
        "run_id": stage.note["run_id"],
        "chunk": stage.note["chunk"],
        "fingerprints": stage.note["fingerprints"],
    }
    return rows_of(hold.lake.spark, CHUNKS, [said])


def content_rows(staged: DataFrame, corpus: str) -> DataFrame:
    """Rows of `content_hashes` learned while measuring."""
    from pyspark.sql import functions as F

    read = staged.where(~F.col("content_sha256").startswith("listing:") & F.col("size_bytes").isNotNull())
    # One content per recording and run: it was read once.
    once = read.groupBy("recording_id", "listing_key").agg(
        F.min("content_sha256").alias("content_sha256"), F.min("size_bytes").alias("size_bytes")
    )
    return once.withColumn("corpus", F.lit(corpus)).select(*CONTENT_HASHES.column_names)


def signal_rows(staged: DataFrame, column: str, name: str, corpus: str, run_id: str) -> DataFrame:
    """Rows of `signals_<name>` out of a staged column: measurements and permanent errors."""
    from pyspark.sql import functions as F

    final = staged.where(F.col(column).isNotNull() & ~F.col(f"{column}.transient"))
    flat = final.select("utterance_id", "content_sha256", f"{column}.*").drop("transient", "detail")
    return (
        flat.withColumn("corpus", F.lit(corpus))
        .withColumn("run_id", F.lit(run_id))
        .select(*TABLES[f"signals_{name}"].column_names)
    )


def failures(staged: DataFrame, columns: list[str]) -> DataFrame:
    """(utterance_id, fingerprint, listing_key, inputs_hash, code, detail) of a stage's transient errors."""
    from functools import reduce

    from pyspark.sql import functions as F

    # Files that have gone are no failure of measuring: the next listing says so.
    failed = [
        staged.where(F.col(f"{column}.transient") & (F.col(f"{column}.error") != NOT_THERE)).select(
            "utterance_id",
            "listing_key",
            *[f"{column}.{c}" for c in ("fingerprint", "inputs_hash", "detail")],
            F.col(f"{column}.error").alias("code"),
        )
        for column in columns
    ]
    return reduce(lambda a, b: a.unionByName(b), failed)


def _divided(failed: DataFrame, earlier: DataFrame) -> tuple[DataFrame, DataFrame]:
    """Failures that another worker met, too, and the others; what was not tried is among the others."""
    from pyspark.sql import functions as F

    pair = ["utterance_id", "fingerprint"]
    met = earlier.select(*pair).distinct().withColumn("met", F.lit(True))
    joined = failed.join(met, on=pair, how="left")
    is_confirmed = F.col("met").isNotNull() & (F.col("code") != NOT_TRIED)
    return joined.where(is_confirmed).drop("met"), joined.where(~is_confirmed).drop("met")


def attempt_rows(failed: DataFrame, known: DataFrame, corpus: str, run_id: str) -> DataFrame:
    """Rows of `attempts`: `failed` clips, numbered after those of earlier runs; none for a run that is there."""
    from pyspark.sql import functions as F

    earlier = known.groupBy(*TRIED).agg(
        F.max("n").alias("n"), F.count_if(F.col("run_id") == run_id).alias("here")
    )
    fresh = failed.join(earlier, on=list(TRIED), how="left").where(F.coalesce("here", F.lit(0)) == 0)
    numbered = fresh.withColumn("n", (F.coalesce("n", F.lit(0)) + 1).cast("int"))
    return (
        numbered.withColumn("corpus", F.lit(corpus))
        .withColumn("run_id", F.lit(run_id))
        .select(*ATTEMPTS.column_names)
    )


def spent_now(failed: DataFrame, attempts: DataFrame) -> int:
    """Utterances of `failed` of which nothing is tried again: each of their failures was the last allowed."""
    from pyspark.sql import functions as F

    last = attempts.where(F.col("n") >= MAX_ATTEMPTS).select(*TRIED, F.lit(True).alias("last"))
    told = failed.join(last, on=list(TRIED), how="left").groupBy("utterance_id")
    return told.agg(F.every(F.col("last").isNotNull()).alias("spent")).where("spent").count()


def _is_broken(staged: DataFrame, column: str, answers: _Answers, attempts: DataFrame) -> bool:
    """Whether `column` failed on nearly all that it was asked for, for what is not of the clips.

    Clips that have an attempt failed while others were measured: of a run that has only those left, all may fail.
    """
    from pyspark.sql import functions as F

    if not is_broken(answers.failures, answers.measured):
        return False
    failed = failures(staged, [column]).where(F.col("code").isin(*NOT_OF_THE_CLIP))
    new = failed.join(attempts, on=list(TRIED), how="left_anti")
    # One recording that takes all memory fails every clip of it.
    of = new.join(staged.select("utterance_id", "recording_id"), on="utterance_id", how="inner")
    return of.select("recording_id").distinct().count() >= FEWEST_OF_BROKEN


def _counted(staged: DataFrame, columns: list[str]) -> tuple[Measured, dict[str, _Answers]]:
    """Counts of a stage, and what each column holds."""
    from pyspark.sql import functions as F

    def with_any(condition: str) -> Any:
        """How many utterances have any column of which `condition` is true."""
        told = [f"coalesce({condition.replace('it.', f'{column}.')}, false)" for column in columns]
        return F.count_if(F.expr(" OR ".join(told)))

    def answers(column: str) -> Any:
        final = f"{column} IS NOT NULL AND NOT {column}.transient"
        failed = F.expr(f"{column}.transient") & F.col(f"{column}.error").isin(*NOT_OF_THE_CLIP)
        said = F.min(F.when(failed, F.concat_ws(", ", f"{column}.error", f"{column}.detail")))
        return F.struct(
            F.count_if(F.expr(final)).alias("final"),
            F.count_if(F.expr(f"{final} AND {column}.error IS NULL")).alias("measured"),
            F.count_if(failed).alias("failures"),
            said.alias("said"),
        ).alias(column)

    row: Any = staged.agg(
        F.count("*").alias("utterances"),
        with_any("it.error IS NOT NULL AND NOT it.transient").alias("errors"),
        with_any(f"it.transient AND it.error != '{NOT_THERE}'").alias("attempts"),
        with_any(f"it.transient AND it.error = '{NOT_THERE}'").alias("gone"),
        *[answers(column) for column in columns],
        *[F.coalesce(F.sum(f"cost.{name}"), F.lit(0)).alias(name) for name in COSTS],
    ).collect()[0]
    counts = Measured(**{name: row[name] for name in ("utterances", "errors", "attempts", "gone", *COSTS)})
    return counts, {column: _Answers(**row[column].asDict()) for column in columns}
