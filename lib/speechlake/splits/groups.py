"""Which utterances belong together: transitively, over every link that a policy keeps on one side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.checkpoints import Staged, checkpointed
from speechlake.joins import lying_together, sent_if_few
from speechlake.splits.columns import EXTRAS
from speechlake.splits.components import components
from speechlake.splits.keys import LINKS, samples_place, shared_keys, speaker_keys, utterance_key
from speechlake.splits.policy_links import Links

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# Heard in so many recordings that it says nothing of who belongs together (`speechlake.duplicates`).
BOILERPLATE = "boilerplate"


def with_linked_speaker(
    rows: DataFrame, *, among: DataFrame | None, staged: Staged = checkpointed
) -> DataFrame:
    """Add `linked_speaker`, `linked_overlap`, `linked_content`, `linked_samples`, `boilerplate`, `train_only` and
    `elsewhere`.

    Speakers do not link inside a corpus declared `single_speaker`, unless another corpus has that speaker,
    `elsewhere`, in a row `among` those of `voices_heard`: then its rows are linked to it and the corpus is train only.
    `among` is None where no corpus is declared so. All that share audio are linked, whatever part they share, and all
    that is cut out of the same bytes or decodes to the same samples, but for boilerplate.
    """
    if among is None:
        flagged = rows.withColumn("elsewhere", F.lit(None).cast("string"))
    else:
        # As many rows as corpora, found by looking at all utterances.
        elsewhere = F.broadcast(staged("speakers elsewhere", _speaker_elsewhere(among)))
        flagged = rows.join(elsewhere, "corpus", how="left")
    train_only = F.col("elsewhere").isNotNull()
    linked = ~F.col("single_speaker") | train_only
    # Where nobody is named, in a corpus of one voice, it is that voice.
    voice = F.when(F.col("single_speaker"), F.coalesce("speaker_id", "elsewhere")).otherwise(
        F.col("speaker_id")
    )
    return (
        flagged.withColumn("train_only", train_only)
        .withColumn("boilerplate", is_boilerplate())
        .withColumn("linked_speaker", F.when(linked, voice))
        .withColumn("linked_overlap", F.when(~F.col("boilerplate"), F.col("overlap_id")))
        .withColumn("linked_content", F.when(~F.col("boilerplate"), F.col("content_sha256")))
        .withColumn("linked_samples", F.when(~F.col("boilerplate"), F.col("audio_samples_sha256")))
    )


def with_speakers_heard(
    linked: DataFrame, rows: DataFrame, *, alone: bool = False, staged: Staged = checkpointed
) -> DataFrame:
    """Add to the `link_keys` of each of `linked` whose speaker nobody names those of the speakers who may be heard in it.

    That is whom `rows`, all candidates, name in its recording, and in what it is a copy or a part of, whether these stay
    or not: one that goes, as its speaker was corrected to one of test, leaves no copy of his voice in train. Boilerplate
    says nothing. Where some corpus is declared to hold one speaker (`alone`), and that voice is elsewhere too, it is that
    of its nameless rows.
    """
    nameless = F.col("speaker_id").isNull()
    places = [
        (F.col("recording_id"), _named_in_recordings(rows)),
        (F.col("linked_overlap"), _named_in_audio(rows)),
    ]
    if alone:
        places.append((F.when(F.col("single_speaker") & F.col("train_only"), F.col("corpus")), _voices(rows)))
    for asks, heard in places:
        told = sent_if_few(staged("speakers heard", heard.select(F.col("of").alias("heard_in"), "heard")))
        joined = linked.withColumn("heard_in", F.when(nameless, asks)).join(told, "heard_in", how="left")
        shared = F.array_union(shared_keys(), speaker_keys("heard"))
        more = F.concat(shared, F.slice("link_keys", -1, 1))
        keys = F.when(F.col("heard").isNull(), F.col("link_keys")).otherwise(more)
        linked = joined.withColumn("link_keys", keys).drop("heard_in", "heard")
    return linked


def is_boilerplate() -> Column:
    """True where the audio is heard in many recordings. Never null."""
    return F.coalesce(F.col("duplicate_kind") == BOILERPLATE, F.lit(False))


def _is_named() -> Column:
    """True of rows with a speaker who is not the one voice of a corpus."""
    return F.col("speaker_id").isNotNull() & ~F.col("single_speaker")


def _named_in_audio(rows: DataFrame) -> DataFrame:
    """(of, heard): of all that share audio, the speakers that some of them name."""
    said = F.coalesce(F.col("duplicate_kind") != BOILERPLATE, F.lit(False))
    shared = rows.filter(_is_named() & said & F.col("overlap_id").isNotNull())
    return shared.groupBy(F.col("overlap_id").alias("of")).agg(_speakers())


def _named_in_recordings(rows: DataFrame) -> DataFrame:
    """(of, heard): of recordings with an utterance that names nobody, the speakers that others name."""
    nameless = F.max(F.col("speaker_id").isNull().cast("int"))
    named = F.max(_is_named().cast("int"))
    both = rows.groupBy("recording_id").agg((nameless + named).alias("said")).filter("said = 2")
    asked = rows.filter(_is_named()).join(both, "recording_id", how="left_semi")
    return asked.groupBy(F.col("recording_id").alias("of")).agg(_speakers())


def _voices(rows: DataFrame) -> DataFrame:
    """(of, heard): of corpora that are declared to hold one speaker, whom their rows name."""
    said = rows.filter("single_speaker AND speaker_id IS NOT NULL")
    return said.groupBy(F.col("corpus").alias("of")).agg(_speakers())


def _speakers() -> Column:
    return F.array_sort(F.collect_set("speaker_id")).alias("heard")


def with_own_links(rows: DataFrame, links: Links) -> tuple[DataFrame, dict[str, str]]:
    """Add a column per link that the policy sets to `together`; with kind -> column of all that are kept together."""
    own = {name: f"linked_{n}" for n, name in enumerate(links.of_mode("together"))}
    columns = {column: link_value(name) for name, column in own.items()}
    return rows.withColumns(columns), {**LINKS, **own}


def link_value(name: str) -> Column:
    """What a row has for a link: its session, or a column or extra in the namespace of its speakers.

    The same book of two corpora that derive from one source is one; "12" of unrelated corpora is not.
    """
    if name == "session":
        return F.col("session_id")
    value = F.col("extras")[name.removeprefix(EXTRAS)] if name.startswith(EXTRAS) else F.col(name)
    return F.when(value != "", F.concat("speaker_namespace", F.lit(":"), value))


def voices_heard(rows: DataFrame, assignments: DataFrame, staged: Staged = checkpointed) -> DataFrame:
    """(corpus, speaker_id, single_speaker) of rows that may stay, of those that go now and were published before, and of all
    that name the one voice of a corpus: it is that of rows which name nobody. A row that names nobody speaks with the
    voice that others name in its recording or audio, whether these stay or not.

    `rows` have `is_fit` too; `assignments` holds link_key and side of the scheme.
    """
    spoken = rows.select("utterance_id", "is_fit", "corpus", "speaker_id", "single_speaker")
    spoken = spoken.unionByName(_voices_in_nameless(rows, staged).select(*spoken.columns))
    alone = spoken.filter("single_speaker").select("speaker_id").distinct()
    gone = spoken.filter("NOT is_fit").join(alone, "speaker_id", how="left_semi")
    published = gone.withColumn("link_key", utterance_key()).join(assignments, "link_key", how="left_semi")
    said = ("corpus", "speaker_id", "single_speaker")
    return spoken.filter("is_fit OR single_speaker").select(*said).unionByName(published.select(*said))


def _voices_in_nameless(rows: DataFrame, staged: Staged) -> DataFrame:
    """Rows that name nobody, in whose recording or audio other corpora name the one voice of a corpus: with that."""
    alone = rows.filter("single_speaker AND speaker_id IS NOT NULL").select("speaker_id").distinct()
    audio = F.when(~is_boilerplate(), F.col("overlap_id"))
    place = F.explode(F.array("recording_id", audio)).alias("place")
    elsewhere = rows.filter(_is_named()).join(alone, "speaker_id", how="left_semi")
    told = staged("voices elsewhere", elsewhere.select("speaker_id", place).distinct())
    told = told.filter("place IS NOT NULL")
    nameless = rows.filter(F.col("speaker_id").isNull()).select("utterance_id", "is_fit", "corpus", place)
    return nameless.join(sent_if_few(told), "place", how="inner").withColumn("single_speaker", F.lit(False))


def _speaker_elsewhere(rows: DataFrame) -> DataFrame:
    """(corpus, elsewhere): corpora declared `single_speaker`, and the first speaker that another corpus has too."""
    known = rows.filter(F.col("speaker_id").isNotNull())
    spoken = known.groupBy("speaker_id", "corpus").agg(F.max("single_speaker").alias("single_speaker"))
    shared = spoken.groupBy("speaker_id").agg(
        F.count("*").alias("n"),
        F.collect_set(F.when(F.col("single_speaker"), F.col("corpus"))).alias("corpora"),
    )
    corpora = shared.filter((F.col("n") > 1) & (F.size("corpora") > 0)).select(
        F.explode("corpora").alias("corpus"), "speaker_id"
    )
    return corpora.groupBy("corpus").agg(F.min("speaker_id").alias("elsewhere"))


def with_link_group(rows: DataFrame, keyed: DataFrame, *, staged: Staged = checkpointed) -> DataFrame:
    """Add `link_group`: the same value for utterances that share any of their `link_keys`, transitively.

    `keyed` are the same utterances with all of these. Keeps every row and every other column. The value is the smallest
    link key of those that connect the group, or the utterance's own key when nothing does, so it depends on the rows
    alone.
    """
    shared = staged("shared keys", _keys_seen_twice(keyed))
    edges = shared.filter(F.size("keys") > 1).select(F.explode(_neighbours()).alias("edge")).select("edge.*")
    labels = components(edges.distinct(), staged=staged)
    joined = shared.select("utterance_id", F.col("keys")[0].alias("key")).join(labels, "key", how="left")
    grouped = joined.select("utterance_id", F.coalesce("label", "key").alias("link_group"))
    grouped = staged("link groups", grouped)
    group = F.coalesce(F.col("link_group"), utterance_key())
    return rows.join(grouped, "utterance_id", how="left").withColumn("link_group", group)


def _keys_seen_twice(rows: DataFrame) -> DataFrame:
    """(utterance_id, keys): the sorted link keys that another row has too; other keys connect nothing."""
    from pyspark.sql import Window

    # Equal samples are copies, which have a key of their own: their own are there to be remembered.
    samples = samples_place() if LINKS["samples"] in rows.columns else F.lit(None).cast("int")
    placed = rows.select("utterance_id", shared_keys().alias("shared"), samples.alias("samples"))
    single = placed.select("utterance_id", "samples", F.posexplode("shared").alias("place", "key"))
    single = single.filter(~F.col("place").eqNullSafe(F.col("samples"))).select("utterance_id", "key")
    # All rows of a key are one task's, which spills them: a group of so many is refused, or named in a warning. Numbers
    # are sorted faster than keys; where two keys had the same one, a key that is alone would connect nothing either.
    times = F.count("*").over(Window.partitionBy(F.xxhash64("key")))
    shared = single.withColumn("times", times).filter("times > 1")
    together = lying_together(shared, "utterance_id").groupBy("utterance_id")
    return together.agg(F.array_sort(F.collect_list("key")).alias("keys"))


def _neighbours() -> Column:
    """Pairs of the first key with each other one: enough to connect all keys of a row."""
    first = F.col("keys")[0]
    others = F.slice("keys", 2, F.size("keys") - 1)
    return F.transform(others, lambda key: F.struct(first.alias("low"), key.alias("high")))
