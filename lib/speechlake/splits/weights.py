"""Sampling weights: languages or corpora balanced by a temperature, and corpora by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.splits.policy import Policy
from speechlake.splits.policy_balance import Weights
from speechlake.text.subtags import primary_of

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# (stratum, corpus) of train rows.
Cell = tuple[str, str]
# Places that are kept: far below what a sampler notices, far above what sums of doubles leave open. Of weights below a
# thousandth as many digits as these have, for none is 0.
PLACES = 6
_DIGITS = 4


def with_weights(decided: DataFrame, policy: Policy) -> DataFrame:
    """Add `weight`: of train rows as the policy says, 1 for all others. Reads the hours per stratum, so it runs Spark."""
    asked = policy.weights
    if asked is None:
        return decided.withColumn("weight", F.lit(1.0))
    trains = F.col("kept") & (F.col("side") == "train")
    cell = {"stratum": _stratum(asked), "corpus": F.col("corpus")}
    hours = decided.filter(trains).groupBy(*(column.alias(name) for name, column in cell.items()))
    rows = hours.agg(F.sum("ms").alias("ms")).collect()
    found = weights({(row.stratum, row.corpus): row.ms for row in rows}, asked)
    # As many rows as languages and corpora.
    table = decided.sparkSession.createDataFrame(
        [(*cell, weight) for cell, weight in found.items()],
        "stratum string, corpus string, cell_weight double",
    )
    joined = decided.withColumn("stratum", _stratum(asked)).join(
        F.broadcast(table), ["stratum", "corpus"], how="left"
    )
    weight = F.when(trains, F.col("cell_weight")).otherwise(F.lit(1.0))
    return joined.withColumn("weight", F.coalesce(weight, F.lit(1.0))).drop("stratum", "cell_weight")


def weights(ms: Mapping[Cell, int], asked: Weights) -> dict[Cell, float]:
    """The weight of the rows of each (stratum, corpus), from their milliseconds of train.

    Strata of h hours are wanted in shares p ~ h^T (temperature sampling of multilingual corpora; Conneau
    and Lample 2019, section 3.1, with alpha for T), so a row weighs p / h ~ h^(T - 1), times its corpus's
    factor, over the mean of that by hours.
    """
    strata: dict[str, int] = {}
    for (stratum, _), n in ms.items():
        strata[stratum] = strata.get(stratum, 0) + n
    raw = {
        (stratum, corpus): strata[stratum] ** (asked.temperature - 1) * asked.corpora.get(corpus, 1.0)
        for stratum, corpus in sorted(ms)
        if strata[stratum]
    }
    total = sum(ms[cell] for cell in raw)
    mean = sum(ms[cell] * weight for cell, weight in raw.items()) / total if total else 1.0
    return {cell: _rounded(weight / mean) for cell, weight in raw.items()}


def _rounded(weight: float) -> float:
    return round(weight, max(PLACES, _DIGITS - 1 - math.floor(math.log10(weight))))


def _stratum(asked: Weights) -> Column:
    parts = {"language": F.coalesce(primary_of(F.col("language")), F.lit("und")), "corpus": F.col("corpus")}
    return F.concat_ws("/", *(parts[part] for part in asked.per))
