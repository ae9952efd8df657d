"""The frame that a policy judges: one row per utterance with everything that is current of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechlake.feedback.current import refuse_unknown, with_imported, without_unasked
from speechlake.signals import EXTRACTORS
from speechlake.signals.catalogue import Profile, models, using
from speechlake.splits.policy import Policy
from speechlake.splits.text import choose_text
from speechlake.views import all_transcripts, located_utterances, with_score, with_signals

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake

TABLES_READ = (
    *("corpora", "manifests", "recordings", "content_hashes", "utterances", "transcripts", "extractors"),
    *("profiles", "signals_imported", *(f"signals_{name}" for name in EXTRACTORS)),
    *("attempts", "scores", "duplicates", "assignments"),
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
    from pyspark.sql import functions as F

    rows = lake.read("extractors").where(F.col("model_id").endswith(".en")).select("fingerprint").collect()
    return sorted(row.fingerprint for row in rows)


def candidates(lake: Lake, policy: Policy, current: Profile | None = None) -> DataFrame:
    """All utterances, retired ones included, with signals, the policy's text, its score, cluster and corpus.

    `current` says which fingerprints measured, in place of what the policy and the lake's profile say.
    """
    from pyspark.sql import functions as F

    refuse_unknown(lake, policy)
    corpora = lake.read("corpora").select("corpus", "single_speaker", "role", "licence", "text_tags")
    frame = located_utterances(lake).join(F.broadcast(corpora), on="corpus", how="inner")
    signals = profile_of(lake, policy) if current is None else current
    frame = with_signals(frame, lake, signals).drop("content_key")
    frame = with_imported(frame, lake, policy)
    heard = {model: fingerprint for model, (name, fingerprint) in models(lake).items() if name == "whisper"}
    texts = all_transcripts(lake).where("retired_in IS NULL")
    frame = frame.join(choose_text(texts, policy, heard), on="utterance_id", how="left")
    frame = with_score(frame, lake, F.col("text_source"), F.col("text_sha256"))
    clusters = lake.read("duplicates").select(
        "utterance_id", "cluster_id", "overlap_id", F.col("kind").alias("duplicate_kind")
    )
    return frame.join(clusters, on="utterance_id", how="left")


def links(lake: Lake) -> DataFrame:
    """What the gate looks at: speaker, recording and cluster of every utterance, read from the tables anew."""
    from pyspark.sql import functions as F

    corpora = lake.read("corpora").select("corpus", "single_speaker")
    clusters = lake.read("duplicates").select(
        "utterance_id", "cluster_id", "overlap_id", F.col("kind").alias("duplicate_kind")
    )
    utterances = lake.read("utterances").select("utterance_id", "corpus", "speaker_id", "recording_id")
    return utterances.join(F.broadcast(corpora), on="corpus", how="inner").join(
        clusters, on="utterance_id", how="left"
    )


def published_assignments(lake: Lake, scheme: str) -> DataFrame:
    """(link_key, side) of a scheme, one row per key: what the build said that was published first."""
    from pyspark.sql import functions as F

    published = lake.read("releases").groupBy("build_id").agg(F.min("published_at").alias("published_at"))
    rows = lake.read("assignments").where(F.col("scheme") == scheme)
    first = F.min(F.struct("published_at", "build_id", "side")).alias("first")
    counting = rows.join(F.broadcast(published), on="build_id", how="inner")
    return counting.groupBy("link_key").agg(first).select("link_key", "first.side")
