"""Rows of a source and their utterances: every one is taken, a repeat of a taken one, or refused with a reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from speechlake.errors import NoStore, UsageError
from speechlake.feedback import parquet_source
from speechlake.feedback import source as sources
from speechlake.feedback.json_values import ROWS_DDL
from speechlake.feedback.rows import bound, counts, source_rows
from speechlake.feedback.source import found_source, unreadable, with_types
from speechlake.feedback.spec import Import, ValueColumn
from speechlake.feedback.verdicts import ANSWERS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

LOSS = Import("asr", columns=(ValueColumn("loss", "loss", "number"),))
BY_SOURCE = replace(LOSS, key="id", by_source_id=True)
UTTERANCES = [
    # utterance_id, corpus, source_id, content_sha256, language, retired
    ("u1", "c", "s1", "content1", "en", False),
    ("u2", "c", "s2", "content2", None, False),
    ("u3", "c", "s3", None, "en", False),  # never read
    ("u4", "d", "s1", "content4", "de", False),  # another corpus's s1
    ("u5", "c", "twice", "content5", "en", False),
    ("u6", "c", "twice", "content6", "en", False),
    ("u7", "c", "s2", "content7", "en", True),  # what s2 was once
]


@pytest.fixture(scope="module")
def utterances(spark: SparkSession) -> DataFrame:
    names = "utterance_id string, corpus string, source_id string, content_sha256 string, language string"
    return spark.createDataFrame(UTTERANCES, f"{names}, retired boolean")


def ends(
    spark: SparkSession, utterances: DataFrame, spec: Import, *rows: tuple[Any, ...]
) -> list[tuple[Any, ...]]:
    """(given, outcome or reason, utterance_id) of rows (given, corpus, loss), sorted."""
    data = [
        (given, corpus, [("loss", loss, None, None)] if loss is not None else [], None, reason, None)
        for given, corpus, loss, reason in (row if len(row) == 4 else (*row, None) for row in rows)
    ]
    found = bound(spark.createDataFrame(data, ROWS_DDL), utterances, spec).collect()
    return sorted((row.given or "", row.reason or row.outcome, row.utterance_id) for row in found)


def test_rows_are_bound_by_utterance_id(spark, utterances):
    assert ends(
        spark,
        utterances,
        LOSS,
        ("u1", None, 1.0),
        ("u2", "c", 2.0),
        ("u4", "c", 3.0),
        ("u9", None, 4.0),
        (None, None, 5.0),
        ("u3", None, 6.0),
        ("u5", None, None, "BAD_NUMBER"),
    ) == [
        ("", "NO_ID", None),
        ("u1", "accepted", "u1"),
        ("u2", "accepted", "u2"),
        ("u3", "CONTENT_UNKNOWN", "u3"),
        ("u4", "OTHER_CORPUS", "u4"),
        ("u5", "BAD_NUMBER", "u5"),
        ("u9", "UNKNOWN_UTTERANCE", None),
    ]


def test_of_rows_that_say_different_things_of_an_utterance_none_is_taken_and_equal_ones_repeat(
    spark, utterances
):
    rows = [("u1", None, 1.0), ("u1", None, 1.5), ("u2", None, 2.0), ("u2", None, 2.0), ("u2", None, 2.0)]
    assert ends(spark, utterances, LOSS, *rows) == [
        ("u1", "DUPLICATE", "u1"),
        ("u1", "DUPLICATE", "u1"),
        ("u2", "accepted", "u2"),
        ("u2", "repeat", "u2"),
        ("u2", "repeat", "u2"),
    ]


def test_a_refused_row_takes_no_good_one_with_it(spark, utterances):
    rows = [("u1", None, 1.0), ("u1", None, None, "BAD_NUMBER")]
    assert ends(spark, utterances, LOSS, *rows) == [("u1", "BAD_NUMBER", "u1"), ("u1", "accepted", "u1")]


def test_source_ids_are_those_of_a_corpus_and_of_what_is_not_retired(spark, utterances):
    rows = [("s1", "c", 1.0), ("s1", "d", 2.0), ("s2", "c", 3.0), ("twice", "c", 4.0), ("s1", "e", 5.0)]
    assert ends(spark, utterances, BY_SOURCE, *rows) == [
        ("s1", "UNKNOWN_UTTERANCE", None),
        ("s1", "accepted", "u1"),
        ("s1", "accepted", "u4"),
        ("s2", "accepted", "u2"),
        ("twice", "AMBIGUOUS_ID", "u5"),
    ]


def test_the_corpus_of_an_import_stands_in_where_rows_name_none(spark, utterances):
    assert ends(spark, utterances, replace(BY_SOURCE, corpus="d"), ("s1", None, 1.0)) == [
        ("s1", "accepted", "u4")
    ]


def test_a_row_that_names_another_corpus_than_the_import_is_refused(spark, utterances):
    rows = [("s1", "d", 1.0), ("s1", "c", 2.0)]
    assert ends(spark, utterances, replace(BY_SOURCE, corpus="c"), *rows) == [
        ("s1", "OTHER_CORPUS", "u1"),
        ("s1", "accepted", "u1"),
    ]
    assert ends(spark, utterances, replace(LOSS, corpus="c"), ("u1", "d", 1.0)) == [
        ("u1", "OTHER_CORPUS", "u1")
    ]


def test_texts_alone_ask_for_no_content(spark, utterances):
    text = Import("asr", text="loss", kind="human")
    assert ends(spark, utterances, text, ("u3", None, 1.0)) == [("u3", "accepted", "u3")]


def answer(**said: str | None) -> list[tuple[str, None, None, str]]:
    """What a row of a review says, but for what is null in `said`."""
    whole = {"verdict": "good", "rule": "length", "decision": "removed", **said}
    return [(field, None, None, word) for field, word in whole.items() if word is not None]


def test_an_answer_that_lacks_what_it_answers_is_refused(spark, utterances):
    lacking = {"u1": {}, "u2": {"rule": None}, "u4": {"decision": "out"}, "u5": {"verdict": None}}
    rows = [(given, None, answer(**said), *(None,) * 3) for given, said in lacking.items()]
    found = bound(spark.createDataFrame(rows, ROWS_DDL), utterances, Import("r", columns=ANSWERS)).collect()
    assert {row.given: row.reason or row.outcome for row in found} == {
        "u1": "accepted",
        **dict.fromkeys(("u2", "u4", "u5"), "INCOMPLETE_ANSWER"),
    }


def test_an_answer_of_a_review_has_a_verdict_that_is_known_and_stands_for_somebody(spark, utterances):
    answers = {
        "u1": ("good", 9.0),
        "u2": ("skip", None),
        "u4": ("bad audio", 9.0),
        "u5": ("Bad_audio", None),
        "u6": ("bad_audio", 0.0),
    }
    rows = [
        (
            given,
            None,
            answer(verdict=verdict) + [("population", n, None, None)] * (n is not None),
            *(None,) * 3,
        )
        for given, (verdict, n) in answers.items()
    ]
    frame = spark.createDataFrame(rows, ROWS_DDL)
    found = bound(frame, utterances, Import("review_length", columns=ANSWERS)).collect()
    assert {row.given: row.reason or row.outcome for row in found} == {
        "u1": "accepted",
        "u2": "accepted",
        "u4": "UNKNOWN_VERDICT",
        "u5": "UNKNOWN_VERDICT",
        "u6": "BAD_POPULATION",
    }
    # To another import a column of this name is a word like any other.
    other = Import("other", columns=(ValueColumn("verdict", "verdict", "string"),))
    assert {row.outcome for row in bound(frame, utterances, other).collect()} == {"accepted"}


def test_what_two_reviewers_say_of_a_clip_counts_once_where_they_agree(spark, utterances):
    heard = [("u1", "ann", "good"), ("u1", "bob", "good"), ("u2", "ann", "good"), ("u2", "bob", "bad_text")]
    rows = [
        (given, None, answer(verdict=verdict, reviewer=who), *(None,) * 3) for given, who, verdict in heard
    ]
    frame = spark.createDataFrame(rows, ROWS_DDL)
    found = bound(frame, utterances, Import("review_length", columns=ANSWERS)).collect()
    assert sorted((row.given, row.reason or row.outcome) for row in found) == [
        ("u1", "accepted"), ("u1", "repeat"), ("u2", "DUPLICATE"), ("u2", "DUPLICATE")
    ]  # fmt: skip


def test_answers_about_several_rules_are_not_taken_for_one_another(spark, utterances):
    heard = [
        ("u1", "error_rate", "at_most 0.3"), ("u1", "is_speech", "at_least 0.5"),
        ("u2", "error_rate", "at_most 0.3"), ("u2", "error_rate", None),
        ("u4", "error_rate", "at_most 0.3"), ("u4", "error_rate", "at_most 0.2"),
    ]  # fmt: skip
    rows = [
        (
            given,
            None,
            answer(rule=rule, asked=asked),
            *(None,) * 3,
        )
        for given, rule, asked in heard
    ]
    found = bound(spark.createDataFrame(rows, ROWS_DDL), utterances, Import("r", columns=ANSWERS)).collect()
    assert sorted((row.given, row.reason or row.outcome) for row in found) == [
        ("u1", "SEVERAL_QUESTIONS"), ("u1", "SEVERAL_QUESTIONS"),
        ("u2", "accepted"), ("u2", "repeat"),
        ("u4", "SEVERAL_QUESTIONS"), ("u4", "SEVERAL_QUESTIONS"),
    ]  # fmt: skip


def test_outcomes_and_reasons_are_counted(spark):
    rows = [
        ("accepted", None, [1]),
        ("accepted", None, [1, 2]),
        ("repeat", None, [1]),
        ("refused", "NO_ID", []),
    ]
    frame = spark.createDataFrame(rows, "outcome string, reason string, said array<int>")
    assert counts(frame) == {
        "rows": 4, "accepted": 2, "repeats": 1, "refused": 1, "values": 3, "refused_no_id": 1,
    }  # fmt: skip


def test_columns_of_parquet_become_values_and_what_is_no_value_is_refused(spark, tmp_path):
    spec = Import(
        "asr",
        columns=(
            ValueColumn("loss", "CE `loss`", "number"),
            ValueColumn("seen", "seen", "boolean"),
            ValueColumn("note", "note", "string"),
            ValueColumn("rank", "rank", "number"),
        ),
    )
    data = [
        ("u1", 1.5, True, "hard", 2**53),
        ("u2", None, False, None, None),
        ("u3", float("nan"), None, None, 1),
        ("u4", float("-inf"), None, None, 1),
        ("u5", None, None, "x" * 1001, 1),
        ("u6", None, None, "a\0b", 1),
        ("u7", 1e300, None, None, None),
        ("u8", None, None, None, 2**53 + 1),
    ]
    names = "utterance_id string, `CE ``loss``` double, seen boolean, note string, rank bigint"
    frame = spark.createDataFrame(data, names)
    frame.coalesce(1).write.parquet(str(tmp_path / "p"))
    rows = source_rows(spark, spec, found_source(spark, spec, str(tmp_path / "p"))).collect()
    found = {row.given: row.reason or [(v.field, v.number, v.flag, v.word) for v in row.said] for row in rows}
    assert found == {
        "u1": [
            ("CE `loss`", 1.5, None, None),
            ("seen", None, True, None),
            ("note", None, None, "hard"),
            ("rank", 2.0**53, None, None),
        ],
        "u2": [("seen", None, False, None)],
        "u3": "BAD_NUMBER",
        "u4": "BAD_NUMBER",
        "u5": "TOO_LONG",
        "u6": "CONTROL_CHARACTER",
        "u7": [("CE `loss`", 1e300, None, None)],
        "u8": "BAD_NUMBER",
    }


def parquet(path: Path, utterance_id: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"utterance_id": [utterance_id], "loss": [1.0]}), path)


@pytest.mark.parametrize("second", ["2026/b.parquet", "[x]{y}*?/b.parquet", "day=1/b.parquet"])
def test_every_file_of_a_folder_is_read_in_whatever_folder_and_under_whatever_name(spark, tmp_path, second):
    folder = tmp_path / "losses [1]"
    parquet(folder / "a.parquet", "u1")
    parquet(folder / second, "u2")
    source = found_source(spark, LOSS, str(folder))
    assert [row.given for row in source_rows(spark, LOSS, source).orderBy("given").collect()] == ["u1", "u2"]


def test_a_folder_called_column_and_value_is_a_column(spark, tmp_path):
    parquet(tmp_path / "corpus=c" / "a.parquet", "u1")
    parquet(tmp_path / "corpus=d" / "[b].parquet", "u4")
    rows = source_rows(spark, LOSS, found_source(spark, LOSS, str(tmp_path)))
    found = rows.orderBy("given").collect()
    assert [(row.given, row.corpus) for row in found] == [("u1", "c"), ("u4", "d")]


def test_a_file_that_is_no_parquet_is_named(spark, tmp_path):
    parquet(tmp_path / "a.parquet", "u1")
    (tmp_path / "b.parquet").write_text("no")
    with pytest.raises(UsageError, match=r"b\.parquet: this is no Parquet file"):
        found_source(spark, LOSS, str(tmp_path))


def test_a_column_that_no_json_line_names_is_refused_and_one_of_the_last_line_is_not(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the import would take rows without a value, and what was imported before would be current no more."""
    monkeypatch.setattr(sources, "LINES_LOOKED_AT", 1)
    path = tmp_path / "losses.jsonl"
    line = '{"utterance_id": "u1", "los": 1.0}\n'
    path.write_text(f"{line}no JSON\n")
    with pytest.raises(UsageError, match=r"losses.jsonl has no column 'loss'\n.*Did you mean 'los'"):
        found_source(spark, LOSS, str(path))
    path.write_text(line + '{"utterance_id": "u2", "loss": null}\n')
    assert found_source(spark, LOSS, str(path)).types == {}


