"""The rows of a source in one shape (`ROWS_DDL`), whatever it is; then each one bound to its utterance or refused.

Nothing is converted and nothing is dropped: every row is accepted, a repeat of an accepted one, or refused
with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from speechlake.feedback.json_values import EXACT_UP_TO, ROWS_DDL, VALUES_DDL, WORD_CHARACTERS, JsonValues
from speechlake.feedback.parquet_source import parquet_rows
from speechlake.feedback.source import JSON_LINES
from speechlake.feedback.spec import SPARK_TYPES, STORED, Import, Source
from speechlake.feedback.verdicts import ANSWERS, KEPT, NEEDED, QUESTION, REMOVED, VERDICTS
from speechlake.manifests.contract import Source as Lines

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

ACCEPTED, REPEAT, REFUSED = "accepted", "repeat", "refused"
# Why a row is refused that can be read; what cannot be read has the reasons of manifests.
REASONS: Mapping[str, str] = {
    "NO_ID": "The row names no utterance.",
    "UNKNOWN_UTTERANCE": "No utterance of the lake has the id, or the source_id in the corpus.",
    "AMBIGUOUS_ID": "Several utterances of the corpus have the source_id.",
    "OTHER_CORPUS": "The utterance belongs to another corpus than the one that is named, or the row to another than --corpus.",
    "CONTENT_UNKNOWN": "The audio was never read, so that nobody can say which content a value was made for.",
    "UNKNOWN_VERDICT": f"The verdict of a review is none of {', '.join(each.name for each in VERDICTS)}.",
    "INCOMPLETE_ANSWER": "The answer of a review lacks its verdict, its rule, or the decision: whether the rule removed or kept the clip.",
    "BAD_POPULATION": "The population that an answer of a review stands for is not above 0, or beyond 2^53.",
    "ERASED": "The utterance was erased on request; nothing of the row is kept.",
    "SEVERAL_QUESTIONS": "Answers about the utterance are about several rules, or limits of one: none is taken. Import each rule's answers under a name of their own.",
    "DUPLICATE": "Several rows say different things of the utterance: none is taken.",
}


def source_rows(spark: SparkSession, spec: Import, source: Source) -> DataFrame:
    """Every row of the source, columns `ROWS_DDL`; every column of `spec` has a type."""
    from pyspark.sql import functions as F

    if source.format == "jsonl":
        from speechlake.manifests.lines_source import read_lines

        lines = read_lines(spark, [Lines(uri, JSON_LINES, size) for uri, size in source.files])
        return lines.mapInArrow(JsonValues(spec).batches, ROWS_DDL)
    if source.format == "delta":
        frame = spark.read.format("delta").option("versionAsOf", str(source.version)).load(source.uri)
    else:
        frame = parquet_rows(spark, source.uri, [uri for uri, _ in source.files], source.schema)
    problem = _first_problem(spec)
    said = [_said(field, kind) for field, kind in _kinds(spec).items()]
    return frame.select(
        _named(spec.key).alias("given"),
        (_named("corpus") if "corpus" in frame.columns else F.lit(None)).cast("string").alias("corpus"),
        F.array_compact(F.array(*said)).cast(VALUES_DDL).alias("said"),
        F.lit(None).cast("string").alias("place"),
        problem["reason"].alias("reason"),
        problem["detail"].alias("detail"),
    )


def bound(rows: DataFrame, utterances: DataFrame, spec: Import) -> DataFrame:
    """Add `outcome` and, where accepted, the utterance; `reason` and `detail` say why a row is refused.

    `utterances` has utterance_id, corpus, source_id, language, retired and content_sha256 (null where the
    audio was never read). Adds utterance_id, content_sha256, language; `corpus` becomes that of the utterance.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.window import Window

    named = rows.withColumnRenamed("corpus", "corpus_given").withColumn(
        "corpus_said", F.coalesce(F.lit(spec.corpus), "corpus_given")
    )
    found = named.join(_known(utterances, spec), on=_on(spec), how="left")
    reason = _why_refused(spec)
    read = found.withColumn("detail", F.coalesce("detail", _detail(reason))).withColumn("reason", reason)
    marked = read.withColumns(
        {
            "values": F.to_json(F.array_sort("said")),
            "compared": _compared(spec),
            **{name: _word(name) if _is_review(spec) else F.lit(None) for name in QUESTION},
        }
    )
    # One group per utterance; refused rows are spread, whatever they lack, so that no group is large.
    alone = F.xxhash64("given", "place", "values").cast("string")
    alike = Window.partitionBy(F.when(F.col("reason").isNull(), F.col("utterance_id")).otherwise(alone))

    def differ(name: str) -> Column:
        return F.min(name).over(alike) != F.max(name).over(alike)

    # Null is like any other: answers of older pages do not tell what was asked.
    questions = reduce(or_, (F.coalesce(differ(name), F.lit(False)) for name in QUESTION))
    among_others = F.when(questions, "SEVERAL_QUESTIONS").when(differ("compared"), "DUPLICATE")
    first = F.row_number().over(alike.orderBy("values", F.col("place").asc_nulls_last()))
    numbered = marked.withColumns({"reason": F.coalesce("reason", among_others), "number": first})
    outcome = (
        F.when(F.col("reason").isNotNull(), REFUSED).when(F.col("number") > 1, REPEAT).otherwise(ACCEPTED)
    )
    return (
        numbered.withColumn("outcome", outcome)
        .withColumn("corpus", F.coalesce("corpus", "corpus_said"))
        .select(*BOUND)
    )


