"""What is still to be measured: utterances without a row under the wanted content, fingerprint and inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from speechlake.joins import lying_together, with_matching
from speechlake.signals.extractor import Extractor, Identity
from speechlake.text.subtags import primary_of

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake

# After this many transient failures nothing is planned; policies see `missing:<signal>`.
MAX_ATTEMPTS = 3
# What an utterance is to an extractor.
MEASURED, FAILED, SPENT, LACKING = "measured", "failed", "spent", "lacking"
# Chunks are ranges of slots, so that a plan is staged once and cut afterwards without sorting it. So many
# that a petabyte's chunks still take minutes.
SLOTS = 1 << 16
# Which recording, where its bytes lie, and what the last listing said of them: all that reading it takes.
PLACE = ("recording_id", "root", "path", "container", "byte_offset", "byte_length", "listing_key")
# Guess for audio of undeclared length: 16-bit mono at 16 kHz.
BYTES_PER_SECOND = 32_000.0
# Utterances of a long recording are measured in stretches of this length, each a unit of work of its own,
# so that one 10-hour file does not hold the others. Each opens, hashes and mostly decodes the file again:
# no recording has more than so many, where its utterances leave room in memory.
STRETCH_MS = 20 * 60 * 1000
MOST_STRETCHES = 8
# What is cut out of a stretch lies in memory at once. It is cut again where that adds up to this over all
# channels, which two people who take turns never reach.
STRETCH_SUM_S = 2 * STRETCH_MS / 1000


@dataclass(frozen=True)
class Wanted:
    """An extractor with what its rows will be filed under, and for which utterances it is wanted.

    `languages`: only utterances of these primary subtags; `but`: all, a missing language included, except these.
    """

    extractor: Extractor
    identity: Identity
    languages: frozenset[str] | None = None
    but: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Name of the extractor and of its table."""
        return self.extractor.name

    @property
    def column(self) -> str:
        """Name of its struct in staged rows: several fingerprints of one extractor may measure a clip."""
        return f"{self.name}_{self.fingerprint}"

    @property
    def state(self) -> str:
        """Name of the column that says what an utterance is to this."""
        return f"state_{self.fingerprint}"

    @property
    def fingerprint(self) -> str:
        """What the rows are filed under."""
        return self.identity.fingerprint

    def is_for(self, language: Column) -> Column:
        """True for utterances of a BCP 47 tag that this is wanted for; never null."""
        from pyspark.sql import functions as F

        primary = F.coalesce(primary_of(language), F.lit(""))
        if self.languages is not None:
            return primary.isin(*sorted(self.languages))
        return ~primary.isin(*sorted(self.but)) if self.but else F.lit(True)


def wanted_of(extractors: Sequence[Extractor]) -> list[Wanted]:
    """Extractors, each for every utterance."""
    return [Wanted(extractor, extractor.identity()) for extractor in extractors]


def names_of(wanted: Sequence[Wanted]) -> list[str]:
    """Names of the extractors, each once, in order: several fingerprints may share one."""
    return list(dict.fromkeys(each.name for each in wanted))


def inputs_hash(inputs: Sequence[str]) -> Column:
    """Hash of the per-utterance inputs `inputs` (columns of `utterances`); '' where none are declared."""
    from pyspark.sql import functions as F

    if not inputs:
        return F.lit("")
    said = F.to_json(F.struct(*[F.col(name) for name in inputs]), {"ignoreNullFields": "false"})
    return F.substring(F.sha2(said, 256), 1, 32)


def with_content(recordings: DataFrame, content_hashes: DataFrame) -> DataFrame:
    """Add `content_sha256`: what the bytes behind the present listing key are, `listing:<key>` where unknown."""
    from pyspark.sql import functions as F

    # On object stores two jobs that read a file at once append its hash twice.
    lowest = F.min("content_sha256").alias("content_sha256")
    of = "recording_id"
    known = lying_together(content_hashes, of).groupBy(of, "listing_key").agg(lowest)
    joined = with_matching(recordings, known, ["listing_key"], of=of)
    unknown = F.concat(F.lit("listing:"), F.col("listing_key"))
    return joined.withColumn("content_sha256", F.coalesce("content_sha256", unknown))


