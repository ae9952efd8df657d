"""The frame that a policy judges: one row per utterance with everything that is current of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from speechlake.config import near
from speechlake.duplicates.known import with_not_compared
from speechlake.errors import ConfigError
from speechlake.feedback.current import refuse_unknown, with_imported, without_unasked
from speechlake.joins import packed, unpacked
from speechlake.manifests.declared import several_speakers
from speechlake.signals import EXTRACTORS
from speechlake.signals.catalogue import Entries, Profile, current_fingerprint, using, ways
from speechlake.signals.plan import inputs_hash, with_content
from speechlake.splits.lists import with_listed
from speechlake.splits.memory import RANKS, rank_of, side_of
from speechlake.splits.policy import Policy
from speechlake.splits.policy_links import Decontaminate
from speechlake.splits.policy_rules import extractors_read
from speechlake.splits.text import TEXT_COLUMNS, choose_text, heard_texts, preferred_sources
from speechlake.views import extractor_inputs, located_utterances, shared_audio, with_score, with_signals

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake

TABLES_READ = (
    *("corpora", "manifests", "recordings", "content_hashes", "utterances", "transcripts", "extractors"),
    *("profiles", "calibrations", "signals_imported", *(f"signals_{name}" for name in EXTRACTORS)),
    *("attempts", "scores", "key_buckets", "duplicates", "assignments"),
)

# Remembered keys that the tasks of a machine may hold in hash tables, which do not spill: 600 MB.
HASHED = 4_000_000


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


def candidates(
    lake: Lake, policy: Policy, current: Profile | None = None, *, only: Collection[str] | None = None
) -> DataFrame:
    """All utterances, retired ones included, with signals, the policy's text, its score, cluster and corpus.

    `current` says which fingerprints measured, in place of what the policy and the lake's profile say. Of columns there
    are those that `only` names, where it does: then they are joined in structs, which is faster.
    """
    from pyspark.sql import functions as F

    refuse_unknown(lake, policy)
    declared = _declared(lake, "role", "licence", "speaker_namespace", "text_tags")
    frame = located_utterances(lake).join(F.broadcast(declared), on="corpus", how="inner")
    frame = with_listed(frame, policy)
    signals = _read_by(policy, profile_of(lake, policy) if current is None else current)
    if only is None:
        return _joined(frame, lake, policy, signals)
    asked = {*_JOINED_BY, *(name for extractor in EXTRACTORS for name in extractor_inputs(extractor))}
    joined = _joined(frame, lake, policy, signals, lambda frame: packed(frame, keep=asked, only=only))
    return unpacked(joined, only)


# What joins ask for of what is known by then, besides the inputs of extractors.
_JOINED_BY = (
    *("utterance_id", "corpus", "language", "content_sha256", "content_key", "listing_key"),
    *("audio_fingerprint", "audio_error", "text_source", "text_sha256"),
    *("whisper_fingerprint", "whisper_text_sha256", "whisper_decoded_language"),
)


def _joined(
    frame: DataFrame,
    lake: Lake,
    policy: Policy,
    signals: Profile,
    packing: Callable[[DataFrame], DataFrame] | None = None,
) -> DataFrame:
    """Utterances with all that is known of them; `packing` is done to the frame between joins."""
    from pyspark.sql import functions as F

    pack = packing or (lambda frame: frame)
    frame = with_signals(pack(frame), lake, signals, between=packing).drop("content_key")
    frame = pack(with_not_compared(pack(with_imported(frame, lake, policy)), lake))
    frame = pack(frame.join(_texts(lake, policy), on="utterance_id", how="left"))
    frame = pack(with_score(frame, lake, F.col("text_source"), F.col("text_sha256")))
    frame = frame.join(shared_audio(lake), on="utterance_id", how="left")
    return _with_evaluation_texts(frame, lake, evaluation_corpora(lake, policy.decontaminate))


def heard_voices(lake: Lake, policy: Policy) -> DataFrame:
    """(utterance_id, speaker_embedding) of all whose voice was measured, by what the policy or the profile names."""
    from pyspark.sql import functions as F

    said = profile_of(lake, policy).get("speaker", ())
    now = located_utterances(lake).select(
        "utterance_id",
        F.col("content_key").alias("content_sha256"),
        current_fingerprint(said, F.col("language")).alias("fingerprint"),
        inputs_hash(extractor_inputs("speaker")).alias("inputs_hash"),
    )
    key = ["utterance_id", "content_sha256", "fingerprint", "inputs_hash"]
    heard = lake.read("signals_speaker").where("embedding IS NOT NULL")
    return heard.join(now, on=key, how="left_semi").select(
        "utterance_id", F.col("embedding").alias("speaker_embedding")
    )


def _declared(lake: Lake, *columns: str) -> DataFrame:
    """(corpus, single_speaker, `columns`) of all corpora; a corpus of which several speakers are known is not single."""
    from pyspark.sql import functions as F

    corpora = lake.read("corpora").select("corpus", "single_speaker", *columns)
    said = [row.corpus for row in lake.few("corpora") if row.single_speaker]
    if not said:
        return corpora
    several = several_speakers(lake, said).select("corpus", F.lit(True).alias("has_several"))
    known = corpora.join(F.broadcast(several), on="corpus", how="left")
    single = F.col("single_speaker") & F.col("has_several").isNull()
    return known.withColumn("single_speaker", single).drop("has_several")


def require_named(lake: Lake, policy: Policy) -> None:
    """UsageError where something that the policy names is not here: a model that measured nothing, or in several ways,
    none of them current; a value that was never imported, or as another type; an evaluation corpus."""
    profile_of(lake, policy)
    preferred_sources(policy, _heard_by(lake))
    refuse_unknown(lake, policy)
    evaluation_corpora(lake, policy.decontaminate)


def _heard_by(lake: Lake) -> dict[str, Entries]:
    return {said: entries for said, (name, entries) in ways(lake).items() if name == "whisper"}


def _texts(lake: Lake, policy: Policy) -> DataFrame:
    """The text of each utterance that has one of those the policy prefers: see `choose_text`."""
    heard_by = _heard_by(lake)
    texts = lake.read("transcripts").where("retired_in IS NULL").select(*TEXT_COLUMNS)
    now = located_utterances(lake).withColumn("inputs_hash", inputs_hash(extractor_inputs("whisper")))
    heard = heard_texts(now, lake.read("signals_whisper"), policy, heard_by)
    return choose_text(texts if heard is None else texts.unionByName(heard), policy, heard_by)


def _read_by(policy: Policy, signals: Profile) -> Profile:
    """What a build looks at of a profile: each other extractor is a join of all utterances for nothing."""
    read = {name for rule in policy.rules() for name in extractors_read(rule)}
    always = {"audio", "whisper"} | ({"quality"} & {*policy.duplicates.keep})
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

    `content_sha256` is that of evaluation corpora alone, `listing:…` where nobody has read it, null where nobody can, as
    the file was replaced and is gone: of others the rows of a build say it.
    """
    from pyspark.sql import functions as F

    declared = _declared(lake, "role", "speaker_namespace", "text_tags")
    linked = lake.read("utterances").join(F.broadcast(declared), on="corpus", how="inner")
    heeded = evaluation_corpora(lake, decontaminate or Decontaminate())
    held = lake.read("recordings").where(F.col("corpus").isin(heeded))
    read = with_content(held, lake.read("content_hashes"))
    lost = (F.col("state") == "missing") & F.col("content_sha256").startswith("listing:")
    content = read.select("recording_id", F.when(~lost, F.col("content_sha256")).alias("content_sha256"))
    known = linked.join(content, on="recording_id", how="left")
    return _with_evaluation_texts(known.join(shared_audio(lake), on="utterance_id", how="left"), lake, heeded)


