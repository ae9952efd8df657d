"""How often a rule is right, as reviewers heard it: an estimate for all that it removes, with its interval.

A review listens to more rows at the margin of a threshold, and to as many of a small language as of a large
one, so that a plain share of its answers would be wrong. Every answer tells its stratum (language, removed or
kept, at the margin or not) and how many utterances that holds. The share of bad rows of each stratum counts
with that number: the stratified estimator of Cochran 1977, "Sampling Techniques", section 5.3. Both parts of a
sample are used; the margin alone would make any rule look bad, the random part alone is only what is far from
the margin.

The interval is Wilson's (1927, JASA 22:209-212), which keeps within 0 and 1 and is honest for few answers
(Brown, Cai & DasGupta 2001), with the effective number of answers of weighted samples in place of their
number (Kish 1965, "Survey Sampling", section 11.7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechlake.feedback.spec import PREFIX
from speechlake.feedback.verdicts import ANSWERS, BAD, HEARD, KEPT, REMOVED, SKIPPED
from speechlake.views import located_utterances

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake

# Two-sided 95 %.
Z = 1.959963984540054


def has_reviews(lake: Lake) -> bool:
    """True where answers of a review were imported."""
    from pyspark.sql import functions as F

    names = lake.read("extractors").where(F.col("name").rlike(r"^imported\.[a-z0-9_]+\.verdict$"))
    return not names.limit(1).isEmpty()


def reviews(lake: Lake) -> DataFrame:
    """(rule, asked, utterance_id, verdict, decision, stratum, population): of each, the answer that was imported last.

    Of what is current of each import that has a verdict and a rule, whatever it is called, and of audio that is still
    what was heard; what was skipped, or was at last, is left out, and what is no answer: another verdict, or a population
    that is not above 0. `asked` is what the rule asked when the clip was drawn; null in answers of pages that did not tell.
    """
    from pyspark.sql import functions as F

    about = lake.read("extractors").where(F.col("name").startswith(PREFIX))
    current = F.max_by("fingerprint", "n").alias("fingerprint")
    by_name = lake.read("profiles").groupBy(F.col("extractor").alias("name"))
    when = by_name.agg(F.max("n").alias("n"), current)
    answers = about.join(when, on=["name", "fingerprint"], how="inner").select(
        "fingerprint",
        "n",
        F.split_part("name", F.lit("."), F.lit(2)).alias("import"),
        F.split_part("name", F.lit("."), F.lit(3)).alias("column"),
        *("version", "model_sha256"),
    )
    values = lake.read("signals_imported").join(F.broadcast(answers), on="fingerprint", how="inner")
    row = ["utterance_id", "content_sha256", "import", "version", "model_sha256"]
    wide = values.groupBy(*row).agg(
        F.max("n").alias("n"), *(_picked(column.name, column.type) for column in ANSWERS)
    )
    now = located_utterances(lake).select("utterance_id", "content_sha256")
    # Answers are few, of people: it is the lake's rows that stay where they are.
    wide = now.join(F.broadcast(wide), on=["utterance_id", "content_sha256"], how="inner")
    whole = F.col("rule").isNotNull() & F.col("decision").isNotNull()
    possible = F.col("population").isNull() | (F.col("population") > 0)
    told = wide.where(whole & possible & F.col("verdict").isin([*HEARD, SKIPPED]))
    parts = ("n", "model_sha256", "verdict", "decision", "stratum", "population")
    last = told.groupBy("rule", "asked", "utterance_id").agg(F.max(F.struct(*parts)).alias("last"))
    kept = [f"last.{name}" for name in ("verdict", "decision", "stratum", "population")]
    heard = last.where(F.col("last.verdict") != SKIPPED)
    return heard.select("rule", "asked", "utterance_id", *kept)


def rule_precision(reviews: DataFrame) -> DataFrame:
    """Per rule and what it asked: what reviewers found among what it removes and what it keeps.

    Answers about another limit are about other utterances, whose shares would say nothing of this one's.

    `reviewed`, `removed_heard` and `kept_heard` count answers. `precision` is the share of what the rule
    removes that is bad, `low` and `high` its 95 % interval; `kept_bad` is the share of what it keeps that is
    bad all the same. Null where nothing of that side was heard; strata that nobody heard have no part in them.
    """
    from pyspark.sql import functions as F

    bad = F.count_if(F.col("verdict").isin(list(BAD)))
    strata = reviews.groupBy("rule", "asked", "decision", "stratum").agg(
        F.count("*").alias("heard"), bad.alias("bad"), F.max("population").alias("population")
    )
    size = F.coalesce(F.col("population"), F.col("heard").cast("double"))
    sums = strata.withColumn("size", size).groupBy("rule", "asked")
    found = sums.agg(*_sums(REMOVED), *_sums(KEPT))
    low, high = wilson(_share(REMOVED), _effective(REMOVED))
    return found.select(
        "rule",
        "asked",
        (F.col("removed_heard") + F.col("kept_heard")).alias("reviewed"),
        "removed_heard",
        _share(REMOVED).alias("precision"),
        low.alias("low"),
        high.alias("high"),
        "kept_heard",
        _share(KEPT).alias("kept_bad"),
    ).orderBy("rule", "asked")


def wilson(share: Column, answers: Column) -> tuple[Column, Column]:
    """Both ends of the 95 % interval of a share that was found in `answers` answers."""
    from pyspark.sql import functions as F

    z2 = Z * Z
    middle = (share + z2 / (2 * answers)) / (1 + z2 / answers)
    half = Z / (1 + z2 / answers) * F.sqrt(share * (1 - share) / answers + z2 / (4 * answers * answers))
    # greatest and least pass over nulls: without answers there is no interval. Rounded, an end that is 1 is 1.
    some = answers.isNotNull()
    low, high = F.greatest(middle - half, F.lit(0.0)), F.least(middle + half, F.lit(1.0))
    return F.when(some, F.round(low, 12)), F.when(some, F.round(high, 12))


def _picked(name: str, kind: str | None) -> Column:
    from pyspark.sql import functions as F

    stored = F.col("number" if kind == "number" else "word")
    return F.max(F.when(F.col("column") == name, stored)).alias(name)


def _sums(decision: str) -> list[Column]:
    """Over the strata of one decision: answers, utterances they stand for, bad ones, and Kish's denominator."""
    from pyspark.sql import functions as F

    def total(value: Column) -> Column:
        return F.coalesce(F.sum(F.when(F.col("decision") == decision, value)), F.lit(0))

    size, heard = F.col("size"), F.col("heard")
    return [
        total(heard).alias(f"{decision}_heard"),
        total(size).alias(f"{decision}_size"),
        total(size * F.col("bad") / heard).alias(f"{decision}_bad"),
        total(size * size / heard).alias(f"{decision}_squares"),
    ]


def _share(decision: str) -> Column:
    from pyspark.sql import functions as F

    return F.try_divide(f"{decision}_bad", f"{decision}_size")


def _effective(decision: str) -> Column:
    """Answers that a plain sample would need to know as much; equal to their number where all weigh alike."""
    from pyspark.sql import functions as F

    size = F.col(f"{decision}_size")
    return F.try_divide(size * size, F.col(f"{decision}_squares"))
