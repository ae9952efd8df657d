"""Which rows of which table go with an utterance, a recording, a manifest, a corpus; and what others' rows lose."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from erasure_tools import SALT, Frames, plan

from speechlake.erasure.tables import OF_NOBODY, going, redacted, ways_of
from speechlake.erasure.tombstones import hash_of, hashed
from speechlake.schemas import (
    ASSIGNMENTS,
    AUDIO_PAIRS,
    DECISIONS,
    IMPORT_REFUSALS,
    QUARANTINE,
    RECORDINGS,
    RELEASES,
    RUNS,
    SEGMENTATIONS,
    SPLITS,
    TABLES,
    TRANSCRIPTS,
    UTTERANCES,
    Table,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Rows = Callable[..., "DataFrame"]


def keys(frame: DataFrame | None, *columns: str) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in frame.select(*columns).collect()) if frame is not None else []


def of(spark: SparkSession, table: Table, frame: DataFrame) -> Any:
    return Frames(spark, {table.name: frame})


def test_every_table_loses_rows_of_a_person_or_is_said_to_hold_none() -> None:
    # A new table must say here which of its rows go with a person.
    without = {name for name in TABLES if not ways_of(name)}
    assert without == {*OF_NOBODY, "releases", "runs"}


def test_the_hash_of_a_column_is_that_of_the_value(spark: SparkSession) -> None:
    frame = spark.createDataFrame([("c", "Zoë"), ("c", None)], "corpus string, id string")
    found = [row[0] for row in frame.select(hashed(SALT, "source_id", "corpus", "id")).collect()]
    assert found == [hash_of(SALT, "source_id", "c", "Zoë"), None]


def test_every_column_that_holds_an_id_of_an_utterance_counts(spark: SparkSession, rows: Rows) -> None:
    pairs = rows(
        AUDIO_PAIRS, ("u1", {"other_id": "u2"}), ("u2", {"other_id": "u3"}), ("u3", {"other_id": "u4"})
    )
    gone = going(of(spark, AUDIO_PAIRS, pairs), "audio_pairs", plan(spark, utterance=["u2"]))
    assert keys(gone, "utterance_id", "other_id") == [("u1", "u2"), ("u2", "u3")]


def test_a_corpus_takes_its_rows_along(spark: SparkSession, rows: Rows) -> None:
    said = rows(
        TRANSCRIPTS, ("u1", {"corpus": "a", "kind": "human"}), ("u2", {"corpus": "b", "kind": "human"})
    )
    gone = going(of(spark, TRANSCRIPTS, said), "transcripts", plan(spark, corpus=["a"]))
    assert keys(gone, "utterance_id") == [("u1",)]


def test_a_release_loses_rows_of_whom_they_were_published_as(spark: SparkSession, rows: Rows) -> None:
    said = {"u1": ("b", "c:zoe"), "u2": ("b", "c:ben"), "u3": ("b", None), "u4": ("older", "c:zoe")}
    filled = [(u, {"build_id": b, "speaker_id": who}) for u, (b, who) in said.items()]
    lake = of(spark, SPLITS, rows(SPLITS, *filled))
    gone = going(lake, "splits", plan(spark, speaker=["c:zoe"], utterance=["u1"]))
    assert keys(gone, "build_id", "utterance_id") == [("b", "u1"), ("older", "u4")]


@pytest.mark.parametrize("table", [UTTERANCES, TRANSCRIPTS, RECORDINGS])
def test_what_a_manifest_that_goes_had_retired_forgets_its_name_and_stays_retired(
    spark: SparkSession, rows: Rows, table: Table
) -> None:
    marks = {"1": "zoe#1.jsonl#2", "2": "all.jsonl#3", "3": None, "4": "segmented:f"}
    filled = [(n, {"corpus": "c", "retired_in": mark}) for n, mark in marks.items()]
    asked = plan(spark, manifest_uri=[("c", "zoe#1.jsonl"), ("d", "all.jsonl")])
    less = redacted(of(spark, table, rows(table, *filled)), table.name, asked)
    assert keys(less, table.key[0], "retired_in") == [("1", "erased")]


def test_link_keys_go_as_they_are(spark: SparkSession, rows: Rows) -> None:
    said = rows(
        ASSIGNMENTS, ("main", {"link_key": "k1", "side": "test"}), ("main", {"link_key": "k2", "side": "dev"})
    )
    gone = going(of(spark, ASSIGNMENTS, said), "assignments", plan(spark, link_key=["k1"]))
    assert keys(gone, "link_key") == [("k1",)]


def test_refused_rows_of_imports_go_by_utterance_and_by_source_id_of_their_corpus(
    spark: SparkSession, rows: Rows
) -> None:
    said = {"1": ("u1", None), "2": ("call-7", "a"), "3": ("call-7", "b"), "4": ("u9", "a")}
    filled = rows(
        IMPORT_REFUSALS, *[(n, {"row_id": n, "given": g, "corpus": c}) for n, (g, c) in said.items()]
    )
    asked = plan(spark, utterance=["u1"], given=[("a", "call-7")])
    gone = going(of(spark, IMPORT_REFUSALS, filled), "import_refusals", asked)
    assert keys(gone, "row_id") == [("1",), ("2",)]


def test_refused_rows_of_imports_that_named_no_corpus_forget_whom_they_named(
    spark: SparkSession, rows: Rows
) -> None:
    said = {"1": ("call-7", None), "2": ("call-7", "b"), "3": ("0" * 32, None), "4": (None, None)}
    filled = [(n, {"row_id": n, "given": g, "corpus": c, "said": "words"}) for n, (g, c) in said.items()]
    lake = of(spark, IMPORT_REFUSALS, rows(IMPORT_REFUSALS, *filled))
    less = redacted(lake, "import_refusals", plan(spark, given=[("a", "call-7")]))
    assert keys(less, "row_id", "given", "said", "detail") == [(n, None, None, None) for n in ("1", "4")]


def test_a_corpus_goes_out_of_runs_that_an_earlier_erasure_redacted(spark: SparkSession, rows: Rows) -> None:
    before = {"arguments": '{"redacted":"erase-speakers"}', "scope": "a"}
    told = {"1": before, "2": before | {"scope": "b"}, "3": {"arguments": "{}", "scope": "b"}}
    less = redacted(
        of(spark, RUNS, rows(RUNS, *told.items())), "runs", plan(spark, run=["1", "2", "3"], corpus=["a"])
    )
    assert keys(less, "run_id", "scope") == [("1", "erased"), ("3", "b")]


def test_a_manifest_takes_its_refused_lines_along_and_others_lose_their_bytes(
    spark: SparkSession, rows: Rows
) -> None:
    lines = [
        ("c", {"uri": "zoe", "byte_offset": 1, "raw_line": b"zoe", "reason": "BAD_JSON"}),
        ("c", {"uri": "all", "byte_offset": 2, "raw_line": b"zoe?", "reason": "BAD_JSON"}),
        ("d", {"uri": "all", "byte_offset": 3, "raw_line": b"fine", "reason": "BAD_JSON"}),
    ]
    lake = of(spark, QUARANTINE, rows(QUARANTINE, *lines))
    asked = plan(spark, manifest_uri=[("c", "zoe")], lines=["c"])
    assert keys(going(lake, "quarantine", asked), "byte_offset") == [(1,)]
    less = redacted(lake, "quarantine", asked)
    assert keys(less, "byte_offset", "raw_line", "reason") == [(1, None, "BAD_JSON"), (2, None, "BAD_JSON")]


def test_what_else_was_cut_out_of_a_recording_stays(spark: SparkSession, rows: Rows) -> None:
    segments = [("s1", 0, 5), ("s2", 5, 9)]
    filled = rows(SEGMENTATIONS, ("u1", {"segments": segments, "utterances": 2}), ("u2", {"utterances": 0}))
    less = redacted(of(spark, SEGMENTATIONS, filled), "segmentations", plan(spark, utterance=["s2"]))
    assert less is not None
    [row] = less.collect()
    assert (row.utterance_id, row.utterances, [s.utterance_id for s in row.segments]) == ("u1", 1, ["s1"])


def test_a_decision_about_another_forgets_which_copy_was_kept(spark: SparkSession, rows: Rows) -> None:
    said = [
        ("u1", {"value": "u2"}),
        ("u3", {"value": "0.2"}),
        ("u4", {"value": None}),
        ("u5", {"value": "a"}),
    ]
    asked = plan(spark, utterance=["u2"], corpus=["a"])
    less = redacted(of(spark, DECISIONS, rows(DECISIONS, *said)), "decisions", asked)
    assert keys(less, "utterance_id", "value") == [("u1", None), ("u5", None)]


def test_releases_forget_the_counts_of_a_corpus_that_goes(spark: SparkSession, rows: Rows) -> None:
    counts = [(corpus, "en", "train", 1, 0.1, 1) for corpus in ("a", "b")]
    told = rows(RELEASES, ("x", {"counts": counts, "warnings": ["fine"]}), ("y", {"counts": counts[1:]}))
    less = redacted(of(spark, RELEASES, told), "releases", plan(spark, corpus=["a"]))
    assert less is not None
    [row] = less.collect()
    assert (row.release, row.warnings, [each.corpus for each in row.counts]) == ("x", ["fine"], ["b"])


def test_runs_forget_what_they_were_told_and_releases_the_sentences_that_name_somebody(
    spark: SparkSession, rows: Rows
) -> None:
    import hashlib

    runs = rows(
        RUNS, ("r1", {"arguments": '{"x":"zoe"}', "scope": "a"}), ("r2", {"arguments": "{}", "scope": "b"})
    )
    less = redacted(of(spark, RUNS, runs), "runs", plan(spark, run=["r1"], corpus=["a"]))
    assert less is not None
    assert keys(less, "run_id", "scope", "arguments_sha256") == [("r1", "erased", "")]
    told = rows(
        RELEASES, ("x", {"warnings": ["zoe is large", "short of speakers"]}), ("y", {"warnings": ["fine"]})
    )
    sentence = hashlib.sha256(b"zoe is large").hexdigest()
    less = redacted(of(spark, RELEASES, told), "releases", plan(spark, warning=[sentence]))
    assert less is not None
    assert [(row.release, row.warnings) for row in less.collect()] == [("x", ["short of speakers"])]


@pytest.mark.parametrize("name", ["runs", "releases", "quarantine", "segmentations", "decisions"])
def test_where_nothing_is_named_nothing_is_redacted(spark: SparkSession, rows: Rows, name: str) -> None:
    lake = of(spark, TABLES[name], rows(TABLES[name], ("a", {})))
    less = redacted(lake, name, plan(spark, utterance=["u9"]))
    assert keys(less, TABLES[name].key[0]) == []
