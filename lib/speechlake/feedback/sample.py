"""Which utterances a review of a rule listens to: drawn by a salted hash, stratum by stratum.

Strata are language, what the rule said (removed or kept), and whether the value lies at the margin of the
threshold. They do not overlap and together hold every utterance that the rule decided, so that what is heard
in each, weighted by how many it stands for, estimates the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from speechlake.config import near
from speechlake.errors import UsageError
from speechlake.feedback.spec import sentence
from speechlake.feedback.verdicts import KEPT, REMOVED
from speechlake.splits.candidates import candidates, english_only
from speechlake.splits.judging import set_aside
from speechlake.splits.keys import id_of
from speechlake.splits.pins import pinned, taken, with_numbers
from speechlake.splits.rules import FAIL, PASS, with_verdicts
from speechlake.sql_text import literal
from speechlake.text.subtags import primary_of
from speechlake.views import main_transcript

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake
    from speechlake.splits.policy import Policy

MARGIN, RANDOM = "margin", "random"
# Values within 20 % of the threshold are at its margin; within 0.2 where the threshold is 0.
MARGIN_SHARE = 0.2
NO_LANGUAGE = "none"
# Of a value, as the page shows it and answers carry it.
VALUE_CHARACTERS = 200
STRATUM = ("stratum_language", "decision", "sample")


@dataclass(frozen=True)
class Stratum:
    """A part of what a rule decided, and how many utterances it has."""

    language: str
    decision: str
    sample: str
    population: int

    @property
    def name(self) -> str:
        """As answers name it: `en/removed/margin`."""
        return f"{self.language}/{self.decision}/{self.sample}"


def decided_by(lake: Lake, policy: Policy, rule: str) -> DataFrame:
    """The utterances that a rule of the policy passes or fails, as it answers now, in strata.

    Adds `decision`, `sample`, `stratum_language`, `value`, `threshold` and `asked`, what the whole rule asks.
    Rows for which the rule is not applicable, or has no measurement, are left out: nobody could tell whether it
    was right. UsageError for a rule that the policy does not have.
    """
    from pyspark.sql import functions as F

    names = [each.rule for each in policy.keep]
    if rule not in names:
        raise UsageError(f"policy {policy.name!r} has no rule {rule!r}", hint=sentence(near(rule, names)))
    everything = candidates(lake, policy)
    meant = with_numbers(policy, taken(everything, policy, pinned(lake, policy.splits.scheme)))
    rows = with_verdicts(everything.where(set_aside().isNull()), meant, english_only(lake))
    said = rows.withColumn("said", F.filter("verdicts", lambda v: v["rule"] == rule)[0])
    decided = said.where(F.col("said.verdict").isin(PASS, FAIL) & F.col("said.reason").isNull())
    decision = F.when(F.col("said.verdict") == FAIL, REMOVED).otherwise(KEPT)
    at_margin = F.coalesce(is_at_margin(F.col("said.value"), F.col("said.threshold")), F.lit(False))
    if policy.text is None:
        own = main_transcript(lake).select("utterance_id", F.col("text").alias("own_text"))
        decided = decided.join(own, on="utterance_id", how="left").withColumn("text", F.col("own_text"))
    return decided.withColumns(
        {
            "decision": decision,
            "sample": F.when(at_margin, MARGIN).otherwise(RANDOM),
            "stratum_language": F.coalesce(primary_of(F.col("language")), F.lit(NO_LANGUAGE)),
            # A text may be longer than an answer about it may be.
            "value": F.substring(F.col("said.value"), 1, VALUE_CHARACTERS),
            "threshold": F.col("said.threshold"),
            "asked": F.lit(policy.asked_by(rule)),
        }
    )


def is_at_margin(value: Column, threshold: Column) -> Column:
    """True where a value is within 20 % of a limit that its threshold names (`>= 0.3`, `<= 8`, `0.4 .. 30`).

    Both are texts, as verdicts hold them; null or false for thresholds that are no limits.
    """
    from pyspark.sql import functions as F

    number = r"-?[0-9][0-9.]*(?:e[-+]?[0-9]+)?"
    is_limit = threshold.rlike(rf"^(?:[<>]= {number}|{number} \.\. {number})$")
    limits = F.regexp_extract_all(threshold, F.lit(f"({number})"), F.lit(1))
    found = value.try_cast("double")

    def close(limit: Column) -> Column:
        width = F.when(limit.try_cast("double") == 0, 1.0).otherwise(F.abs(limit.try_cast("double")))
        return F.abs(found - limit.try_cast("double")) <= width * MARGIN_SHARE

    return F.when(is_limit, F.exists(limits, close)).otherwise(F.lit(False))


def strata_of(decided: DataFrame) -> list[Stratum]:
    """The strata that have utterances, with their number: four per language at most."""
    counted = decided.groupBy(*STRATUM).count().collect()
    return sorted(
        (Stratum(row.stratum_language, row.decision, row.sample, row["count"]) for row in counted),
        key=lambda stratum: stratum.name,
    )


def quotas(strata: list[Stratum], per_language: int) -> dict[Stratum, int]:
    """How many of each stratum are heard: as even as can be, what a small one lacks going to the others."""
    found: dict[Stratum, int] = {}
    for language in sorted({stratum.language for stratum in strata}):
        mine = sorted((s for s in strata if s.language == language), key=lambda s: (s.population, s.name))
        left = per_language
        for n, stratum in enumerate(mine):
            found[stratum] = min(stratum.population, left // (len(mine) - n))
            left -= found[stratum]
    return found


def drawn(decided: DataFrame, wanted: Mapping[Stratum, int], *, rule: str, seed: int) -> DataFrame:
    """The first of each stratum in the order of a hash of seed, rule and utterance, with `draw`, that hash.

    `turn`, 0 to 1, is how far down its stratum's part of the draw a row stands: by it the page takes turns among
    the strata, and cut anywhere holds as much of one as of another. The same rows for the same seed, whatever
    their order and partitions.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.window import Window

    hashed = decided.withColumn("draw", id_of(*map(literal, ("review", str(seed), rule)), "utterance_id"))
    order = Window.partitionBy(*STRATUM).orderBy("draw")
    most = max(wanted.values(), default=0)
    # A constant first: Spark then sorts only the best of each partition, not a language in one task.
    ranked = hashed.withColumn("rank", F.row_number().over(order)).where(F.col("rank") <= most)
    said = [(s.language, s.decision, s.sample, s.name, s.population, n) for s, n in wanted.items()]
    ddl = ", ".join(f"{name} string" for name in (*STRATUM, "stratum")) + ", population bigint, quota int"
    limits = decided.sparkSession.createDataFrame(said, ddl)
    joined = ranked.join(F.broadcast(limits), on=list(STRATUM), how="inner")
    chosen = joined.where(F.col("rank") <= F.col("quota"))
    return chosen.withColumn("turn", (F.col("rank") - 0.5) / F.col("quota")).drop("rank", "quota")


def sample(lake: Lake, policy: Policy, rule: str, *, per_language: int, seed: int) -> list[dict[str, Any]]:
    """The drawn utterances as plain rows, the strata taking turns."""
    decided = decided_by(lake, policy, rule).select(*SHOWN, *STRATUM).persist()
    try:
        strata = strata_of(decided)
        if not strata:
            raise UsageError(
                f"rule {rule!r} passes and fails nothing in {lake.root}: there is nothing to listen to",
                hint="`speechlake report` shows for how many rows it is not applicable.",
            )
        wanted = quotas(strata, per_language)
        rows = drawn(decided, wanted, rule=rule, seed=seed).orderBy("turn", "draw").collect()
    finally:
        decided.unpersist()
    return [row.asDict(recursive=True) for row in rows]


# What the page shows of an utterance, and where its audio lies.
SHOWN: tuple[str, ...] = (
    *("utterance_id", "corpus", "language", "source_id", "speaker_id", "audio_duration_s"),
    *("text", "whisper_text", "value", "threshold", "asked"),
    *("root", "path", "container", "byte_offset", "byte_length", "channel", "start_ms", "end_ms"),
    *("listing_key", "content_sha256"),
)
