"""The check in the publishing path: recomputes, from exactly the rows to be published, what must never happen.

It shares nothing with the code that fills sides except the contract of an id and what makes two texts the same,
and looks at values, not keys.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.checkpoints import Staged, checkpointed, in_place
from speechlake.joins import sent_if_few
from speechlake.splits import gate_benchmarks, gate_speakers, gate_texts, gate_values
from speechlake.splits.columns import EXTRAS
from speechlake.splits.gate_lines import bit, each, is_boilerplate, lines
from speechlake.splits.keys import id_of
from speechlake.splits.policy_links import Decontaminate, Links
from speechlake.sql_text import literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import Column, DataFrame

    from speechlake.splits.policy import Policy

VERBATIM = "verbatim"
# What is looked at of an utterance, besides the sessions and columns that a policy links.
_LINKED = (
    *("utterance_id", "corpus", "single_speaker", "speaker_id", "recording_id", "text_tags"),
    *("overlap_id", "cluster_id", "duplicate_kind"),
)


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
    evaluated_texts: DataFrame | None = None,
) -> DataFrame:
    """(kind, value, sides, utterances) of everything that sits where it must not; no rows: publish.

    `split_rows` are the rows of `splits` of one build (utterance_id, split, text). `links` has one row per
    utterance, retired ones included: the columns of `utterances`, single_speaker, role, speaker_namespace,
    text_tags, cluster_id, overlap_id, duplicate_kind, and evaluation_texts for evaluation corpora.
    Those of evaluation corpora have their current `content_sha256` too.
    `assignments` holds link_key and side of the scheme, and `order` where several builds said a key, of which the lowest
    counts; `listed` (utterance_id, listed) the evaluation sets by list; `heard` (utterance_id, content_sha256,
    samples_sha256) what was decoded, and `copies` (utterance_id, other_id) what was found alike, so that copies are found
    of which `duplicates` does not tell yet.
    `before` (utterance_id, published) are rows of a release of the scheme, whatever `assignments` says of them, and
    `evaluated_texts` (text, prompts) what evaluates in its releases.

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
    held = gate_benchmarks.held(links, wanted, staged)
    read = ["content_sha256", *(["text"] if gate_texts.are_read(wanted, held is not None) else [])]
    written = split_rows.select("utterance_id", "split", *_if_there(split_rows, *read))
    # Each kind of leak reads it: without this, each would join all rows with all utterances again.
    rows = in_place(staged)("gate", written.join(known, "utterance_id", how="left"))
    rows = gate_speakers.with_heard(rows, links, staged)
    samples = None if heard is None else _decoded(rows, heard)
    found = [
        *gate_values.of_build(rows, values, excluding, samples),
        _moved(rows, assignments, before, staged),
        _speaker_unknown(rows, listed),
        *([] if copies is None else [_copies(rows, copies)]),
        *gate_texts.of_build(rows, wanted, evaluated_texts),
        *([] if listed is None else [_off_its_list(rows, listed)]),
        *(
            []
            if held is None
            else gate_benchmarks.leaks(rows, held, wanted, heard=heard, samples=samples, copies=copies)
        ),
    ]
    return reduce(lambda one, other: one.unionByName(other), found)


def _if_there(frame: DataFrame, *names: str) -> list[str]:
    return [name for name in names if name in frame.columns]


def _value(name: str) -> Column:
    """What a row has for a session, a column or an extra: in the namespace of its speakers where it has none."""
    if name == "session":
        return F.col("session_id")
    value = F.element_at("extras", F.lit(name[len(EXTRAS) :])) if name.startswith(EXTRAS) else F.col(name)
    return F.when(F.length(value) > 0, F.concat_ws(":", "speaker_namespace", value))


def _decoded(rows: DataFrame, heard: DataFrame) -> DataFrame:
    """What was decoded of each row: several samples, where versions of the extractor heard several."""
    theirs = heard.select(
        F.col("utterance_id").alias("theirs"), F.col("content_sha256").alias("heard_of"), "samples_sha256"
    )
    # A comparison from both sides is no key of the join: rows stay where they lie, by utterance.
    same = F.col("content_sha256").between(F.col("heard_of"), F.col("heard_of"))
    mine = rows.join(theirs, (F.col("utterance_id") == F.col("theirs")) & same, how="inner")
    return mine.select("utterance_id", "split", "samples_sha256", "duplicate_kind")


def _copies(rows: DataFrame, copies: DataFrame) -> DataFrame:
    """Pairs of copies on two sides, whatever `duplicates` makes of them."""
    mine = rows.filter(~is_boilerplate()).select("utterance_id", "split")
    other = mine.select(F.col("utterance_id").alias("other_id"), F.col("split").alias("other_split"))
    both = copies.join(mine, "utterance_id", how="inner").join(other, "other_id", how="inner")
    apart = both.filter("split != other_split").select(
        F.concat_ws(" ", "utterance_id", "other_id").alias("value"),
        bit("split").bitwiseOR(bit("other_split")).alias("seen"),
        F.lit(2).cast("bigint").alias("utterances"),
    )
    return lines(apart, "copy")


def _speaker_unknown(rows: DataFrame, listed: DataFrame | None) -> DataFrame:
    """Rows that evaluate, whoever speaks in them: he may train too. A list may say so, and a corpus of one speaker."""
    unknown = F.col("speaker_id").isNull() & F.col("known") & ~F.col("single_speaker")
    wrong = rows.filter((F.col("split") != "train") & unknown)
    if listed is not None:
        wrong = wrong.join(listed.select("utterance_id"), "utterance_id", how="left_anti")
    return lines(each(wrong), "speaker_unknown")


def _off_its_list(rows: DataFrame, listed: DataFrame) -> DataFrame:
    """Listed rows on another side than their list's."""
    said = listed.select("utterance_id", F.col("listed").alias("list_of"))
    return lines(each(rows.join(said, "utterance_id", how="inner").filter("split != list_of")), "listed")


def _moved(rows: DataFrame, assignments: DataFrame, before: DataFrame | None, staged: Staged) -> DataFrame:
    """Rows whose own published side is another than the one they have now.

    Few rows are asked: those that evaluate, and of train those that some build said to evaluate.
    """
    evaluates = ~F.col("split").eqNullSafe("train")
    own = id_of(literal("utterance"), "utterance_id").alias("link_key")
    keyed = rows.select("utterance_id", "split", own)
    said = assignments.filter("side != 'train'").select("link_key").distinct()
    trains = keyed.filter(~evaluates).join(
        sent_if_few(staged("gate evaluated", said)), "link_key", how="left_semi"
    )
    asked = sent_if_few(staged("gate asked", keyed.filter(evaluates).unionByName(trains)))
    order = F.col("order") if "order" in assignments.columns else F.lit(0)
    known = assignments.join(asked.select("link_key").distinct(), "link_key", how="left_semi")
    published = known.groupBy("link_key").agg(F.min_by("side", order).alias("published"))
    both = ("utterance_id", "split", "published")
    found = asked.join(published, "link_key", how="inner").select(*both)
    if before is not None:
        found = found.unionByName(rows.join(before, "utterance_id", how="inner").select(*both))
    moved = found.filter(F.col("split") != F.col("published")).groupBy(F.col("utterance_id").alias("value"))
    seen = F.bit_or(bit("split").bitwiseOR(bit("published"))).alias("seen")
    return lines(moved.agg(seen, F.lit(1).cast("bigint").alias("utterances")), "moved")