def test_answers_of_a_review_need_what_they_answer_and_may_lack_the_rest(
    spark: SparkSession, tmp_path: Path
) -> None:
    path = tmp_path / "answers.jsonl"
    answer = {"utterance_id": "u1", "verdict": "good", "rule": "length", "decision": "kept"}
    path.write_text(json.dumps(answer))
    spec = Import("review_length", columns=ANSWERS)
    assert found_source(spark, spec, str(path)).types == dict.fromkeys(
        ("verdict", "rule", "decision"), "string"
    )
    for name in ("verdict", "rule", "decision"):
        path.write_text(json.dumps({key: word for key, word in answer.items() if key != name}))
        with pytest.raises(UsageError, match=f"has no column '{name}'"):
            found_source(spark, spec, str(path))


def test_a_source_id_without_its_corpus_is_refused(spark, tmp_path):
    lines, table = tmp_path / "a.jsonl", tmp_path / "a.parquet"
    lines.write_text('{"id": "s1", "loss": 1.0}\n')
    pq.write_table(pa.table({"id": ["s1"], "loss": [1.0]}), table)
    for path in (lines, table):
        with pytest.raises(UsageError, match=r"has no column 'corpus'\n.*name it by --corpus"):
            found_source(spark, BY_SOURCE, str(path))
        assert found_source(spark, replace(BY_SOURCE, corpus="c"), str(path)).types == {"loss": "number"}


