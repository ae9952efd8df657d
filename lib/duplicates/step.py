"""The step of `find-duplicates`: look up what is new, remember it, and say who shares audio now.

Pairs are committed first, then `duplicates`, then the buckets that led to them: of an utterance whose buckets are
there, the tables hold all that was found. Killed in between, the next run looks it up again, and finds the same
pairs, which are there by key. Buckets of what was retired or replaced are deleted before all else: nothing meets
them, so what comes back must be looked up anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from speechlake.checkpoints import Staged, checkpointed
from speechlake.duplicates.buckets import FILTERED_BELOW, bucket_filter, samples_expected
from speechlake.duplicates.clusters import duplicates, those_sharing
from speechlake.duplicates.sampling import SAMPLING_VERSION
from speechlake.duplicates.search import meetings, verified, who_met
from speechlake.joins import FEW, sent_if_few, with_matching
from speechlake.signals.catalogue import current_fingerprint, profile
from speechlake.signals.plan import MAX_ATTEMPTS
from speechlake.views import located_utterances, with_signals

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, Row

    from speechlake.hold import Hold
    from speechlake.lake import Lake

FILED = ("utterance_id", "content_sha256", "fingerprint")
# What a pair calls the same of its other utterance.
OTHER = {"utterance_id": "other_id", "content_sha256": "other_content_sha256"}
# Of clips with all that is current of them, half a kilobyte each, every task may hold fewer than of ids.
FEW_CLIPS = FEW // 2
# What is current of a clip and is not asked of those who met.
NOT_OF_PAIRS = ("audio_samples_sha256", "duration_s", "samples", "is_filed", "is_fresh")


@dataclass(frozen=True)
class Looked:
    """What one look-up found: utterances that were new, pairs, and samples in buckets too full to compare all."""

    looked_up: int = 0
    pairs: int = 0
    hot_samples: int = 0


def current_audio(lake: Lake) -> DataFrame:
    """One row per utterance that is not retired: identity, place, content, hash of samples, length.

    `fingerprint` says what made its keys and how they are sampled, null where there are none; `samples` about how many
    samples these give.
    """
    from pyspark.sql import functions as F

    utterances = located_utterances(lake).where("retired_in IS NULL")
    known = profile(lake)
    frame = with_signals(utterances, lake, {name: known.get(name, ()) for name in ("audio", "audio_keys")})
    usable = F.col("content_sha256").isNotNull() & (F.col("audio_keys_frames") > 0)
    return frame.select(
        *("corpus", "utterance_id", "recording_id", "channel", "start_ms", "end_ms", "content_sha256"),
        *("audio_samples_sha256", F.col("audio_duration_s").alias("duration_s")),
        F.when(usable, _version(F.col("audio_keys_fingerprint"))).alias("fingerprint"),
        samples_expected("audio_keys_frames").alias("samples"),
    )


def _version(fingerprint: Column) -> Column:
    from pyspark.sql import functions as F

    return F.concat(fingerprint, F.lit(f".{SAMPLING_VERSION}"))


def with_filed(lake: Lake, current: DataFrame) -> DataFrame:
    """Add `is_filed`, null or true: a look-up has met these keys."""
    from pyspark.sql import functions as F

    filed = lake.read("key_buckets").select(*FILED, F.lit(True).alias("is_filed"))
    return with_matching(current, filed, ("content_sha256", "fingerprint"))


def keys_of(lake: Lake, clips: DataFrame) -> DataFrame:
    """FILED, `keys` and `active` of those `clips` (FILED) that have keys. A clip's keys are a kilobyte: where clips are
    few and marked to be sent, those of all others are not shuffled for them."""
    return _keys(lake).join(clips.select(*FILED), on=[*FILED], how="left_semi")


def keys_of_most(lake: Lake, clips: DataFrame, fingerprint: str, count: int) -> DataFrame:
    """The same of `clips`, which are the `count` of this fingerprint that there are.

    Others that have keys of it were retired, or have other audio since. Mostly these are few, as two counts say, and
    the keys of all clips stay where they are.
    """
    from pyspark.sql import functions as F

    keys = _keys(lake).where(F.col("fingerprint") == fingerprint)
    gone = keys.count() - count
    if gone == 0:
        return keys
    if gone > FEW:
        return keys_of(lake, clips)
    others = keys.select(*FILED).join(clips.select(*FILED), on=[*FILED], how="left_anti")
    return keys.join(F.broadcast(others), on=[*FILED], how="left_anti")


def _keys(lake: Lake) -> DataFrame:
    from pyspark.sql import functions as F

    keys = lake.read("signals_audio_keys").where("frames > 0")
    made_by = _version(F.col("fingerprint")).alias("fingerprint")
    return keys.select("utterance_id", "content_sha256", made_by, "keys", "active")


def look_up(
    hold: Hold, current: DataFrame, written: Staged, digest: str, *, again: bool = False
) -> tuple[Looked, DataFrame]:
    """Let all keys that were not looked up yet, or all (`again`), meet all others, and commit the pairs.

    `current` is of `current_audio` and `with_filed`. The frame holds the rows of `key_buckets` of what was looked up,
    to be remembered once `duplicates` tells of the pairs.
    """
    from pyspark.sql import functions as F

    lake = hold.lake
    _forget(hold, current, digest)
    is_fresh = F.lit(True) if again else F.col("is_filed").isNull()
    keyed = current.where("fingerprint IS NOT NULL").withColumn("is_fresh", is_fresh)
    looked = pairs = hot = 0
    for row in _counted(keyed):
        mine = keyed.where(F.col("fingerprint") == row.fingerprint)
        met = written(f"met.{row.fingerprint}", _met(lake, mine, row))
        hot += met.agg(F.coalesce(F.sum("hot"), F.lit(0)).alias("n")).collect()[0].n
        clips = checkpointed("clips", who_met(met, mine.drop(*NOT_OF_PAIRS)))
        sent = sent_if_few(clips, FEW_CLIPS)
        found = verified(
            met, written(f"clips.{row.fingerprint}", keys_of(lake, sent).join(sent, on=[*FILED]))
        )
        pairs += hold.append_missing("audio_pairs", written(f"pairs.{row.fingerprint}", found), digest=digest)
        looked += row.fresh
    return Looked(looked, pairs, hot), keyed.where("is_fresh").select("corpus", *FILED)


def _counted(keyed: DataFrame) -> list[Row]:
    """Of each fingerprint that something new has: how many clips, how many are fresh, samples of these and of all."""
    from pyspark.sql import functions as F

    fresh = F.when(F.col("is_fresh"), F.col("samples"))
    counts = {
        "clips": F.count("*"),
        "fresh": F.count(fresh),
        "new_samples": F.coalesce(F.sum(fresh), F.lit(0)),
        "samples": F.sum("samples"),
    }
    found = keyed.groupBy("fingerprint").agg(*(each.alias(name) for name, each in counts.items()))
    return found.where("fresh > 0").orderBy("fingerprint").collect()


def _met(lake: Lake, clips: DataFrame, counts: Row) -> DataFrame:
    """Who met whom among `clips`, which are all of one fingerprint, with their `counts`."""
    from pyspark.sql import functions as F

    keys, wanted = keys_of_most(lake, clips, counts.fingerprint, counts.clips), None
    if counts.fresh == counts.clips:
        marked = keys.withColumn("is_fresh", F.lit(True))
    else:
        fresh = sent_if_few(clips.where("is_fresh").select(*FILED, "is_fresh"))
        marked = keys.join(fresh, on=[*FILED], how="left").fillna(False, ["is_fresh"])
        if counts.new_samples <= FILTERED_BELOW:
            wanted = bucket_filter(keys_of(lake, fresh))
    return meetings(marked, counts.new_samples, counts.samples - counts.new_samples, wanted)


def _forget(hold: Hold, current: DataFrame, digest: str) -> None:
    """Delete the buckets of what is current no more; mostly there are none, and two counts say so."""
    there = hold.lake.read("key_buckets")
    filed = current.where("is_filed")
    if there.count() > filed.count():
        gone = there.join(filed.select(*FILED), on=[*FILED], how="left_anti").select("corpus", *FILED)
        hold.merge("key_buckets", gone, corpus=None, digest=digest, delete=True)


def remember(hold: Hold, fresh: DataFrame, count: int, digest: str, *, again: bool) -> None:
    """Commit the `count` rows of `key_buckets` of `look_up`, which say that all is known that was found with them."""
    if count:
        hold.append_missing("key_buckets", fresh, digest=digest, fresh=not again, expected=count)


def keyed_now(lake: Lake, rows: DataFrame) -> DataFrame:
    """FILED of those `rows` (utterance_id, content_sha256, language) that have keys by the lake's profile."""
    return _named(lake, rows).join(_keyed(lake).where("samples"), on=[*FILED], how="left_semi")