def heard_samples(lake: Lake) -> DataFrame:
    """(utterance_id, content_sha256, samples_sha256) of all that was decoded, for the gate."""
    read = lake.read("signals_audio").where("samples_sha256 IS NOT NULL")
    return read.select("utterance_id", "content_sha256", "samples_sha256")


def said_assignments(lake: Lake, scheme: str) -> DataFrame:
    """(link_key, side, order) of a scheme: what each published build said.

    Where several said something of a key, as of two that ran at once, the lowest order counts: of the build that was
    published first, the highest side.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    published = lake.read("releases").groupBy("build_id").agg(F.min("published_at").alias("published_at"))
    # As many rows as releases.
    place = F.row_number().over(Window.orderBy("published_at", "build_id"))
    builds = published.select("build_id", place.alias("place"))
    rows = lake.read("assignments").where(F.col("scheme") == scheme)
    order = F.col("place") * len(RANKS) + len(RANKS) - rank_of(F.col("side"))
    said = rows.join(F.broadcast(builds), on="build_id", how="inner")
    return said.select("link_key", "side", order.alias("order"))


def published_assignments(lake: Lake, scheme: str) -> DataFrame:
    """(link_key, side) of a scheme, one row per key: what the build said that was published first.

    Marked to be joined by hash tables where these are small. Keys of 32 letters, of which rows share the first eight
    with each other or with nobody, are slow to sort: those of a million utterances met 2 million remembered ones in
    5.4 s so, and in 7.5 sorted.
    """
    from pyspark.sql import functions as F

    # The number says which build it was, and after that which side: the lowest of numbers is found without sorting all
    # keys.
    first = said_assignments(lake, scheme).groupBy("link_key").agg(F.min("order").alias("first"))
    known = first.select("link_key", side_of(len(RANKS) - F.col("first") % len(RANKS)).alias("side"))
    # Delta counts from its log.
    return known.hint("shuffle_hash") if lake.read("assignments").count() <= HASHED else known