BOUND: Sequence[str] = (
    *("outcome", "reason", "detail", "given", "place", "said"),
    *("corpus", "utterance_id", "content_sha256", "language"),
)


def _known(utterances: DataFrame, spec: Import) -> DataFrame:
    """(key, …) of every utterance that a row may name; under a source_id, those that are not retired go first."""
    from pyspark.sql import functions as F

    columns = ("utterance_id", "corpus", "content_sha256", "language")
    if not spec.by_source_id:
        return utterances.select(F.col("utterance_id").alias("key"), *columns, F.lit(1).alias("several"))
    listed = utterances.where(F.col("source_id").isNotNull())
    best = F.min(F.struct("retired", *columns)).alias("u")
    n = F.greatest(F.count_if(~F.col("retired")), F.lit(1)).cast("int").alias("several")
    grouped = listed.groupBy(F.col("corpus").alias("key_corpus"), F.col("source_id").alias("key"))
    return grouped.agg(best, n).select("key_corpus", "key", *(f"u.{name}" for name in columns), "several")


def _on(spec: Import) -> Column:
    from pyspark.sql import functions as F

    same = F.col("given") == F.col("key")
    return same & (F.col("corpus_said") == F.col("key_corpus")) if spec.by_source_id else same


def _why_refused(spec: Import) -> Column:
    from pyspark.sql import functions as F

    names = [verdict.name for verdict in VERDICTS]
    checks = {
        "NO_ID": F.col("given").isNull() | (F.col("given") == ""),
        "UNKNOWN_UTTERANCE": F.col("utterance_id").isNull(),
        "OTHER_CORPUS": (F.col("corpus_said") != F.col("corpus"))
        | (F.col("corpus_given") != F.col("corpus_said")),
        "AMBIGUOUS_ID": F.col("several") > 1,
        "CONTENT_UNKNOWN": F.col("content_sha256").isNull() & F.lit(bool(spec.columns)),
    }
    if _is_review(spec):
        checks |= {
            "UNKNOWN_VERDICT": _is_said("verdict", lambda value: ~value["word"].isin(names)),
            "INCOMPLETE_ANSWER": reduce(or_, (_word(name).isNull() for name in NEEDED))
            | ~_word("decision").isin(REMOVED, KEPT),
            "BAD_POPULATION": _is_said(
                "population", lambda value: (value["number"] <= 0) | (value["number"] > EXACT_UP_TO)
            ),
        }
    return F.coalesce("reason", *(F.when(condition, F.lit(name)) for name, condition in checks.items()))


def _is_review(spec: Import) -> bool:
    return set(ANSWERS) <= set(spec.columns)


