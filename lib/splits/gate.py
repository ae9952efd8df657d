"""The check in the publishing path: recomputes, from exactly the rows to be published, what must never happen.

It shares nothing with the code that fills sides except the contract of an id and what makes two texts the same,
and looks at values, not keys.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.checkpoints import Staged, checkpointed
from speechlake.splits import gate_speakers, gate_texts
from speechlake.splits.keys import id_of
from speechlake.splits.policy_links import EXTRAS, Decontaminate, Links

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pyspark.sql import Column, DataFrame

    from speechlake.splits.policy import Policy

VERBATIM = "verbatim"
# What is looked at of an utterance, besides the sessions and columns that a policy links.
_LINKED = (
    *("utterance_id", "corpus", "single_speaker", "speaker_id", "recording_id", "text_tags"),
    *("overlap_id", "cluster_id", "duplicate_kind"),
)
# Sides as bits of a number: Spark compiles aggregates of numbers, and sorts all rows to collect the texts of many groups.
_BITS: Mapping[str, int] = {"dev": 1, "test": 2, "train": 4}
_NO_SIDE, _BIT_OF_NO_SIDE = "no side", 8


@dataclass(frozen=True)
class Asked:
    """What the policy of a build wants to see kept apart."""

    links: Links = field(default_factory=Links)
    decontaminate: Decontaminate = field(default_factory=Decontaminate)
    form: str = VERBATIM

    @classmethod
    def by(cls, policy: Policy) -> Asked:
        """As a policy says."""
        return cls(policy.links, policy.decontaminate, policy.text.form if policy.text else VERBATIM)

    @classmethod
    def of(cls, note: Mapping[str, object]) -> Asked:
        """As a note keeps it; the defaults where it says nothing."""
        links, decontaminate = note.get("links") or {}, note.get("decontaminate") or {}
        form = str(note.get("form", VERBATIM))
        return cls(Links.model_validate(links), Decontaminate.model_validate(decontaminate), form)

    def note(self) -> dict[str, object]:
        """For a note."""
        return {
            "links": self.links.model_dump(mode="json"),
            "decontaminate": self.decontaminate.model_dump(mode="json"),
            "form": self.form,
        }


def leaks(
    split_rows: DataFrame,
    links: DataFrame,
    assignments: DataFrame,
    asked: Asked | None = None,
    listed: DataFrame | None = None,
    staged: Staged = checkpointed,
    heard: DataFrame | None = None,
    copies: DataFrame | None = None,
    before: DataFrame | None = None,
) -> DataFrame:
    """(kind, value, sides, utterances) of everything that sits where it must not; no rows: publish.

    `split_rows` are the rows of `splits` of one build (utterance_id, split, text). `links` has one row per
    utterance, retired ones included: the columns of `utterances`, single_speaker, role, speaker_namespace,
    text_tags, cluster_id, overlap_id, duplicate_kind, and evaluation_texts for evaluation corpora.
    Those of evaluation corpora have their current `content_sha256` too.
    `assignments` holds link_key and side of the scheme, one row per key; `listed` (utterance_id, listed) the
    evaluation sets by list; `heard` (utterance_id, content_sha256, samples_sha256) what was decoded, and `copies`
    (utterance_id, other_id) what was found alike, so that copies are found of which `duplicates` does not tell yet.
    `before` (utterance_id, published) are rows of a release of the scheme, whatever `assignments` says of them.

    Kinds: `utterance` (twice in the build, or on two sides), `recording`, `content`, `duplicate`, `samples`, `copy`, `speaker`
    (unless all its rows are in one corpus declared `single_speaker`; of a row without one, whom others of its recording or audio name), `speaker_unknown` (evaluates), sessions
    and columns that the policy links, `text`, `evaluation_corpus`,
    `evaluation_corpus_content`, `evaluation_corpus_samples`, `evaluation_corpus_copy`, `boilerplate` (evaluates), `unknown_utterance`, `listed` (on another side than its
    list's), and `moved` (its published side is another). Rows meet their links once, and pass through `staged`.
    """
    wanted = asked or Asked()
    together, excluding = wanted.links.of_mode("together"), wanted.links.of_mode("exclude_from_train")
    values = {name: f"value_{n}" for n, name in enumerate([*together, *excluding])}
    known = links.select(
        *_LINKED, F.lit(True).alias("known"), *(_value(name).alias(column) for name, column in values.items())
    )
    written = split_rows.select("utterance_id", "split", *_if_there(split_rows, "text", "content_sha256"))
    # Each kind of leak reads it: without this, each would join all rows with all utterances again.
    rows = staged("gate", written.join(known, "utterance_id", how="left"))
    rows = gate_speakers.with_heard(rows, links, staged)
    benchmarks = _benchmarks(links, wanted)
    found = [
        _by_value(rows, values, excluding),
        _moved(rows, assignments, before),
        _speaker_unknown(rows, listed),
        *_audio_of_benchmarks(rows, benchmarks),
        *([] if heard is None else _samples(rows, benchmarks, heard, staged)),
        *([] if copies is None else _copies(rows, benchmarks, copies)),
        *gate_texts.leaks(rows, benchmarks.filter(~_is_boilerplate()), wanted),
        *([] if listed is None else [_off_its_list(rows, listed)]),
    ]
    return reduce(lambda one, other: one.unionByName(other), found)


def _if_there(frame: DataFrame, *names: str) -> list[str]:
    return [name for name in names if name in frame.columns]


def _benchmarks(links: DataFrame, asked: Asked) -> DataFrame:
    """Current rows of the evaluation corpora that the policy heeds."""
    named = asked.decontaminate.corpora
    heeded = F.lit(True) if named is None else F.col("corpus").isin(list(named))
    return links.filter((F.col("role") == "evaluation") & F.col("retired_in").isNull() & heeded)


def _value(name: str) -> Column:
    """What a row has for a session, a column or an extra: in the namespace of its speakers where it has none."""
    if name == "session":
        return F.col("session_id")
    value = F.element_at("extras", F.lit(name[len(EXTRAS) :])) if name.startswith(EXTRAS) else F.col(name)
    return F.when(F.length(value) > 0, F.concat_ws(":", "speaker_namespace", value))


def _by_value(rows: DataFrame, linked: Mapping[str, str], excluding: Collection[str]) -> DataFrame:
    """All that rows of one value show, in one pass: values on two sides, rows that are there twice, or never may be.

    `linked` names the column with the values of each thing that the policy links; those in `excluding` may be on
    both evaluation sides, not in train too. Copies, and whatever shares a part with them, are kind `duplicate`, what
    is cut out of the same bytes is kind `content`; boilerplate links nothing, and must not evaluate.
    """
    copy = F.when(~_is_boilerplate(), F.struct("overlap_id", "cluster_id"))
    said = [
        ("speaker", F.col("speaker_id")),
        ("recording", F.col("recording_id")),
        *(("content", F.when(~_is_boilerplate(), F.col(name))) for name in _if_there(rows, "content_sha256")),
        ("duplicate", copy["overlap_id"]),
        ("duplicate", F.when(~copy["cluster_id"].eqNullSafe(copy["overlap_id"]), copy["cluster_id"])),
        *((name, F.col(column)) for name, column in linked.items()),
        ("utterance", F.col("utterance_id")),
        ("unknown_utterance", F.when(F.col("known").isNull(), F.col("utterance_id"))),
        ("boilerplate", F.when(_is_boilerplate() & (F.col("split") != "train"), F.col("cluster_id"))),
    ]
    values = F.array(*(F.struct(F.lit(kind).alias("kind"), value.alias("value")) for kind, value in said))
    # One voice may be on several sides inside a corpus that is declared to hold no other. Corpora are told apart by
    # a hash: the lowest of texts is looked for by sorting, and a lake has no billions of corpora.
    corpus = F.xxhash64("corpus").alias("corpus")
    each = rows.select("split", corpus, "single_speaker", F.explode(values).alias("said"))
    each = each.filter(F.col("said.value").isNotNull())
    if "heard" in rows.columns:
        # Apart: of each row with values, Spark would interpret what makes more of them out of an array.
        heard = rows.filter("heard IS NOT NULL").select(
            "split", corpus, "single_speaker", F.explode("heard").alias("value")
        )
        said_so = F.struct(F.lit("speaker").alias("kind"), "value").alias("said")
        each = each.unionByName(heard.select("split", "corpus", "single_speaker", said_so))
    inside_one_corpus = (F.min("corpus") == F.max("corpus")) & F.bool_and("single_speaker")
    counted = each.groupBy("said.kind", "said.value").agg(*_counted(), inside_one_corpus.alias("inside"))
    kind, astride = F.col("kind"), _astride()
    trained = F.col("seen").bitwiseAND(_BITS["train"]) > 0
    wrong = (
        F.when(kind.isin("unknown_utterance", "boilerplate"), F.lit(True))
        .when(kind == "utterance", F.col("utterances") > 1)
        .when(kind == "speaker", astride & ~F.coalesce("inside", F.lit(False)))
        .when(kind.isin(list(excluding)), astride & trained)
        .otherwise(astride)
    )
    return _found(counted.filter(wrong), kind)


def _is_boilerplate() -> Column:
    return F.coalesce(F.col("duplicate_kind"), F.lit("")) == "boilerplate"


def _audio_of_benchmarks(rows: DataFrame, benchmarks: DataFrame) -> list[DataFrame]:
    """Rows of any side whose audio an evaluation corpus holds, and those that are cut out of a file of it."""
    found = [rows.join(benchmarks.select("overlap_id").distinct(), "overlap_id", how="left_semi")]
    if "content_sha256" in rows.columns:
        files = benchmarks.filter(~_is_boilerplate()).select("content_sha256").distinct()
        found.append(rows.filter(~_is_boilerplate()).join(files, "content_sha256", how="left_semi"))
    kinds = ("evaluation_corpus", "evaluation_corpus_content")
    return [_found(_each(each), kind) for each, kind in zip(found, kinds, strict=False)]


def _samples(rows: DataFrame, benchmarks: DataFrame, heard: DataFrame, staged: Staged) -> list[DataFrame]:
    """The same decoded samples on more than one side, and in an evaluation corpus; `duplicates` is not asked."""
    mine = rows.join(heard, ["utterance_id", "content_sha256"], how="inner")
    # Both queries below read it, and the join is of all utterances.
    mine = staged("gate samples", mine.select("utterance_id", "split", "samples_sha256", "duplicate_kind"))
    own = mine.filter(~_is_boilerplate()).groupBy(F.col("samples_sha256").alias("value"))
    on_two_sides = own.agg(*_counted()).filter(_astride())
    # What a clip held before its file was replaced is no benchmark any more, once somebody has read what it holds now.
    now = benchmarks.select("utterance_id", F.col("content_sha256").alias("now"))
    known = F.col("now").startswith("listing:") | (F.col("now") == F.col("content_sha256"))
    held = now.join(heard, "utterance_id", how="inner").filter(known)
    shared = mine.join(held.select("samples_sha256").distinct(), "samples_sha256", how="left_semi")
    return [
        _found(on_two_sides, "samples"),
        _found(_each(shared), "evaluation_corpus_samples"),
    ]


def _copies(rows: DataFrame, benchmarks: DataFrame, copies: DataFrame) -> list[DataFrame]:
    """Pairs of copies on two sides, and with one in an evaluation corpus, whatever `duplicates` makes of them."""
    mine = rows.filter(~_is_boilerplate()).select("utterance_id", "split")
    other = mine.select(F.col("utterance_id").alias("other_id"), F.col("split").alias("other_split"))
    both = copies.join(mine, "utterance_id", how="inner").join(other, "other_id", how="inner")
    apart = both.filter("split != other_split").select(
        F.concat_ws(" ", "utterance_id", "other_id").alias("value"),
        _bit("split").bitwiseOR(_bit("other_split")).alias("seen"),
        F.lit(2).cast("bigint").alias("utterances"),
    )
    turned = copies.select(F.col("other_id").alias("utterance_id"), F.col("utterance_id").alias("other_id"))
    held = copies.unionByName(turned).join(
        benchmarks.select(F.col("utterance_id").alias("other_id")), "other_id", how="left_semi"
    )
    shared = rows.join(held, "utterance_id", how="left_semi")
    return [_found(apart, "copy"), _found(_each(shared), "evaluation_corpus_copy")]


def _speaker_unknown(rows: DataFrame, listed: DataFrame | None) -> DataFrame:
    """Rows that evaluate, whoever speaks in them: he may train too. A list may say so, and a corpus of one speaker."""
    unknown = F.col("speaker_id").isNull() & F.col("known") & ~F.col("single_speaker")
    wrong = rows.filter((F.col("split") != "train") & unknown)
    if listed is not None:
        wrong = wrong.join(listed.select("utterance_id"), "utterance_id", how="left_anti")
    return _found(_each(wrong), "speaker_unknown")


def _off_its_list(rows: DataFrame, listed: DataFrame) -> DataFrame:
    """Listed rows on another side than their list's."""
    said = listed.select("utterance_id", F.col("listed").alias("list_of"))
    return _found(_each(rows.join(said, "utterance_id", how="inner").filter("split != list_of")), "listed")


def _moved(rows: DataFrame, assignments: DataFrame, before: DataFrame | None) -> DataFrame:
    """Rows whose own published side is another than the one they have now."""
    keyed = rows.withColumn("link_key", id_of(F.lit("utterance"), F.col("utterance_id")))
    published = assignments.select("link_key", F.col("side").alias("published"))
    both = ("utterance_id", "split", "published")
    said = keyed.join(published, "link_key", how="inner").select(*both)
    if before is not None:
        said = said.unionByName(rows.join(before, "utterance_id", how="inner").select(*both))
    moved = said.filter(F.col("split") != F.col("published")).groupBy(F.col("utterance_id").alias("value"))
    seen = F.bit_or(_bit("split").bitwiseOR(_bit("published"))).alias("seen")
    return _found(moved.agg(seen, F.lit(1).cast("bigint").alias("utterances")), "moved")


def _each(rows: DataFrame) -> DataFrame:
    """One line per utterance."""
    return rows.groupBy(F.col("utterance_id").alias("value")).agg(*_counted())


def _bit(side: str) -> Column:
    """The bit of a column's side; a table may be damaged past what its contract allows."""
    bits = (F.when(F.col(side) == name, F.lit(bit)) for name, bit in _BITS.items())
    return F.coalesce(*bits, F.lit(_BIT_OF_NO_SIDE))


def _counted() -> tuple[Column, Column]:
    """Aggregates of a group: the sides that are `seen` in it, and how many utterances."""
    return F.bit_or(_bit("split")).alias("seen"), F.count("*").alias("utterances")


def _astride() -> Column:
    return F.bit_count("seen") > 1


def _found(counted: DataFrame, kind: str | Column) -> DataFrame:
    """The lines of a kind of leak, their sides by name and in order."""
    bits = {**_BITS, _NO_SIDE: _BIT_OF_NO_SIDE}
    named = (F.when(F.col("seen").bitwiseAND(bit) > 0, F.lit(name)) for name, bit in bits.items())
    sides = F.array_compact(F.array(*named))
    said = F.lit(kind) if isinstance(kind, str) else kind
    return counted.select(said.alias("kind"), "value", sides.alias("sides"), "utterances")
