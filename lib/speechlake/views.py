"""Views: what is current of every utterance, in one row. Named as in SQL."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from speechlake.joins import with_matching
from speechlake.schemas import TABLES
from speechlake.signals.catalogue import Profile, current_fingerprint, profile
from speechlake.signals.plan import inputs_hash, with_content
from speechlake.splits.signals import derived_columns

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake

FILED = ("corpus", "utterance_id", "content_sha256", "fingerprint", "inputs_hash", "run_id")
OF_BUILDS = ("splits", "decisions", "assignments", "fixed_sets")
SCORE_COLUMNS = (
    "unit",
    *(
        f"{unit}_{kind}"
        for unit in ("word", "char")
        for kind in ("hits", "substitutions", "deletions", "insertions")
    ),
    "wer",
    "cer",
    "digits_differ",
)


def value_columns(extractor: str) -> list[str]:
    """The extractor's own columns, `error` included."""
    return [column.name for column in TABLES[f"signals_{extractor}"].columns if column.name not in FILED]


def extractor_inputs(extractor: str) -> tuple[str, ...]:
    """The per-utterance inputs that an extractor declares."""
    from speechlake.signals import EXTRACTORS

    return EXTRACTORS[extractor].inputs


def located_utterances(lake: Lake) -> DataFrame:
    """Every utterance, retired ones included, with its recording's place, state and current content.

    `content_sha256` is null where the bytes were never read; `content_key` is what signals are filed under.
    """
    from pyspark.sql import functions as F

    recordings = with_content(lake.read("recordings"), lake.read("content_hashes"))
    place = [
        "recording_id",
        "root",
        "path",
        "container",
        "member",
        "byte_offset",
        "byte_length",
        "listing_key",
        "state",
        "content_sha256",
    ]
    utterances = lake.read("utterances").drop("byte_offset")
    joined = utterances.join(recordings.select(*place), on="recording_id", how="left")
    known = F.when(~F.col("content_sha256").startswith("listing:"), F.col("content_sha256"))
    return (
        joined.withColumnRenamed("state", "recording_state")
        .withColumn("content_key", F.col("content_sha256"))
        .withColumn("content_sha256", known)
    )


def with_signals(
    utterances: DataFrame,
    lake: Lake,
    current: Profile,
    *,
    between: Callable[[DataFrame], DataFrame] | None = None,
) -> DataFrame:
    """Add `<extractor>_<column>` of every extractor, measured of the current content and inputs.

    Also `<extractor>_fingerprint` (null where there is no row) and `<extractor>_attempt_code` (the last
    transient failure where there is no row). Keeps every row. An extractor that `current` does not name has
    its columns too, all null, and costs no join. `between`, where it is given, is done to the frame after each
    extractor (`joins.packed`), and columns stand in no order.
    """
    from speechlake.signals import EXTRACTORS

    known = utterances.columns
    for name in EXTRACTORS:
        add = _with_signal if current.get(name) else _without_signal
        utterances = add(utterances, lake, name, current)
        utterances = utterances if between is None else between(utterances)
    if between is not None:
        return utterances
    # A join puts its key first; columns stand in one order, whatever has measured.
    return utterances.select(*known, *[name for name in utterances.columns if name not in known])


def _without_signal(utterances: DataFrame, lake: Lake, name: str, current: Profile) -> DataFrame:
    from pyspark.sql import functions as F

    table = TABLES[f"signals_{name}"]
    types = {f"{name}_fingerprint": "string"}
    types |= {f"{name}_{column}": table.column(column).type for column in value_columns(name)}
    types |= {f"{name}_attempt_code": "string"}
    return utterances.withColumns({column: F.lit(None).cast(kind) for column, kind in types.items()})


def _with_signal(utterances: DataFrame, lake: Lake, name: str, current: Profile) -> DataFrame:
    from pyspark.sql import functions as F

    wanted = {
        "wanted_fingerprint": current_fingerprint(current.get(name, ()), F.col("language")),
        "wanted_inputs": inputs_hash(extractor_inputs(name)),
    }
    found = lake.read(f"signals_{name}").select(
        "utterance_id",
        F.col("content_sha256").alias("content_key"),
        F.col("fingerprint").alias("wanted_fingerprint"),
        F.col("inputs_hash").alias("wanted_inputs"),
        F.col("fingerprint").alias(f"{name}_fingerprint"),
        *[F.col(column).alias(f"{name}_{column}") for column in value_columns(name)],
    )
    last = F.max(F.struct("n", "code")).alias("last")
    attempts = (
        lake.read("attempts").groupBy("utterance_id", "fingerprint", "listing_key", "inputs_hash").agg(last)
    )
    tried = attempts.select(
        "utterance_id",
        "listing_key",
        F.col("fingerprint").alias("wanted_fingerprint"),
        F.col("inputs_hash").alias("wanted_inputs"),
        F.col("last.code").alias(f"{name}_attempt_code"),
    )
    same = ("wanted_fingerprint", "wanted_inputs")
    joined = with_matching(utterances.withColumns(wanted), found, [*same, "content_key"])
    joined = with_matching(joined, tried, [*same, "listing_key"])
    code = F.when(F.col(f"{name}_fingerprint").isNull(), F.col(f"{name}_attempt_code"))
    return joined.withColumn(f"{name}_attempt_code", code).drop("wanted_fingerprint", "wanted_inputs")


