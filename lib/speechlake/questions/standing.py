"""How far every corpus is measured, by the plan's own notion of what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from speechlake.errors import UsageError
from speechlake.questions.cost import extraction_runs
from speechlake.questions.manifests import newest_manifest_versions
from speechlake.signals import DEFAULT_EXTRACTORS, EXTRACTORS
from speechlake.signals.catalogue import profile
from speechlake.signals.choice import limits_of
from speechlake.signals.extractor import Identity
from speechlake.signals.plan import FAILED, LACKING, MEASURED, SPENT, Wanted, inputs_hash, with_states

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake


@dataclass(frozen=True)
class Filed(Identity):
    """An identity by the fingerprint that the lake knows it by: nothing is opened or computed for it."""

    filed_under: str = ""

    @property
    def fingerprint(self) -> str:
        """As in `profiles`."""
        return self.filed_under


def current_extractors(lake: Lake, named: Sequence[str] | None = None) -> list[Wanted]:
    """What the profile names, and what runs by default and never ran: each as the plan wants it.

    Needs no model on this machine. `named` picks extractors; UsageError for a name that is none.
    """
    current = profile(lake)
    for name in named or ():
        if name not in EXTRACTORS:
            raise UsageError(f"there is no extractor {name!r}", hint=f"Extractors: {', '.join(EXTRACTORS)}.")
    found = []
    for name in EXTRACTORS:
        entries = limits_of(current.get(name, ()))
        if name not in (named or (*DEFAULT_EXTRACTORS, *current)):
            continue
        for fingerprint, limits in (entries or {f"no_{name}": {}}).items():
            identity = Filed(name, "", filed_under=fingerprint)
            found.append(Wanted(EXTRACTORS[name](), identity, **limits))
    return found


def standing(lake: Lake, corpora: Sequence[str], wanted: Sequence[Wanted]) -> DataFrame:
    """Per corpus, extractor and fingerprint: what the utterances of the corpus are to it, as counts.

    `utterances` that could be measured: `measured`; `failed` for good; `given_up` after the last attempt;
    `to_retry` after an earlier one; `stale`, measured under other content, inputs or another fingerprint;
    `missing`, never measured. What the plan would measure are the last three.
    """
    from pyspark.sql import functions as F

    each = F.explode(
        F.array(
            *(
                F.struct(
                    F.lit(w.name).alias("extractor"),
                    F.lit(w.fingerprint).alias("fingerprint"),
                    F.col(w.state).alias("state"),
                    inputs_hash(w.extractor.inputs).alias("inputs_hash"),
                )
                for w in wanted
            )
        )
    )
    told = ("corpus", "utterance_id", "listing_key")
    asked = with_states(lake, corpora, wanted).select(*told, each.alias("each"))
    asked = asked.select(*told, "each.*").where(F.col("state").isNotNull())
    here = F.col("corpus").isin(*corpora)
    tried = lake.read("attempts").where(here).withColumn("tried", F.lit(True))
    tried = tried.select("utterance_id", "fingerprint", "listing_key", "inputs_hash", "tried").distinct()
    asked = asked.join(_measured_ever(lake, here, wanted), on=["utterance_id", "extractor"], how="left")
    asked = asked.join(tried, on=["utterance_id", "fingerprint", "listing_key", "inputs_hash"], how="left")
    lacking = F.col("state") == LACKING
    again, before = F.col("tried").isNotNull(), F.col("before").isNotNull()
    return asked.groupBy("corpus", "extractor", "fingerprint").agg(
        F.count("*").alias("utterances"),
        F.count_if(F.col("state") == MEASURED).alias("measured"),
        F.count_if(F.col("state") == FAILED).alias("failed"),
        F.count_if(F.col("state") == SPENT).alias("given_up"),
        F.count_if(lacking & again).alias("to_retry"),
        F.count_if(lacking & ~again & before).alias("stale"),
        F.count_if(lacking & ~again & ~before).alias("missing"),
    )


def _measured_ever(lake: Lake, here: Column, wanted: Sequence[Wanted]) -> DataFrame:
    """(utterance_id, extractor, before) of every utterance with any row of an extractor, whatever it was filed under."""
    from pyspark.sql import functions as F

    frames = [
        lake.read(f"signals_{name}")
        .where(here)
        .select("utterance_id", F.lit(name).alias("extractor"), F.lit(True).alias("before"))
        .distinct()
        for name in dict.fromkeys(w.name for w in wanted)
    ]
    return reduce(lambda a, b: a.unionByName(b), frames)


def ingested(lake: Lake) -> DataFrame:
    """Per corpus of the lake: newest manifests, those refused, lines quarantined, recordings, missing ones, utterances.

    Retired recordings and utterances do not count.
    """
    from pyspark.sql import functions as F

    listed = F.col("retired_in").isNull()
    manifests = newest_manifest_versions(lake).groupBy("corpus")
    read = manifests.agg(
        F.count("*").alias("manifests"),
        F.count_if(~F.col("accepted")).alias("refused"),
        F.sum("quarantined").alias("quarantined"),
    )
    recordings = (
        lake.read("recordings")
        .where(listed)
        .groupBy("corpus")
        .agg(
            F.count("*").alias("recordings"),
            F.count_if(F.col("state") == "missing").alias("audio_missing"),
        )
    )
    utterances = lake.read("utterances").where(listed).groupBy("corpus")
    counted = utterances.agg(F.count("*").alias("utterances"))
    corpora = lake.read("corpora").select("corpus").join(read, on="corpus", how="full")
    joined = corpora.join(recordings, on="corpus", how="left").join(counted, on="corpus", how="left")
    return joined.fillna(0).orderBy("corpus")


def last_runs(lake: Lake) -> DataFrame:
    """Per scope: job and outcome of the run that ended last, and when it `ended`, as text in UTC."""
    from pyspark.sql import functions as F

    last = F.max(F.struct("finished_at", "run_id", "job", "outcome")).alias("last")
    # Formatted by Spark, whose time zone is UTC: a driver's own may be another.
    ended = F.date_format("last.finished_at", "yyyy-MM-dd HH:mm").alias("ended")
    return lake.read("runs").groupBy("scope").agg(last).select("scope", "last.job", "last.outcome", ended)


def cost_by_corpus(lake: Lake) -> DataFrame:
    """Per corpus that was measured: hours of audio, and device hours (of cores where no device was used)."""
    from pyspark.sql import functions as F

    return (
        extraction_runs(lake)
        .groupBy("corpus")
        .agg(
            (F.sum("audio_s") / 3600).alias("hours_measured"),
            (F.sum("charged_s") / 3600).alias("charged_hours"),
        )
    )