def _as_before(frame: DataFrame, content_hashes: DataFrame) -> DataFrame:
    """Where the content is unknown, that which the recording had before: one of them, if it had several."""
    from pyspark.sql import functions as F

    before = content_hashes.groupBy("recording_id").agg(F.max("content_sha256").alias("before"))
    unknown = F.col("content_sha256").startswith("listing:")
    content = F.when(unknown, F.coalesce("before", "content_sha256")).otherwise(F.col("content_sha256"))
    return (
        frame.join(before, on="recording_id", how="left").withColumn("content_sha256", content).drop("before")
    )


def unmeasured(
    lake: Lake, corpus: str, wanted: Sequence[Wanted], *, as_before: bool = False, given_up: bool = False
) -> DataFrame:
    """One row per utterance that lacks any of `wanted`, with its recording and `needs`, the fingerprints it lacks.

    Retired utterances and missing audio are not planned, nor, unless `given_up`, what failed for the third time.
    `as_before` takes audio that was listed anew for unchanged: a forecast, as only reading it tells.
    """
    from pyspark.sql import functions as F

    frame = with_states(lake, [corpus], wanted, as_before=as_before)
    open_states = (LACKING, SPENT) if given_up else (LACKING,)
    needs = [F.when(F.col(each.state).isin(*open_states), F.lit(each.fingerprint)) for each in wanted]
    lacking = F.filter(F.array(*needs), lambda need: need.isNotNull())
    return (
        frame.withColumn("needs", lacking).where(F.size("needs") > 0).drop(*[each.state for each in wanted])
    )


def with_states(
    lake: Lake, corpora: Sequence[str], wanted: Sequence[Wanted], *, as_before: bool = False
) -> DataFrame:
    """One row per utterance of `corpora` that could be measured, with its recording and what it is to each of `wanted`.

    That column, `Wanted.state`, is MEASURED or FAILED (for good) where there is a row under the wanted content,
    fingerprint and inputs, SPENT after the last attempt, else LACKING; null where it is not wanted.
    """
    from pyspark.sql import functions as F

    here = F.col("corpus").isin(*corpora)
    current = here & F.col("retired_in").isNull()
    recordings = (
        lake.read("recordings")
        .where(current & (F.col("state") == "present"))
        .drop("corpus", "retired_in", "state")
    )
    utterances = (
        lake.read("utterances").where(current).drop("retired_in", "byte_offset", "manifest_uri", "extras")
    )
    hashes = lake.read("content_hashes").where(here)
    recordings = with_content(recordings, hashes)
    if as_before:
        recordings = _as_before(recordings, hashes)
    # Renamed by contract: both tables have a byte_offset, only the recording's says where audio lies.
    frame = utterances.join(recordings, on="recording_id", how="inner")
    for each in wanted:
        frame = _with_state(frame, lake, here, each)
    return frame


def _with_state(frame: DataFrame, lake: Lake, here: Column, wanted: Wanted) -> DataFrame:
    from pyspark.sql import functions as F

    mine = here & (F.col("fingerprint") == wanted.fingerprint)
    how = F.when(F.col("error").isNull(), MEASURED).otherwise(FAILED)
    done = (
        lake.read(f"signals_{wanted.name}")
        .where(mine)
        .select("utterance_id", "content_sha256", "inputs_hash", how.alias("done"))
    )
    spent = (
        lake.read("attempts")
        # One row, however often it was tried beyond the last time.
        .where(mine & (F.col("n") == MAX_ATTEMPTS))
        .select("utterance_id", "listing_key", "inputs_hash", F.lit(SPENT).alias("spent"))
    )
    hashed = frame.withColumn("inputs_hash", inputs_hash(wanted.extractor.inputs))
    joined = with_matching(hashed, done, ["content_sha256", "inputs_hash"])
    joined = with_matching(joined, spent, ["listing_key", "inputs_hash"])
    state = F.when(wanted.is_for(F.col("language")), F.coalesce("done", "spent", F.lit(LACKING)))
    return joined.withColumn(wanted.state, state).drop("done", "spent", "inputs_hash")