def with_score(utterances: DataFrame, lake: Lake, source: Column, sha256: Column) -> DataFrame:
    """Add `score_<column>`: the current Whisper text against the reference (`source`, `sha256`). Keeps every row."""
    from pyspark.sql import functions as F

    from speechlake.text.score import normaliser_of, scoring_language

    scores = lake.read("scores").select(
        "utterance_id",
        *[
            F.col(name)
            for name in (
                "hypothesis_source",
                "hypothesis_sha256",
                "reference_source",
                "reference_sha256",
                "normaliser",
            )
        ],
        *[F.col(name).alias(f"score_{name}") for name in SCORE_COLUMNS],
    )
    wanted = {
        "hypothesis_source": F.concat(F.lit("whisper:"), "whisper_fingerprint"),
        "hypothesis_sha256": F.col("whisper_text_sha256"),
        "reference_source": source,
        "reference_sha256": sha256,
        "normaliser": normaliser_of(scoring_language()),
    }
    return with_matching(utterances.withColumns(wanted), scores, list(wanted)).drop(*wanted)


def all_transcripts(lake: Lake) -> DataFrame:
    """`transcripts` united with the texts of Whisper, whose source is `whisper:<fingerprint>`."""
    from pyspark.sql import functions as F

    heard = (
        lake.read("signals_whisper")
        .where("error IS NULL")
        .select(
            "corpus",
            "utterance_id",
            F.concat(F.lit("whisper:"), "fingerprint").alias("source"),
            "text_sha256",
            "text",
            F.lit("machine").alias("kind"),
            F.col("decoded_language").alias("language"),
            F.lit(None).cast("string").alias("retired_in"),
        )
    )
    # Two contents of one utterance may sound the same: one row per text, whatever it was heard in.
    once = heard.groupBy(*[name for name in heard.columns if name != "language"]).agg(
        F.min("language").alias("language")
    )
    return lake.read("transcripts").unionByName(once)


def main_transcript(lake: Lake) -> DataFrame:
    """(utterance_id, text_source, text_sha256, text): the manifest's own text, the lowest hash where several are current."""
    from pyspark.sql import functions as F

    current = lake.read("transcripts").where("source = 'manifest' AND retired_in IS NULL")
    best = current.groupBy("utterance_id").agg(F.min(F.struct("text_sha256", "source", "text")).alias("t"))
    return best.select(
        "utterance_id",
        F.col("t.source").alias("text_source"),
        F.col("t.text_sha256").alias("text_sha256"),
        F.col("t.text").alias("text"),
    )


def latest_decisions(lake: Lake) -> DataFrame:
    """(utterance_id, split, excluded_by) of the release published last; without rows when there is none."""
    from pyspark.sql import functions as F

    newest = (
        lake.read("releases").orderBy(F.col("published_at").desc(), "release").limit(1).select("build_id")
    )
    kept = (
        lake.read("splits")
        .join(newest, on="build_id", how="inner")
        .select("utterance_id", "split", F.lit(None).cast("string").alias("excluded_by"))
    )
    out = lake.read("decisions").join(newest, on="build_id", how="inner")
    return kept.unionByName(
        out.select(
            "utterance_id", F.lit(None).cast("string").alias("split"), F.col("rule").alias("excluded_by")
        )
    )


def shared_audio(lake: Lake) -> DataFrame:
    """(utterance_id, cluster_id, overlap_id, duplicate_kind) of the utterances that share audio with others."""
    from pyspark.sql import functions as F

    return lake.read("duplicates").select(
        "utterance_id", "cluster_id", "overlap_id", F.col("kind").alias("duplicate_kind")
    )


def utterances_now(lake: Lake) -> DataFrame:
    """Every utterance that is not retired, exactly one row, with all that is current of it."""
    from pyspark.sql import functions as F

    frame = located_utterances(lake).where("retired_in IS NULL").drop("retired_in")
    frame = with_signals(frame, lake, profile(lake)).drop("content_key")
    frame = frame.join(main_transcript(lake), on="utterance_id", how="left")
    frame = with_score(frame, lake, F.col("text_source"), F.col("text_sha256"))
    frame = frame.join(shared_audio(lake), on="utterance_id", how="left").join(
        latest_decisions(lake), on="utterance_id", how="left"
    )
    return frame.withColumns(derived_columns())


def published(lake: Lake, name: str) -> DataFrame:
    """Rows of one of `OF_BUILDS` that belong to a release."""
    from pyspark.sql import functions as F

    builds = F.broadcast(lake.read("releases").select("build_id"))
    return lake.read(name).join(builds, "build_id", how="left_semi").select(*TABLES[name].column_names)


def register_views(lake: Lake, query: str | None = None) -> list[str]:
    """Temporary views for SQL: every table, `all_transcripts`, `utterances_now`, `imported_now`; all their names.

    With a `query`, only those that it may mean, as opening a table takes time; all, if it names none of them.
    Of what builds wrote, the published: rows of a build that was refused, or killed, are nobody's.
    """
    from speechlake.feedback.current import imported_now

    made: dict[str, Callable[[Lake], DataFrame]] = {name: partial(_rows_of, name=name) for name in TABLES}
    made |= {
        "all_transcripts": all_transcripts,
        "utterances_now": utterances_now,
        "imported_now": imported_now,
    }
    named = [name for name in made if query is not None and name in query.lower()]
    for name in named or made:
        made[name](lake).createOrReplaceTempView(name)
    return list(made)


def _rows_of(lake: Lake, name: str) -> DataFrame:
    return published(lake, name) if name in OF_BUILDS else lake.read(name)