def _compared(spec: Import) -> Column:
    """What rows of one utterance must agree in: all that they say; of a review the verdict, whoever said it and when."""
    from pyspark.sql import functions as F

    return _word("verdict") if _is_review(spec) else F.to_json(F.array_sort("said"))


def _word(field: str) -> Column:
    """The word that a row says in a field; null where it says none."""
    from pyspark.sql import functions as F

    return F.try_element_at(F.filter("said", lambda value: value["field"] == field), F.lit(1))["word"]


def _is_said(field: str, wrong: Callable[[Column], Column]) -> Column:
    from pyspark.sql import functions as F

    return F.exists("said", lambda value: (value["field"] == field) & wrong(value))


def _detail(reason: Column) -> Column:
    from pyspark.sql import functions as F

    return F.coalesce(*(F.when(reason == name, F.lit(text)) for name, text in REASONS.items()))


def _kinds(spec: Import) -> dict[str, str]:
    kinds = {column.field: str(column.type) for column in spec.columns}
    return {field: kinds.get(field, "string") for field in spec.fields}


def _named(column: str) -> Column:
    from pyspark.sql import functions as F

    return F.col(f"`{column.replace('`', '``')}`")


def _said(field: str, kind: str) -> Column:
    """One value as a struct of `VALUES_DDL`; null for null."""
    from pyspark.sql import functions as F

    value = _named(field)
    stored = [
        (
            value.cast(SPARK_TYPES[kind]) if column == STORED[kind] else F.lit(None).cast(SPARK_TYPES[each])
        ).alias(column)
        for each, column in STORED.items()
    ]
    return F.when(value.isNotNull(), F.struct(F.lit(field).alias("field"), *stored))


def _first_problem(spec: Import) -> Column:
    """A struct (reason, detail) of the first value that cannot be taken; null fields where all can."""
    from pyspark.sql import functions as F

    found = [_problem(field, kind, is_text=field == spec.text) for field, kind in _kinds(spec).items()]
    none = F.struct(F.lit(None).cast("string").alias("reason"), F.lit(None).cast("string").alias("detail"))
    return F.coalesce(*found, none)


def _problem(field: str, kind: str, *, is_text: bool) -> Column:
    from pyspark.sql import functions as F

    def told(condition: Column, reason: str, detail: str) -> Column:
        return F.when(condition, F.struct(F.lit(reason).alias("reason"), F.lit(detail).alias("detail")))

    value = _named(field)
    if kind == "boolean":
        return F.lit(None)
    if kind == "number":
        number = value.cast("double")
        finite = ~F.isnan(number) & (F.abs(number) < float("inf"))
        # A double is what it is; of whole and decimal numbers not all are doubles.
        whole = F.abs(value.try_cast("decimal(38,0)"))
        inexact = F.typeof(value).rlike("^(bigint|decimal)") & (whole > EXACT_UP_TO)
        return F.coalesce(
            told(~finite, "BAD_NUMBER", f"{field} is not a finite number"),
            told(inexact, "BAD_NUMBER", f"{field} is beyond 2^53"),
        )
    control = told(value.rlike(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"), "CONTROL_CHARACTER", field)
    if is_text:
        return control
    too_long = f"{field} has more than {WORD_CHARACTERS} characters"
    return F.coalesce(control, told(F.length(value) > WORD_CHARACTERS, "TOO_LONG", too_long))


def counts(staged: DataFrame) -> dict[str, int]:
    """Rows by outcome, and refused ones by reason as `refused_<reason>`; one job over the stage."""
    from pyspark.sql import functions as F

    found = staged.groupBy("outcome", "reason").agg(
        F.count("*").alias("n"), F.sum(F.size("said")).alias("values")
    )
    rows = found.collect()
    total: dict[str, int] = dict.fromkeys(("rows", "accepted", "repeats", "refused", "values"), 0)
    names = {ACCEPTED: "accepted", REPEAT: "repeats", REFUSED: "refused"}
    for row in sorted(rows, key=lambda row: row.reason or ""):
        total["rows"] += row.n
        total[names[row.outcome]] += row.n
        if row.reason:
            total[f"refused_{row.reason.lower()}"] = row.n
        if row.outcome == ACCEPTED:
            total["values"] += row["values"]
    return total