def audio_seconds() -> Column:
    """Estimated length of a planned utterance: its interval's, else the declared one, else by the file's size."""
    from pyspark.sql import functions as F

    return F.coalesce(
        (F.col("end_ms") - F.col("start_ms")) / 1000.0,
        F.when(F.col("declared_duration_s").between(0, 86_400), F.col("declared_duration_s")),
        F.col("size_bytes") / BYTES_PER_SECOND,
        F.lit(0.0),
    )


def by_recording(lacking: DataFrame, wanted: Sequence[Wanted]) -> DataFrame:
    """One row per recording, or stretch of a long one, with its utterances in order: what one decode serves.

    Adds `slot`, by which chunks are cut, and `seconds`, the audio to measure.
    """
    from pyspark.sql import functions as F

    inputs = sorted({name for each in wanted for name in each.extractor.inputs})
    # An extractor's inputs are its class's, whatever the fingerprint.
    declared = {each.name: each.extractor.inputs for each in wanted}
    hashes = F.struct(*[inputs_hash(names).alias(name) for name, names in declared.items()])
    said = (
        F.struct(*[F.col(name) for name in inputs])
        if inputs
        else F.struct(F.lit(None).cast("string").alias("none"))
    )
    one = F.struct(
        "start_ms",
        "utterance_id",
        "end_ms",
        "channel",
        "needs",
        said.alias("inputs"),
        hashes.alias("inputs_hashes"),
    )
    place = [*PLACE, "member", "size_bytes"]
    # By recording for both, so that what goes over the network goes once.
    timed = lacking.repartition("recording_id").withColumns({"seconds": audio_seconds(), "one": one})
    return (
        _with_stretch(timed)
        .groupBy(*place, "content_sha256", "stretch")
        .agg(F.sort_array(F.collect_list("one")).alias("utterances"), F.sum("seconds").alias("seconds"))
        .withColumn("slot", F.pmod(F.xxhash64("recording_id", "stretch"), F.lit(SLOTS)).cast("int"))
    )


def _with_stretch(timed: DataFrame) -> DataFrame:
    """Add `stretch`: which one, and above its 32nd bit which part of it, 0 until STRETCH_SUM_S begin before."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    recording = Window.partitionBy("recording_id")
    ends = F.max(F.coalesce("end_ms", "start_ms")).over(recording)
    length = F.greatest(F.lit(STRETCH_MS), F.ceil(ends / MOST_STRETCHES))
    # A length that is guessed by the file's size is that of all channels together.
    guessed = F.col("end_ms").isNull() & F.col("declared_duration_s").isNull()
    sharing = F.when(guessed, F.count_if(guessed).over(recording)).otherwise(1)
    placed = timed.withColumns(
        {"stretch": F.floor(F.col("start_ms") / length).cast("bigint"), "own_s": F.col("seconds") / sharing}
    )
    ordered = Window.partitionBy("recording_id", "stretch").orderBy("start_ms", "channel", "utterance_id")
    before = F.sum("own_s").over(ordered.rowsBetween(Window.unboundedPreceding, -1))
    part = F.floor(F.coalesce(before, F.lit(0.0)) / STRETCH_SUM_S).cast("bigint")
    return placed.withColumn("stretch", F.col("stretch") + F.shiftleft(part, 32)).drop("own_s")


@dataclass(frozen=True)
class Chunk:
    """A range of slots of a staged plan."""

    number: int
    of: int

    def rows(self, plan: DataFrame) -> DataFrame:
        """This chunk's recordings."""
        return plan.where(
            f"slot >= {SLOTS * self.number // self.of} AND slot < {SLOTS * (self.number + 1) // self.of}"
        )


def chunks(total_s: float, chunk_s: float) -> list[Chunk]:
    """Chunks of about `chunk_s` seconds of audio each."""
    count = max(1, min(SLOTS, round(total_s / chunk_s)))
    return [Chunk(number, count) for number in range(count)]


def totals(plan: DataFrame) -> Mapping[str, Any]:
    """Recordings, utterances and estimated audio seconds of a staged plan."""
    from pyspark.sql import functions as F

    counted = plan.agg(
        F.count("*").alias("recordings"),
        F.coalesce(F.sum(F.size("utterances")), F.lit(0)).alias("utterances"),
        F.coalesce(F.sum("seconds"), F.lit(0.0)).alias("seconds"),
    )
    return counted.collect()[0].asDict()