def test_json_lines_without_a_line_are_told(spark, tmp_path):
    (tmp_path / "a.jsonl").write_text("\n")
    with pytest.raises(UsageError, match="there are no rows"):
        found_source(spark, LOSS, str(tmp_path / "a.jsonl"))
    # Damage is no lack of rows: they are refused, and told.
    (tmp_path / "b.jsonl.gz").write_text("no gzip")
    source = found_source(spark, LOSS, str(tmp_path / "b.jsonl.gz"))
    assert [row.reason for row in source_rows(spark, LOSS, source).collect()] == ["UNREADABLE"]


def test_a_column_of_nulls_alone_has_the_type_that_is_said(spark, tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"utterance_id": ["u1"], "loss": [None]}), path)
    source = found_source(spark, LOSS, str(path))
    assert with_types(LOSS, source) == LOSS
    with pytest.raises(UsageError, match=r"nulls alone do not tell the type of 'loss'\n.*loss=loss:number"):
        with_types(replace(LOSS, columns=(ValueColumn("loss", "loss"),)), source)
    with pytest.raises(UsageError, match="column 'loss' is null, a text is a string"):
        with_types(Import("asr", text="loss", kind="human"), source)


def test_a_name_that_is_there_twice_and_a_codec_that_spark_lacks_are_told(spark, tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array(["u1"])] * 2, ["utterance_id"] * 2), path)
    with pytest.raises(UsageError, match="column 'utterance_id' is there twice"):
        found_source(spark, LOSS, str(path))
    table = pa.table({"utterance_id": ["u1"], "loss": [1.0], "other": [1.0]})
    pq.write_table(table, path, compression={"utterance_id": "zstd", "loss": "brotli", "other": "zstd"})
    with pytest.raises(UsageError, match=r"'loss' is compressed by brotli.*\n.*zstd"):
        found_source(spark, LOSS, str(path))
    # What nobody asks for hinders nobody.
    pq.write_table(table, path, compression={"utterance_id": "zstd", "loss": "zstd", "other": "brotli"})
    source = found_source(spark, LOSS, str(path))
    assert [row.given for row in source_rows(spark, LOSS, source).collect()] == ["u1"]


