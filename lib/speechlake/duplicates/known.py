"""What is known of copies: which keys were looked up, which are lacking, and pairs among those that somebody asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechlake.duplicates.sampling import SAMPLING_VERSION
from speechlake.joins import with_matching
from speechlake.signals.catalogue import current_fingerprint, profile
from speechlake.signals.plan import MAX_ATTEMPTS

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake

FILED = ("utterance_id", "content_sha256", "fingerprint")
# What a pair calls the same of its other utterance.
OTHER = {"utterance_id": "other_id", "content_sha256": "other_content_sha256"}
# Ends the fingerprints of keys that are sampled so.
SAMPLED = f".{SAMPLING_VERSION}"


def as_sampled(fingerprint: Column) -> Column:
    """The fingerprint of what made keys, and how they are sampled: what `key_buckets` and `audio_pairs` call it."""
    from pyspark.sql import functions as F

    return F.concat(fingerprint, F.lit(SAMPLED))


def as_made(fingerprint: str) -> str:
    """What made the keys of such a fingerprint, as `signals_audio_keys` calls it."""
    return fingerprint.removesuffix(SAMPLED)


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
    return still.select("utterance_id", as_sampled(F.col("fingerprint")).alias("fingerprint"))


def _named(lake: Lake, rows: DataFrame) -> DataFrame:
    return rows.select("utterance_id", "content_sha256", _made_by(lake).alias("fingerprint"))


def _made_by(lake: Lake) -> Column:
    """The fingerprint that the keys of a row of this `language` have by the lake's profile; null where it has none."""
    from pyspark.sql import functions as F

    return as_sampled(current_fingerprint(profile(lake).get("audio_keys", ()), F.col("language")))


def _keyed(lake: Lake) -> DataFrame:
    """(FILED, samples) of all keys that the lake's profile names for some language: those of former ones nobody looks up.

    `samples` is false where there is nothing to look up: silence, or audio that failed.
    """
    from pyspark.sql import functions as F

    named = sorted({fingerprint for _, fingerprint in profile(lake).get("audio_keys", ())})
    keys = lake.read("signals_audio_keys").where(F.col("fingerprint").isin(named))
    has = F.coalesce(F.col("frames") > 0, F.lit(False)).alias("samples")
    return keys.select(
        "utterance_id", "content_sha256", as_sampled(F.col("fingerprint")).alias("fingerprint"), has
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
    near = lake.read("audio_pairs").where("kind = 'near'")
    return within(near, keyed).select("utterance_id", "other_id").distinct()


def within(pairs: DataFrame, keyed: DataFrame) -> DataFrame:
    """Those of `pairs` (rows of `audio_pairs`) both of which are among `keyed` (FILED)."""
    others = keyed.withColumnsRenamed(OTHER)
    return pairs.join(keyed, on=[*FILED], how="left_semi").join(
        others, on=[*OTHER.values(), "fingerprint"], how="left_semi"
    )
