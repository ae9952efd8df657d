"""The frame that a policy judges: one row per utterance with everything that is current of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from speechlake.config import near
from speechlake.duplicates.step import with_not_compared
from speechlake.errors import ConfigError
from speechlake.feedback.current import refuse_unknown, with_imported, without_unasked
from speechlake.signals import EXTRACTORS
from speechlake.signals.catalogue import Profile, models, using
from speechlake.signals.plan import with_content
from speechlake.splits.lists import with_listed
from speechlake.splits.policy import Policy
from speechlake.splits.policy_links import Decontaminate
from speechlake.splits.policy_rules import extractors_read
from speechlake.splits.text import asks_models, choose_text
from speechlake.views import all_transcripts, located_utterances, shared_audio, with_score, with_signals

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake

TABLES_READ = (
    *("corpora", "manifests", "recordings", "content_hashes", "utterances", "transcripts", "extractors"),
    *("profiles", "signals_imported", *(f"signals_{name}" for name in EXTRACTORS)),
    *("attempts", "scores", "key_buckets", "duplicates", "assignments"),
)


def profile_of(lake: Lake, policy: Policy) -> Profile:
    """Which fingerprints the policy reads: what it names under `use`, else the lake's profile.

    Of what was imported, only what its rules read.
    """
    use = {
        name: [(frozenset(each.languages) if each.languages else None, each.model) for each in uses]
        for name, uses in policy.use.items()
    }
    return without_unasked(using(lake, use), policy)


def english_only(lake: Lake) -> list[str]:
    """Fingerprints of models that know English alone, by the convention of Whisper's names."""
    rows = lake.few("extractors")
    return sorted(row.fingerprint for row in rows if row.model_id and row.model_id.endswith(".en"))


def candidates(lake: Lake, policy: Policy, current: Profile | None = None) -> DataFrame:
    """All utterances, retired ones included, with signals, the policy's text, its score, cluster and corpus.

    `current` says which fingerprints measured, in place of what the policy and the lake's profile say.
    """
    from pyspark.sql import functions as F

    refuse_unknown(lake, policy)
    declared = ("single_speaker", "role", "licence", "speaker_namespace", "text_tags")
    corpora = lake.read("corpora").select("corpus", *declared)
    frame = located_utterances(lake).join(F.broadcast(corpora), on="corpus", how="inner")
    frame = with_listed(frame, policy)
    signals = profile_of(lake, policy) if current is None else current
    frame = with_signals(frame, lake, _read_by(policy, signals)).drop("content_key")
    frame = with_not_compared(with_imported(frame, lake, policy), lake)
    heard = {model: fingerprint for model, (name, fingerprint) in models(lake).items() if name == "whisper"}
    texts = all_transcripts(lake) if asks_models(policy, heard) else lake.read("transcripts")
    chosen = choose_text(texts.where("retired_in IS NULL"), policy, heard)
    frame = frame.join(chosen, on="utterance_id", how="left")
    frame = with_score(frame, lake, F.col("text_source"), F.col("text_sha256"))
    frame = frame.join(shared_audio(lake), on="utterance_id", how="left")
    return _with_evaluation_texts(frame, lake, evaluation_corpora(lake, policy.decontaminate))


def _read_by(policy: Policy, signals: Profile) -> Profile:
    """What a build looks at of a profile: each other extractor is a join of all utterances for nothing."""
    read = {name for rule in policy.rules() for name in extractors_read(rule)}
    always = {"audio", "whisper", "speaker"} | ({"quality"} & {*policy.duplicates.keep})
    return {name: said for name, said in signals.items() if name in read | always}


def evaluation_corpora(lake: Lake, decontaminate: Decontaminate) -> list[str]:
    """Names of the evaluation corpora that keep train clean; ConfigError for a name in the policy that is none."""
    names = sorted(row.corpus for row in lake.few("corpora") if row.role == "evaluation")
    for name in decontaminate.corpora or ():
        if name not in names:
            raise ConfigError(
                f"decontaminate.corpora names {name!r}, which is no evaluation corpus of {lake.root}",
                hint=near(name, names) if names else "No corpus here has the role 'evaluation'.",
            )
    return names if decontaminate.corpora is None else sorted(decontaminate.corpora)


def _with_evaluation_texts(utterances: DataFrame, lake: Lake, corpora: Sequence[str]) -> DataFrame:
    """Add `evaluation_texts`: all that people wrote of rows of `corpora`, whatever text a policy prefers."""
    from pyspark.sql import functions as F

    if not corpora:
        return utterances.withColumn("evaluation_texts", F.lit(None).cast("array<string>"))
    written = F.col("retired_in").isNull() & (F.col("kind") != "machine")
    texts = lake.read("transcripts").where(F.col("corpus").isin(list(corpora)) & written)
    each = texts.groupBy("utterance_id").agg(F.array_sort(F.collect_set("text")).alias("evaluation_texts"))
    return utterances.join(each, on="utterance_id", how="left")


def links(lake: Lake, decontaminate: Decontaminate | None = None) -> DataFrame:
    """What the gate looks at: all that may link an utterance to others, read from the tables anew.

    `content_sha256` is that of evaluation corpora alone, `listing:…` where nobody has read it: of others the rows of
    a build say it.
    """
    from pyspark.sql import functions as F

    declared = ("single_speaker", "role", "speaker_namespace", "text_tags")
    corpora = lake.read("corpora").select("corpus", *declared)
    linked = lake.read("utterances").join(F.broadcast(corpora), on="corpus", how="inner")
    heeded = evaluation_corpora(lake, decontaminate or Decontaminate())
    held = lake.read("recordings").where(F.col("corpus").isin(heeded))
    content = with_content(held, lake.read("content_hashes")).select("recording_id", "content_sha256")
    known = linked.join(content, on="recording_id", how="left")
    return _with_evaluation_texts(known.join(shared_audio(lake), on="utterance_id", how="left"), lake, heeded)


def heard_samples(lake: Lake) -> DataFrame:
    """(utterance_id, content_sha256, samples_sha256) of all that was decoded, for the gate."""
    read = lake.read("signals_audio").where("samples_sha256 IS NOT NULL")
    return read.select("utterance_id", "content_sha256", "samples_sha256")


def published_assignments(lake: Lake, scheme: str) -> DataFrame:
    """(link_key, side) of a scheme, one row per key: what the build said that was published first."""
    from pyspark.sql import functions as F

    published = lake.read("releases").groupBy("build_id").agg(F.min("published_at").alias("published_at"))
    rows = lake.read("assignments").where(F.col("scheme") == scheme)
    first = F.min(F.struct("published_at", "build_id", "side")).alias("first")
    counting = rows.join(F.broadcast(published), on="build_id", how="inner")
    return counting.groupBy("link_key").agg(first).select("link_key", "first.side")