def keyless(lake: Lake, rows: DataFrame) -> DataFrame:
    """FILED of those `rows` (as for `keyed_now`, and `at_hand`) that were decoded and lack keys that the profile names.

    Only what `extract-signals` would measure: not audio that is gone, nor what failed for the last time.
    """
    heard = lake.read("signals_audio").where("error IS NULL").select("utterance_id", "content_sha256")
    asked = _named(lake, rows.where("at_hand")).where("fingerprint IS NOT NULL")
    decoded = asked.join(heard, on=["utterance_id", "content_sha256"], how="left_semi")
    lacking = decoded.join(_keyed(lake), on=[*FILED], how="left_anti")
    return lacking.join(_spent(lake), on=["utterance_id", "fingerprint"], how="left_anti").select(*FILED)


def _spent(lake: Lake) -> DataFrame:
    """(utterance_id, fingerprint) of what failed for the last time. A file that was replaced since is tried again."""
    from pyspark.sql import functions as F

    tried = lake.read("attempts").where(F.col("n") >= MAX_ATTEMPTS)
    place = lake.read("utterances").select("utterance_id", "recording_id")
    now = lake.read("recordings").select("recording_id", "listing_key")
    still = tried.join(place, on="utterance_id", how="inner").join(
        now, on=["recording_id", "listing_key"], how="inner"
    )
    return still.select("utterance_id", _version(F.col("fingerprint")).alias("fingerprint"))


