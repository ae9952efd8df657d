"""The step of `find-duplicates`: look up what is new, remember it, and say who shares audio now.

Pairs are committed first, then `duplicates`, then, in `key_buckets`, whose keys led to them: of an utterance that is
there, the tables hold all that was found. Killed in between, the next run looks it up again, and finds the same
pairs, which are there by key. What was replaced, or retired and never published, is forgotten before all else: its keys
meet nobody (`keys_of_most`), so what comes back must be looked up anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from speechlake.checkpoints import Staged, checkpointed
from speechlake.duplicates.buckets import FILTERED_BELOW, bucket_filter, samples_expected
from speechlake.duplicates.clusters import duplicates, those_sharing
from speechlake.duplicates.known import FILED, as_made, as_sampled, within
from speechlake.duplicates.search import meetings, verified, who_met
from speechlake.errors import Conflict
from speechlake.joins import FEW, sent_if_few, with_matching
from speechlake.signals.catalogue import profile
from speechlake.splits.keys import utterance_key
from speechlake.views import located_utterances, with_signals

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

    from speechlake.hold import Hold
    from speechlake.lake import Lake

# Of clips with all that is current of them, half a kilobyte each, every task may hold fewer than of ids.
FEW_CLIPS = FEW // 2
# What is current of a clip and is not asked of those who met.
NOT_OF_PAIRS = ("is_retired", "audio_samples_sha256", "duration_s", "samples", "is_filed", "is_fresh")


@dataclass(frozen=True)
class Looked:
    """What one look-up found: utterances that were new, pairs, and samples in buckets too full to compare all."""

    looked_up: int = 0
    pairs: int = 0
    hot_samples: int = 0


def current_audio(lake: Lake) -> DataFrame:
    """One row per utterance that is not retired, or was published: identity, place, content, hash of samples, length.

    `is_retired` says that it is there for its copies alone, which must not come to another side than it was on.
    `fingerprint` says what made its keys and how they are sampled, null where there are none; `samples` about how many
    samples these give.
    """
    from pyspark.sql import functions as F

    utterances, retired = located_utterances(lake), _retired_and_published(lake)
    if retired is None:
        utterances = utterances.where("retired_in IS NULL").withColumn("is_retired", F.lit(False))
    else:
        marked = utterances.join(retired, on="utterance_id", how="left")
        utterances = marked.where("retired_in IS NULL OR is_retired").fillna(False, ["is_retired"])
    known = profile(lake)
    frame = with_signals(utterances, lake, {name: known.get(name, ()) for name in ("audio", "audio_keys")})
    usable = F.col("content_sha256").isNotNull() & (F.col("audio_keys_frames") > 0)
    return frame.select(
        *("corpus", "utterance_id", "recording_id", "channel", "start_ms", "end_ms", "content_sha256"),
        *("is_retired", "audio_samples_sha256", F.col("audio_duration_s").alias("duration_s")),
        F.when(usable, as_sampled(F.col("audio_keys_fingerprint"))).alias("fingerprint"),
        samples_expected("audio_keys_frames").alias("samples"),
    )


def _retired_and_published(lake: Lake) -> DataFrame | None:
    """(utterance_id, is_retired) of retired rows whose side some scheme remembers; None where nothing is retired.

    The job does not count `assignments` among what it reads: that a release was published changes nothing of what
    shares audio, until a row of it is retired.
    """
    from pyspark.sql import functions as F

    retired = lake.read("utterances").where("retired_in IS NOT NULL")
    keyed = checkpointed("retired", retired.select("utterance_id", utterance_key().alias("link_key")))
    if keyed.isEmpty():
        return None
    said = lake.read("assignments").select("link_key")
    met = said.join(sent_if_few(keyed), on="link_key", how="inner").select("utterance_id").distinct()
    return sent_if_few(checkpointed("retired and published", met)).withColumn("is_retired", F.lit(True))


def with_filed(lake: Lake, current: DataFrame) -> DataFrame:
    """Add `is_filed`, null or true: a look-up has met these keys."""
    from pyspark.sql import functions as F

    filed = lake.read("key_buckets").select(*FILED, F.lit(True).alias("is_filed"))
    return with_matching(current, filed, ("content_sha256", "fingerprint"))


def keys_of_most(lake: Lake, clips: DataFrame, fingerprint: str, count: int) -> DataFrame:
    """FILED, `keys` and `active` of `clips` (FILED), which are the `count` of this fingerprint that there are.

    Others that have keys of it were retired unpublished, or have other audio since. Mostly these are few, as two counts
    say, and the keys of all clips, a kilobyte each, stay where they are. Conflict where keys went since clips were joined.
    """
    from pyspark.sql import functions as F

    keys = _keys(lake, fingerprint)
    gone = keys.count() - count
    if gone < 0:
        raise Conflict(f"{-gone} keys left 'signals_audio_keys' while they were looked up", hint="Run again.")
    if gone == 0:
        return keys
    if gone > FEW:
        return keys.join(clips.select(*FILED), on=[*FILED], how="left_semi")
    others = keys.select(*FILED).join(clips.select(*FILED), on=[*FILED], how="left_anti")
    return keys.join(F.broadcast(others), on=[*FILED], how="left_anti")


def _keys(lake: Lake, fingerprint: str) -> DataFrame:
    """FILED, `keys` and `active` of all that has a frame, by what made and samples them."""
    from pyspark.sql import functions as F

    same = F.col("fingerprint") == as_made(fingerprint)
    keys = lake.read("signals_audio_keys").where(same & (F.col("frames") > 0))
    return keys.select(
        "utterance_id", "content_sha256", F.lit(fingerprint).alias("fingerprint"), "keys", "active"
    )


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
        # Sent, so that the keys of all clips are not moved for them.
        keys = _keys(lake, row.fingerprint).join(sent_if_few(clips, FEW_CLIPS), on=[*FILED], how="inner")
        found = verified(met, written(f"clips.{row.fingerprint}", keys))
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
        fresh = clips.where("is_fresh").select(*FILED, "is_fresh")
        fresh = F.broadcast(fresh) if counts.fresh <= FEW else fresh
        marked = keys.join(fresh, on=[*FILED], how="left").fillna(False, ["is_fresh"])
        if counts.new_samples <= FILTERED_BELOW:
            wanted = bucket_filter(_keys(lake, counts.fingerprint).join(fresh, on=[*FILED], how="left_semi"))
    return meetings(marked, counts.new_samples, counts.samples - counts.new_samples, wanted)


def _forget(hold: Hold, current: DataFrame, digest: str) -> None:
    """Delete what was looked up and is current no more; mostly there is none, and two counts say so."""
    there = hold.lake.read("key_buckets")
    filed = current.where("is_filed")
    if there.count() > filed.count():
        gone = there.join(filed.select(*FILED), on=[*FILED], how="left_anti").select("corpus", *FILED)
        hold.merge("key_buckets", gone, corpus=None, digest=digest, delete=True)


def remember(hold: Hold, fresh: DataFrame, count: int, digest: str, *, again: bool) -> None:
    """Commit the `count` rows of `key_buckets` of `look_up`, which say that all is known that was found with them."""
    if count:
        hold.append_missing("key_buckets", fresh, digest=digest, fresh=not again, expected=count)


def current_duplicates(lake: Lake, current: DataFrame) -> DataFrame:
    """Rows of `duplicates` as they should be now."""
    pairs = lake.read("audio_pairs")
    here = those_sharing(current, pairs)
    among = checkpointed("pairs", within(pairs, here.select(*FILED)))
    evaluating = [row.corpus for row in lake.few("corpora") if row.role == "evaluation"]
    return duplicates(here, among, lake.read("duplicates"), evaluating=evaluating)
