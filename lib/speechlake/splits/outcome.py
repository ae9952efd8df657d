"""What a build writes and reports, as projections and small aggregates of its decided rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.joins import FEW
from speechlake.schemas import DECISIONS, SPLITS
from speechlake.splits.assignment import stratum
from speechlake.splits.groups import BOILERPLATE
from speechlake.splits.keys import array_where, id_of, utterance_key
from speechlake.splits.memory import side_of
from speechlake.splits.policy import EVALUATION, SIDES, Policy
from speechlake.splits.policy_rules import extractors_read
from speechlake.splits.rules import FAIL, NOT_APPLICABLE, PASS, says
from speechlake.sql_text import literal
from speechlake.units import MS_PER_HOUR

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.checkpoints import Staged
    from speechlake.schemas import Table


def splits(decided: DataFrame, policy: Policy) -> DataFrame:
    """Kept rows in the columns of `splits`, without build_id."""
    nothing = F.lit(None).cast("string")
    own = {
        "split": F.col("side"),
        "duration_s": F.col("audio_duration_s"),
        "fingerprints": _fingerprints(policy),
        "text": F.col("form_text"),
        **({} if policy.text else dict.fromkeys(("text_source", "text_kind"), nothing)),
    }
    return _in_contract(decided.filter("kept"), SPLITS, own)


def decisions(decided: DataFrame) -> DataFrame:
    """Excluded rows in the columns of `decisions`, without build_id; a reason that is given twice is said once."""
    first = F.col("failures")[0]
    own = {
        "failed": F.array_distinct(F.col("failures.reason")),
        "rule": first["reason"],
        "value": first["value"],
        "threshold": first["threshold"],
        "duration_s": F.col("audio_duration_s"),
    }
    return _in_contract(decided.filter("NOT kept"), DECISIONS, own)


def assignments(decided: DataFrame, published: DataFrame, policy: Policy, staged: Staged) -> DataFrame:
    """(scheme, link_key, side) of every link of every kept row that has no published row, and of `_copies` of such rows.
    Runs Spark: where a corpus is cut again there are few or none, and only what was published of these is looked for."""
    keys_of_new = F.sum(F.when(F.expr(_NEW), F.size("link_keys")))
    new_keys, copies = decided.agg(keys_of_new, F.count_if(_gave_way())).collect()[0]
    # Where there is nothing, Spark is told so, and looks at no row again.
    rows = decided.filter(_NEW if new_keys else "false")
    each = rows.select(F.explode("link_keys").alias("link_key"), "side")
    more = _copies(decided if copies else decided.limit(0))
    new = each.unionByName(more.select(F.explode("keys").alias("link_key"), "side")).distinct()
    known = published.select("link_key")
    if (new_keys or 0) + _KEYS_OF_A_COPY * copies <= FEW:
        new = F.broadcast(staged("new keys", new))
        known = F.broadcast(known.join(new, "link_key", how="left_semi"))
    new = new.join(known, "link_key", how="left_anti")
    return new.select(F.lit(policy.splits.scheme).alias("scheme"), "link_key", "side")


_NEW = "kept AND new_keys"
_KEYS_OF_A_COPY = 2


def _shares_audio() -> Column:
    return F.col("overlap_id").isNotNull() & (F.col("duplicate_kind") != BOILERPLATE)


def _gave_way() -> Column:
    """True of rows that are not kept, share audio with others and have a side that nobody remembers."""
    out = F.expr("NOT kept AND side IS NOT NULL AND own IS NULL")
    return _shares_audio() & out & ~F.array_contains("failures.reason", "bridges_splits")


def _copies(decided: DataFrame) -> DataFrame:
    """(keys, side) of rows that are not kept and share audio with a row of their side that is: they are heard with it, and
    once that one is retired nobody would know. Their own key and their file's; others may not know better than they.

    What ties sides together stays unknown: remembered, it would evict what was published. So does what shares audio with
    a row that was published on another side, which may be kept no more.
    """
    out = decided.filter(_gave_way())
    published = decided.filter(_shares_audio() & F.col("own").isNotNull())
    sides = published.select("overlap_id", side_of(F.col("own")).alias("other")).distinct()
    apart = out.join(sides, "overlap_id", how="inner").filter("side != other").select("utterance_id")
    out = out.join(apart, "utterance_id", how="left_anti")
    heard = decided.filter(_shares_audio() & F.col("kept")).select("overlap_id", "side").distinct()
    keys = F.array(utterance_key(), id_of(literal("content"), "content_sha256"))
    return out.join(heard, ["overlap_id", "side"], how="left_semi").select(keys.alias("keys"), "side")


def tallied(decided: DataFrame) -> DataFrame:
    """Decided rows with what all summaries below tell apart, counted: `n` utterances of `ms` each row.

    They read this in place of every utterance. As a rule it has a few rows per speaker; where each row is judged
    otherwise, as many as there are.
    """
    told = (
        *("corpus", "language", "speaker_id", "single_speaker", "side", "kept"),
        *("set_aside", "decontaminates", "said", "alone"),
    )
    return decided.groupBy(*told).agg(F.count("*").alias("n"), F.sum("ms").alias("ms"))


def counts(tally: DataFrame) -> DataFrame:
    """Rows of `releases.counts`: corpus, language, split (null: excluded), utterances, hours, speakers."""
    split = F.when(F.col("kept"), F.col("side"))
    return (
        tally.groupBy("corpus", "language", split.alias("split"))
        .agg(_utterances().alias("utterances"), _hours(), F.count_distinct("speaker_id").alias("speakers"))
        .orderBy("corpus", "language", "split")
    )


def rules(tally: DataFrame, policy: Policy) -> DataFrame:
    """Rows of `releases.rules` in policy order, over the rows that are not set aside.

    `hours_alone` are the hours of rows that this rule excludes and nothing else does.
    """
    asked = tally.filter(F.col("set_aside").isNull())

    def of(what: str, condition: str) -> str:
        return f"coalesce(sum(CASE WHEN {condition} THEN {what} END), 0)"

    # One row of aggregates, and no row per rule of each row.
    each = []
    for n, rule in enumerate(policy.keep):
        told = literal(rule.rule)
        counted = (of("n", says(n, verdict)) for verdict in (PASS, FAIL, NOT_APPLICABLE))
        alone = f"{of('ms', f'alone = {told}')} / {MS_PER_HOUR}"
        each.append(f"struct({told}, {', '.join(counted)}, {alone})")
    found = F.expr(f"array({', '.join(each)})").cast(_RULES).alias("rules")
    return asked.agg(found).select(F.inline("rules"))


_RULES = "array<struct<rule:string,passed:bigint,failed:bigint,not_applicable:bigint,hours_alone:double>>"


def known_speakers(tally: DataFrame) -> DataFrame:
    """One row: `ratio`, the share of kept hours whose speaker is known; null when nothing is kept."""
    known = F.sum(F.when(F.col("speaker_id").isNotNull(), F.col("ms")).otherwise(0))
    return tally.filter("kept").agg(F.try_divide(known, F.sum("ms")).alias("ratio"))


def warnings(tally: DataFrame, policy: Policy) -> DataFrame:
    """(message): sides that a stratum lacks, `min_speakers` unmet, and where speaker links are off."""
    kept = tally.filter("kept").withColumn("stratum", stratum(policy))
    of_sides = [
        F.struct(_utterances(F.col("side") == side).alias("n"), _speakers(side).alias("speakers")).alias(side)
        for side in SIDES
    ]
    found = kept.groupBy("stratum").agg(*of_sides)
    said = F.array_compact(F.array(*(message for side in SIDES for message in _shortages(policy, side))))
    short = found.select(F.explode(said).alias("message"))
    return short.unionByName(_unlinked(kept)).unionByName(_unknown_corpora(tally, policy))


def _unknown_corpora(tally: DataFrame, policy: Policy) -> DataFrame:
    """Corpora that overrides and weights name and that hold nothing: a slip, or a corpus of another lake."""
    said = {name for override in policy.overrides for name in override.corpora or ()}
    said |= set(policy.weights.corpora) if policy.weights else set()
    names = tally.sparkSession.createDataFrame([(name,) for name in sorted(said)], "corpus string")
    lost = names.join(tally.select("corpus").distinct(), "corpus", how="left_anti")
    message = F.concat(F.lit("the policy names corpus '"), "corpus", F.lit("', which holds no utterance"))
    return lost.select(message.alias("message"))


def _shortages(policy: Policy, side: str) -> list[Column]:
    size = policy.splits.size(side) if side in EVALUATION else None
    if side in EVALUATION and size is None:
        return []
    of_stratum = F.concat(F.lit("of stratum '"), F.col("stratum"), F.lit("'"))
    n, speakers = F.col(f"{side}.n"), F.col(f"{side}.speakers")
    empty = F.when(n == 0, F.concat(F.lit(f"{side} has nothing "), of_stratum))
    if size is None or size.min_speakers is None:
        return [empty]
    asked = F.lit(f"; min_speakers asks for {size.min_speakers}")
    told = F.concat(
        F.lit(f"{side} has "), speakers.cast("string"), F.lit(" known speakers "), of_stratum, asked
    )
    return [empty, F.when((n > 0) & (speakers < size.min_speakers), told)]


def _unlinked(kept: DataFrame) -> DataFrame:
    """Corpora that evaluate and are declared to hold one speaker."""
    corpora = (
        kept.filter(F.col("single_speaker") & F.col("side").isin(list(EVALUATION)))
        .select("corpus")
        .distinct()
    )
    message = F.concat(
        F.lit("corpus '"), "corpus", F.lit("' is declared single_speaker: its one voice is on several sides")
    )
    return corpora.select(message.alias("message"))


def _speakers(side: str) -> Column:
    return F.count_distinct(F.when(F.col("side") == side, F.col("speaker_id")))


def _utterances(condition: Column | None = None) -> Column:
    counted = F.col("n") if condition is None else F.when(condition, F.col("n"))
    return F.coalesce(F.sum(counted), F.lit(0))


def _hours() -> Column:
    return (F.coalesce(F.sum("ms"), F.lit(0)) / MS_PER_HOUR).alias("hours")


def extractors_of(policy: Policy) -> list[str]:
    """Whose fingerprints a row of `splits` names: of the signals that the policy's rules read, and `audio`."""
    return sorted({"audio", *(name for rule in policy.rules() for name in extractors_read(rule))})


def _fingerprints(policy: Policy) -> Column:
    """Extractor -> fingerprint of what measured."""
    known = {name: F.col(f"{name}_fingerprint") for name in extractors_of(policy)}
    pairs = [
        (value.isNotNull(), F.struct(F.lit(name).alias("key"), value.alias("value")))
        for name, value in known.items()
    ]
    return F.map_from_entries(array_where(pairs, "array<struct<key:string,value:string>>"))


def _in_contract(rows: DataFrame, table: Table, own: dict[str, Column]) -> DataFrame:
    columns = [column for column in table.columns if column.name != "build_id"]
    return rows.select(*(own.get(c.name, F.col(c.name)).cast(c.type).alias(c.name) for c in columns))
