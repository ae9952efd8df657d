"""What a comparison of two models says besides error rates: small frames over `pairs`, and the worst rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechlake.splits.operators import by_language
from speechlake.splits.rules import HEARD
from speechlake.text.subtags import primary_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import Column, DataFrame

# Column of `texts`, of both sides: what it counts.
OF_BOTH = ("failed", "empty", "runaway", "truncated", "other_language")
# Column of `texts`: utterances, and how many of them …
OF_PAIRS = ("utterances", "unscored", "text_changed", "language_changed")


def texts(pairs: DataFrame) -> DataFrame:
    """Per language (`name`): utterances, and among them, per side where it says a_ and b_:

    `unscored` (a reference and two texts, and a score is missing), `text_changed`, `language_changed` (of
    detected languages), `failed` (an error code), `empty`, `runaway` (a loop, too compressible, or cut),
    `truncated`, `other_language` (detected another than declared).
    """
    from pyspark.sql import functions as F

    counted = {
        "unscored": _unscored(),
        "text_changed": F.col("a_text_sha256") != F.col("b_text_sha256"),
        "language_changed": F.col("a_language") != F.col("b_language"),
    }
    for side in "ab":
        counted |= {
            f"{side}_failed": F.col(f"{side}_error").isNotNull(),
            f"{side}_empty": F.col(f"{side}_text") == "",
            f"{side}_runaway": F.col(f"{side}_runaway"),
            f"{side}_truncated": F.col(f"{side}_truncated"),
            f"{side}_other_language": _heard_as("language") != _heard_as(f"{side}_language"),
        }
    return (
        pairs.groupBy("name")
        .agg(
            F.count("*").alias("utterances"),
            *(F.count_if(test).alias(name) for name, test in counted.items()),
        )
        .orderBy("name")
    )


def totals(rows: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Sums over the languages of `texts`."""
    names = [*OF_PAIRS, *(f"{side}_{name}" for name in OF_BOTH for side in "ab")]
    return {name: sum(row[name] for row in rows.values()) for name in names}


def regressions(pairs: DataFrame, n: int) -> DataFrame:
    """The `n` comparable utterances to which the new model added most errors, the worst first."""
    from pyspark.sql import functions as F

    worse = (_errors("b") - _errors("a")).alias("worse")
    spoken = F.col("a_hits") + F.col("a_substitutions") + F.col("a_deletions")
    columns = ["utterance_id", "name", "path", "start_ms", "reference", "a_text", "b_text"]
    return (
        pairs.where("comparable")
        .select(
            *columns,
            spoken.alias("units"),
            _errors("a").alias("a_errors"),
            _errors("b").alias("b_errors"),
            worse,
        )
        .where("worse > 0")
        .orderBy(F.col("worse").desc(), "utterance_id")
        .limit(n)
    )


def _errors(side: str) -> Column:
    from pyspark.sql import functions as F

    return F.col(f"{side}_substitutions") + F.col(f"{side}_deletions") + F.col(f"{side}_insertions")


def _unscored() -> Column:
    """A score should be there: score-transcripts was not run since."""
    from pyspark.sql import functions as F

    both = F.col("reference").isNotNull() & F.col("a_error").isNull() & F.col("b_error").isNull()
    return both & (F.col("a_normaliser").isNull() | F.col("b_normaliser").isNull())


def _heard_as(column: str) -> Column:
    """The primary subtag of a language, those taken together that no ear tells apart."""
    from pyspark.sql import functions as F

    primary = primary_of(F.col(column))
    return by_language(HEARD, primary, otherwise=primary)