def test_a_page_of_a_file_that_is_damaged_is_told_with_its_file(spark, tmp_path):
    path = tmp_path / "losses of 1%25" / "a.parquet"
    path.parent.mkdir()
    ids = [f"u{n}" for n in range(2000)]
    pq.write_table(pa.table({"utterance_id": ids, "loss": [float(n) for n in range(2000)]}), path)
    source = found_source(spark, LOSS, str(path))
    whole = bytearray(path.read_bytes())
    whole[100:400] = bytes(300)
    path.write_bytes(whole)
    with pytest.raises(Exception, match="FAILED_READ_FILE") as caught:
        source_rows(spark, LOSS, source).collect()
    told = unreadable(source, caught.value)
    assert "a.parquet: a file of it is gone or damaged" in str(told)
    path.unlink()
    with pytest.raises(Exception, match="PATH_NOT_FOUND") as caught:
        source_rows(spark, LOSS, source)
    assert unreadable(source, caught.value) is not None
    assert unreadable(source, ValueError("FAILED_READ_FILE elsewhere")) is None


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ({"utterance_id": ["u2"], "los": [1.0]}, "column 'loss' is not there, in .*a.parquet it is double"),
        ({"utterance_id": ["u2"], "loss": ["1"]}, "column 'loss' is string, in .*a.parquet it is double"),
        ({"utterance_id": [2], "loss": [1.0]}, "column 'utterance_id' is int64, in .*a.parquet it is string"),
    ],
)
def test_parquet_files_that_differ_in_what_is_imported_are_refused(
    spark: SparkSession, tmp_path: Path, second: dict[str, list[Any]], told: str
) -> None:
    parquet(tmp_path / "a.parquet", "u1")
    pq.write_table(pa.table(second), tmp_path / "b.parquet")
    with pytest.raises(UsageError, match=rf"b\.parquet: {told}"):
        found_source(spark, LOSS, str(tmp_path))