def _named(lake: Lake, rows: DataFrame) -> DataFrame:
    return rows.select("utterance_id", "content_sha256", _made_by(lake).alias("fingerprint"))


def _made_by(lake: Lake) -> Column:
    """The fingerprint that the keys of a row of this `language` have by the lake's profile; null where it has none."""
    from pyspark.sql import functions as F

    return _version(current_fingerprint(profile(lake).get("audio_keys", ()), F.col("language")))


def _keyed(lake: Lake) -> DataFrame:
    """(FILED, samples) of all keys that the lake's profile names for some language: those of former ones nobody looks up.

    `samples` is false where there is nothing to look up: silence, or audio that failed.
    """
    from pyspark.sql import functions as F

    named = sorted({fingerprint for _, fingerprint in profile(lake).get("audio_keys", ())})
    keys = lake.read("signals_audio_keys").where(F.col("fingerprint").isin(named))
    has = F.coalesce(F.col("frames") > 0, F.lit(False)).alias("samples")
    return keys.select(
        "utterance_id", "content_sha256", _version(F.col("fingerprint")).alias("fingerprint"), has
    )


def not_looked_up(lake: Lake, keyed: DataFrame) -> DataFrame:
    """Those of `keyed` (FILED) that no look-up has met yet: whose copies nobody knows."""
    return keyed.join(lake.read("key_buckets").select(*FILED), on=[*FILED], how="left_anti")


def with_not_compared(rows: DataFrame, lake: Lake) -> DataFrame:
    """Add `not_compared`: the row's audio was decoded, and by the lake's profile its keys are lacking, or no look-up
    has met them yet."""
    from pyspark.sql import functions as F

    if not profile(lake).get("audio_keys"):
        return rows.withColumn("not_compared", F.lit(False))
    keyed, met = _keyed(lake), lake.read("key_buckets").select(*FILED)
    known = (
        keyed.where("samples").join(met, on=[*FILED], how="left_semi").unionByName(keyed.where("NOT samples"))
    )
    named = rows.withColumn("fingerprint", _made_by(lake))
    joined = with_matching(
        named, known.withColumnRenamed("samples", "known"), ("content_sha256", "fingerprint")
    )
    lacking = F.col("fingerprint").isNotNull() & F.col("known").isNull()
    decoded = F.col("audio_fingerprint").isNotNull() & F.col("audio_error").isNull()
    return joined.withColumn("not_compared", lacking & decoded).drop("fingerprint", "known")


def copies_of(lake: Lake, keyed: DataFrame) -> DataFrame:
    """(utterance_id, other_id) of pairs of copies by their keys, both of which are among `keyed` (FILED)."""
    others = keyed.withColumnsRenamed(OTHER)
    near = lake.read("audio_pairs").where("kind = 'near'").select(*FILED, *OTHER.values())
    met = near.join(keyed, on=[*FILED], how="left_semi").join(
        others, on=[*OTHER.values(), "fingerprint"], how="left_semi"
    )
    return met.select("utterance_id", "other_id").distinct()


def current_duplicates(lake: Lake, current: DataFrame) -> DataFrame:
    """Rows of `duplicates` as they should be now."""
    pairs = lake.read("audio_pairs")
    here = those_sharing(current, pairs)
    ends = here.select(*FILED)
    both = pairs.join(ends, on=[*FILED], how="left_semi").join(
        ends.withColumnsRenamed(OTHER), on=[*OTHER.values(), "fingerprint"], how="left_semi"
    )
    return duplicates(here, checkpointed("pairs", both), lake.read("duplicates"))
