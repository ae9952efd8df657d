"""The part of the gate that counts what rows have in common: values on two sides, and rows that may not be there at all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.splits.gate_lines import BITS, astride, counted, is_boilerplate, lines

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, GroupedData

    # Kind, what must not be of the rows of one value, and the value.
    Said = list[tuple[str, int, Column]]

# What must not be of the rows of one value: any at all, two, train and another side with them, two sides; and two sides
# of a speaker, but inside one corpus that is declared to hold no other.
_ANY, _TWO, _TRAIN_AND_OTHER, _TWO_SIDES, _TWO_SIDES_OF_SPEAKER = range(5)


def of_build(
    rows: DataFrame, linked: Mapping[str, str], excluding: Collection[str], samples: DataFrame | None
) -> Iterator[DataFrame]:
    """Frames of (kind, value, sides, utterances): none where all is well.

    `rows` as `gate.leaks` joins them; `linked` names the column with the values of each thing that the policy links, of
    which those in `excluding` may be on both evaluation sides, not in train too. `samples` (split, samples_sha256,
    duplicate_kind) is what was decoded of rows, whatever `duplicates` says of it.

    Values are told apart by numbers first: where two have the same one, more is on it, never less. Hardly any build has
    anything wrong on a number, and then the values themselves, some five texts of each row, need not be moved.
    """
    said = _said(rows, linked, excluding)
    numbers = _spoken(rows, said, samples, _numbered).groupBy("wrong", "value")
    if not _leaking(numbers).isEmpty():
        exact = _spoken(rows, said, samples, _named).groupBy("kind", "wrong", "value")
        yield lines(_leaking(exact), F.col("kind"))


def _said(rows: DataFrame, linked: Mapping[str, str], excluding: Collection[str]) -> Said:
    """Copies, and whatever shares a part with them, are kind `duplicate`, what is cut out of the same bytes is kind
    `content`; boilerplate links nothing, and must not evaluate."""
    boilerplate = is_boilerplate()
    shared, cluster = (F.when(~boilerplate, F.col(name)) for name in ("overlap_id", "cluster_id"))
    content = F.when(~boilerplate, F.col("content_sha256")) if "content_sha256" in rows.columns else None
    return [
        ("speaker", _TWO_SIDES_OF_SPEAKER, F.col("speaker_id")),
        ("recording", _TWO_SIDES, F.col("recording_id")),
        *([] if content is None else [("content", _TWO_SIDES, content)]),
        ("duplicate", _TWO_SIDES, shared),
        ("duplicate", _TWO_SIDES, F.when(~cluster.eqNullSafe(shared), cluster)),
        *(
            (name, _TRAIN_AND_OTHER if name in excluding else _TWO_SIDES, F.col(column))
            for name, column in linked.items()
        ),
        ("utterance", _TWO, F.col("utterance_id")),
        ("unknown_utterance", _ANY, F.when(F.col("known").isNull(), F.col("utterance_id"))),
        ("boilerplate", _ANY, F.when(boilerplate & (F.col("split") != "train"), F.col("cluster_id"))),
    ]


def _named(kind: str, wrong: int, value: Column) -> Column:
    return F.struct(F.lit(kind).alias("kind"), F.lit(wrong).alias("wrong"), value.alias("value"))


def _numbered(kind: str, wrong: int, value: Column) -> Column:
    number = F.when(value.isNotNull(), F.xxhash64(F.lit(kind), value))
    return F.struct(F.lit(wrong).alias("wrong"), number.alias("value"))


def _spoken(
    rows: DataFrame, said: Said, samples: DataFrame | None, told: Callable[[str, int, Column], Column]
) -> DataFrame:
    """(split, corpus, single_speaker, and what is `told` of kind, wrong and value) for each value of each row.

    Corpora are told apart by a number, for one voice may be on several sides inside one corpus: the lowest of texts is
    looked for by sorting, and a lake has no billions of corpora.
    """
    corpus = F.xxhash64("corpus").alias("corpus")
    of_row = ("split", corpus, "single_speaker")
    each = [rows.select(*of_row, F.explode(F.array(*(told(*one) for one in said))).alias("said"))]
    if "heard" in rows.columns:
        # Apart: of each row with values, Spark would interpret what makes more of them out of an array.
        heard = rows.filter("heard IS NOT NULL").select(*of_row, F.explode("heard").alias("name"))
        speaker = told("speaker", _TWO_SIDES_OF_SPEAKER, F.col("name"))
        each.append(heard.select("split", "corpus", "single_speaker", speaker.alias("said")))
    if samples is not None:
        alike = told("samples", _TWO_SIDES, F.col("samples_sha256")).alias("said")
        nowhere = (F.lit(0).cast("bigint").alias("corpus"), F.lit(False).alias("single_speaker"))
        each.append(samples.filter(~is_boilerplate()).select("split", *nowhere, alike))
    spoken = reduce(lambda one, other: one.unionByName(other), each)
    return spoken.select("split", "corpus", "single_speaker", "said.*").filter("value IS NOT NULL")


def _leaking(values: GroupedData) -> DataFrame:
    """Counted groups of which something is as it must not be."""
    inside_one_corpus = (F.min("corpus") == F.max("corpus")) & F.bool_and("single_speaker")
    groups = values.agg(*counted(), inside_one_corpus.alias("inside"))
    trained = F.col("seen").bitwiseAND(BITS["train"]) > 0
    wrong = F.col("wrong")
    leaks = (
        F.when(wrong == _ANY, F.lit(True))
        .when(wrong == _TWO, F.col("utterances") > 1)
        .when(wrong == _TRAIN_AND_OTHER, astride() & trained)
        .when(wrong == _TWO_SIDES_OF_SPEAKER, astride() & ~F.coalesce("inside", F.lit(False)))
        .otherwise(astride())
    )
    return groups.filter(leaks)