def test_strings_are_strings_however_arrow_holds_them(tmp_path: Path) -> None:
    """Else files of pandas would differ from those of Spark."""
    words, types = pa.array(["x", "y"]), []
    for form in (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        pq.write_table(pa.table({"word": words.cast(form), "other": words}), tmp_path / "a.parquet")
        types.append(parquet_source.columns_of(str(tmp_path / "a.parquet"), []))
    assert types == [{"word": pa.string(), "other": pa.string()}] * 3


def test_columns_that_spark_cannot_read_hinder_nobody_who_does_not_import_them(
    spark: SparkSession, tmp_path: Path
) -> None:
    """pandas writes times to the nanosecond, and Spark refuses a file for them."""
    others = {
        "at": pa.array([0], pa.timestamp("ns")),
        "embedding": pa.array([1.0], pa.float16()),
        "at_day": pa.array([0], pa.time64("ns")),
        "total": pa.array([1], pa.decimal256(60, 2)),
        "Other": pa.array([1]),
        "other": pa.array([2]),
    }
    pq.write_table(pa.table({"utterance_id": ["u1"], "loss": [0.5], **others}), tmp_path / "a.parquet")
    source = found_source(spark, LOSS, str(tmp_path / "a.parquet"))
    assert [row.said[0].number for row in source_rows(spark, LOSS, source).collect()] == [0.5]


@pytest.mark.parametrize(
    ("values", "number"),
    [
        (pa.array([7], pa.uint8()), 7.0),
        (pa.array([70_000], pa.uint32()), 70_000.0),
        (pa.array([7], pa.uint64()), 7.0),
        (pa.array([0.5], pa.float32()), 0.5),
        (pa.nulls(1), None),
    ],
)
def test_numbers_of_parquet_are_numbers_however_wide(
    spark: SparkSession, tmp_path: Path, values: pa.Array, number: float | None
) -> None:
    pq.write_table(pa.table({"utterance_id": ["u1"], "loss": values}), tmp_path / "a.parquet")
    source = found_source(spark, LOSS, str(tmp_path / "a.parquet"))
    said = source_rows(spark, LOSS, source).collect()[0].said
    assert [value.number for value in said] == ([] if number is None else [number])


@pytest.mark.parametrize(
    ("name", "columns", "told"),
    [
        (
            "a.parquet",
            {"loss": pa.array([1.0], pa.float16())},
            "'loss' is halffloat, which Spark cannot read",
        ),
        ("a.parquet", {"loss": [1.0], "Loss": [2.0]}, "'loss' and 'Loss': Spark does not tell capitals"),
        ("a.parquet", {"los": [1.0]}, "has no column 'loss'\n.*Did you mean 'los'"),
        ("_a.parquet", {"loss": [1.0]}, "Spark does not read a file of this name"),
        ("1:2.parquet", {"loss": [1.0]}, "Spark does not read a file of this name"),
    ],
)
def test_parquet_that_spark_cannot_read_is_refused_with_what_to_do(
    spark: SparkSession, tmp_path: Path, name: str, columns: dict[str, Any], told: str
) -> None:
    pq.write_table(pa.table({"utterance_id": ["u1"], **columns}), tmp_path / name)
    with pytest.raises(UsageError, match=told):
        found_source(spark, LOSS, str(tmp_path / name))


@pytest.mark.parametrize("text", ['[{"utterance_id": "u1", "loss": 1}]', '{"loss": 1}'.encode("utf-16")])
def test_what_is_no_json_lines_is_told(spark: SparkSession, tmp_path: Path, text: str | bytes) -> None:
    (tmp_path / "a.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    spec = replace(LOSS, columns=(ValueColumn("loss", "loss"),))
    with pytest.raises(UsageError, match="none of the first 1 lines is a JSON object"):
        found_source(spark, spec, str(tmp_path / "a.json"))


@pytest.mark.parametrize(
    ("uri", "error", "told"),
    [
        ("s3://b/a.parquet", OSError("AWS Error NETWORK_CONNECTION: curlCode: 28, timed out"), NoStore),
        ("s3://b/a.parquet", OSError("AWS Error ACCESS_DENIED during HeadObject operation"), UsageError),
        ("s3://b/a.parquet", FileNotFoundError("no bucket"), UsageError),
        ("/a.parquet", OSError(5, "Input/output error"), UsageError),
    ],
)
def test_a_store_that_does_not_answer_is_neither_a_mistake_nor_a_file_that_is_no_parquet(
    monkeypatch: pytest.MonkeyPatch, uri: str, error: OSError, told: type[Exception]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    asked = (
        (sources, "entry_of", sources._entry),
        (parquet_source, "open_binary", lambda uri: parquet_source.columns_of(uri, [])),
    )
    for module, name, ask in asked:
        monkeypatch.setattr(module, name, refuse)
        with pytest.raises(told, match="cannot be looked at"):
            ask(uri)


@pytest.mark.slow
def test_a_row_that_goes_while_its_file_stays_makes_another_source(
    spark: SparkSession, tmp_path: Path
) -> None:
    place = f"{tmp_path}/losses"
    frame = spark.createDataFrame([("u1", 1.0), ("u2", 2.0)], "utterance_id string, loss double").coalesce(1)
    frame.write.format("delta").option("delta.enableDeletionVectors", "true").save(place)
    before = found_source(spark, LOSS, place)
    spark.sql(f"DELETE FROM delta.`{place}` WHERE loss > 1")
    assert found_source(spark, LOSS, place).sha256 != before.sha256


@pytest.mark.slow
def test_a_column_that_another_takes_the_place_of_makes_another_source(
    spark: SparkSession, tmp_path: Path
) -> None:
    place = f"{tmp_path}/losses"
    frame = spark.createDataFrame([("u1", 1.0, 2.0)], "utterance_id string, other double, loss double")
    frame.write.format("delta").option("delta.columnMapping.mode", "name").save(place)
    before = found_source(spark, LOSS, place)
    spark.sql(f"ALTER TABLE delta.`{place}` DROP COLUMN loss")
    spark.sql(f"ALTER TABLE delta.`{place}` ADD COLUMN loss double")
    assert found_source(spark, LOSS, place).sha256 != before.sha256
