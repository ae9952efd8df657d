"""What is current of every utterance, in one row; and queries over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from lake_tools import column

from speechlake.commands import sql
from speechlake.errors import UsageError
from speechlake.schemas import (
    ATTEMPTS,
    CONTENT_HASHES,
    DECISIONS,
    DUPLICATES,
    PROFILES,
    RECORDINGS,
    RELEASES,
    SCORES,
    SIGNALS_AUDIO,
    SIGNALS_SPEECH,
    SIGNALS_WHISPER,
    SPLITS,
    TRANSCRIPTS,
    UTTERANCES,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyspark.sql import DataFrame, SparkSession

    from speechlake.lake import Lake
    from speechlake.schemas import Table

Literal = tuple[str, dict[str, Any]]

# Two contents of u1: the file was changed; u4's file was never read, u5 is retired.
TABLES: Sequence[tuple[Table, Sequence[Literal]]] = (
    (
        RECORDINGS,
        [
            ("r1", {"path": "1.wav", "listing_key": "new", "state": "present"}),
            ("r2", {"path": "2.wav", "listing_key": "k", "state": "present"}),
            ("r4", {"path": "4.wav", "listing_key": None, "state": "missing"}),
        ],
    ),
    (
        CONTENT_HASHES,
        [
            ("r1", {"listing_key": "old", "content_sha256": "content1-old"}),
            ("r1", {"listing_key": "new", "content_sha256": "content1"}),
            ("r2", {"listing_key": "k", "content_sha256": "content2"}),
        ],
    ),
    (
        UTTERANCES,
        [
            ("u1", {"recording_id": "r1", "language": "en-GB", "declared_duration_s": 2.0}),
            ("u2", {"recording_id": "r2", "language": "de"}),
            ("u3", {"recording_id": "r2", "language": None, "start_ms": 5, "end_ms": 9}),
            ("u4", {"recording_id": "r4", "language": "en"}),
            ("u5", {"recording_id": "r2", "language": "en", "retired_in": "m#2", "end_ms": 7}),
        ],
    ),
    (
        TRANSCRIPTS,
        [
            ("u1", {"source": "manifest", "text_sha256": "h1", "text": "colour", "kind": "human"}),
            ("u1", {"source": "manifest", "text_sha256": "h0", "text": "old", "kind": "human", "retired_in": "m#2"}),
            ("u1", {"source": "manifest:raw", "text_sha256": "h2", "text": "COLOUR", "kind": "human"}),
            ("u2", {"source": "manifest", "text_sha256": "h4", "text": "zwei", "kind": "human"}),
            ("u2", {"source": "manifest", "text_sha256": "h3", "text": "eins", "kind": "human"}),
        ],
    ),
    (
        PROFILES,
        [
            (1, {"extractor": "speech", "fingerprint": "s-other"}),
            (2, {"extractor": "speech", "language": "de", "fingerprint": "s-de"}),
            (3, {"extractor": "audio", "fingerprint": "a1"}),
            (4, {"extractor": "audio", "fingerprint": "a2"}),  # promoted over a1
            (5, {"extractor": "whisper", "fingerprint": "w"}),
        ],
    ),
    (
        SIGNALS_AUDIO,
        [
            ("u1", {"content_sha256": "content1-old", "fingerprint": "a2", "duration_s": 9.0}),
            ("u1", {"content_sha256": "content1", "fingerprint": "a1", "duration_s": 8.0}),
            ("u1", {"content_sha256": "content1", "fingerprint": "a2", "duration_s": 2.5}),
            ("u2", {"content_sha256": "content2", "fingerprint": "a2", "error": "CORRUPT"}),
            ("u5", {"content_sha256": "content2", "fingerprint": "a2", "duration_s": 1.0}),
        ],
    ),
    (
        SIGNALS_SPEECH,
        [
            ("u1", {"content_sha256": "content1", "fingerprint": "s-other", "speech_ratio": 0.1}),
            ("u1", {"content_sha256": "content1", "fingerprint": "s-de", "speech_ratio": 0.2}),
            ("u2", {"content_sha256": "content2", "fingerprint": "s-other", "speech_ratio": 0.3}),
            ("u2", {"content_sha256": "content2", "fingerprint": "s-de", "speech_ratio": 0.4}),
            ("u3", {"content_sha256": "content2", "fingerprint": "s-other", "speech_ratio": 0.5}),
        ],
    ),
    (
        ATTEMPTS,
        [
            ("u3", {"fingerprint": "a2", "listing_key": "k", "n": 1, "code": "TIME_OUT"}),
            ("u3", {"fingerprint": "a2", "listing_key": "k", "n": 2, "code": "OUT_OF_MEMORY"}),
            ("u1", {"fingerprint": "a2", "listing_key": "new", "n": 1, "code": "STORAGE"}),  # measured since
        ],
    ),
    (
        DUPLICATES,
        [("u2", {"cluster_id": "k1", "overlap_id": "k1", "kind": "exact"}), ("u3", {"cluster_id": "k1", "overlap_id": "k1", "kind": "exact"})],
    ),
    (SPLITS, [("u1", {"build_id": "b1", "split": "test"}), ("u1", {"build_id": "b2", "split": "train"})]),
    (DECISIONS, [("u2", {"build_id": "b2", "rule": "decodes"}), ("u2", {"build_id": "b0", "rule": "not published"})]),
)  # fmt: skip
RELEASED = [("old", "b1", "2026-01-01"), ("new", "b2", "2026-02-01")]


def filed(table: Table, literal: Sequence[Literal], **default: Any) -> list[Literal]:
    known = {"corpus": "c", "inputs_hash": "", **default}
    fitting = {name: value for name, value in known.items() if name in table.column_names}
    return [(key, fitting | said) for key, said in literal]


def heard(lake: Lake) -> list[Literal]:
    """Whisper's rows under the inputs that utterances have now, and one under others."""
    from speechlake.signals.plan import inputs_hash
    from speechlake.views import extractor_inputs

    now = {
        row.utterance_id: row.h
        for row in lake.read("utterances")
        .select("utterance_id", inputs_hash(extractor_inputs("whisper")).alias("h"))
        .collect()
    }
    said = {"fingerprint": "w", "decoded_language": "en"}
    return [
        ("u1", {**said, "content_sha256": "content1", "inputs_hash": now["u1"], "text": "color", "text_sha256": "t1"}),
        ("u1", {**said, "content_sha256": "content1", "inputs_hash": "other", "text": "culler", "text_sha256": "t2"}),
        ("u2", {**said, "content_sha256": "content2", "inputs_hash": now["u2"], "error": "NOT_FINITE"}),
    ]  # fmt: skip


def scores(normaliser: str) -> list[Literal]:
    """The score of what is current, and one of a text that was retired."""
    said = {
        "hypothesis_source": "whisper:w",
        "hypothesis_sha256": "t1",
        "reference_source": "manifest",
        "normaliser": normaliser,
        "unit": "word",
    }
    return [
        ("u1", {**said, "reference_sha256": "h1", "wer": 0.25}),
        ("u1", {**said, "reference_sha256": "h0", "wer": 1.0}),
        ("u1", {**said, "reference_sha256": "h1", "normaliser": "an older one", "wer": 0.75}),
    ]


@pytest.fixture(scope="module")
def full(
    spark: SparkSession, module_rows: Callable[..., DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> Lake:
    """A lake with every kind of row that is not current beside those that are."""
    from datetime import datetime

    from speechlake.lake import Lake
    from speechlake.text.normalisers import DEFAULT_NORMALISER, NORMALISER_BY_PRIMARY

    lake = Lake(spark, tmp_path_factory.mktemp("views"))
    with lake.hold("fill", "c", "r") as hold:
        for table, literal in TABLES:
            hold.append_missing(table.name, module_rows(table, *filed(table, literal)))
        hold.append_missing(
            "signals_whisper", module_rows(SIGNALS_WHISPER, *filed(SIGNALS_WHISPER, heard(lake)))
        )
        english = NORMALISER_BY_PRIMARY.get("en", DEFAULT_NORMALISER)
        hold.append_missing("scores", module_rows(SCORES, *filed(SCORES, scores(english))))
        released = [
            (name, {"build_id": build, "published_at": datetime.fromisoformat(day)})
            for name, build, day in RELEASED
        ]
        hold.append_missing("releases", module_rows(RELEASES, *released))
    return lake


@pytest.fixture(scope="module")
def module_rows(spark: SparkSession) -> Callable[..., DataFrame]:
    """The fixture `rows` of conftest, for a whole module."""
    from lake_tools import default

    from speechlake.contracts import struct_of

    def make(table: Table, *literal: Literal) -> DataFrame:
        key = next(name for name in table.key if name not in ("build_id", "corpus"))
        rows = [
            {c.name: None if c.nullable or c.type == "timestamp" else default(c.type) for c in table.columns}
            | {key: own}
            | said
            for own, said in literal
        ]
        struct = struct_of(table)
        return spark.createDataFrame([tuple(row[f.name] for f in struct.fields) for row in rows], struct)

    return make


@pytest.fixture(scope="module")
def now(full: Lake) -> list[dict[str, Any]]:
    """The rows of `utterances_now`."""
    from speechlake.views import utterances_now

    return [row.asDict() for row in utterances_now(full).collect()]


@pytest.mark.slow
def test_every_utterance_that_is_not_retired_has_exactly_one_row(now):
    assert sorted(row["utterance_id"] for row in now) == ["u1", "u2", "u3", "u4"]


# Column of `utterances_now`, and its values for u1 to u4.
CURRENT = [
    ("content_sha256", ["content1", "content2", "content2", None]),
    ("recording_state", ["present", "present", "present", "missing"]),
    # of the current content, by the fingerprint promoted last
    ("audio_duration_s", [2.5, None, None, None]),
    ("audio_fingerprint", ["a2", "a2", None, None]),
    ("audio_error", [None, "CORRUPT", None, None]),
    ("audio_declared_difference_s", [0.5, None, None, None]),
    # the last failure, only where there is no row
    ("audio_attempt_code", [None, None, "OUT_OF_MEMORY", None]),
    # German has a fingerprint of its own, others the fallback
    ("speech_fingerprint", ["s-other", "s-de", "s-other", None]),
    ("speech_speech_ratio", [0.1, 0.4, 0.5, None]),
    # under the inputs of now
    ("whisper_text", ["color", None, None, None]),
    ("whisper_error", [None, "NOT_FINITE", None, None]),
    # what follows from the text that was heard: "color" in 2.5 s
    ("flags_repeated_words", [1, None, None, None]),
    ("flags_chars_per_second", [2.0, None, None, None]),
    ("flags_chars_per_speech_second", [None, None, None, None]),
    ("flags_known_phrase", [False, None, None, None]),
    ("flags_runaway", [False, None, None, None]),
    # of several current texts the one with the lowest hash
    ("text", ["colour", "eins", None, None]),
    ("text_source", ["manifest", "manifest", None, None]),
    ("score_wer", [0.25, None, None, None]),
    ("score_unit", ["word", None, None, None]),
    ("cluster_id", [None, "k1", "k1", None]),
    ("overlap_id", [None, "k1", "k1", None]),
    ("duplicate_kind", [None, "exact", "exact", None]),
    # as the release published last has it
    ("split", ["train", None, None, None]),
    ("excluded_by", [None, "decodes", None, None]),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "values"), CURRENT, ids=[name for name, _ in CURRENT])
def test_a_column_of_utterances_now_holds_what_is_current(now, name, values):
    found = column(now, "utterance_id", name)
    assert [found[key] for key in ("u1", "u2", "u3", "u4")] == values


@pytest.mark.slow
def test_columns_and_their_types_are_the_same_whatever_has_measured(full, lake):
    from speechlake.views import utterances_now

    assert utterances_now(full).dtypes == utterances_now(lake).dtypes


@pytest.mark.slow
def test_all_transcripts_unites_texts_with_what_was_heard(full):
    from speechlake.views import all_transcripts

    found = {(row.utterance_id, row.source, row.text, row.kind) for row in all_transcripts(full).collect()}
    said = {
        ("u1", "manifest", "colour", "human"),
        ("u1", "manifest", "old", "human"),
        ("u1", "manifest:raw", "COLOUR", "human"),
        ("u2", "manifest", "zwei", "human"),
        ("u2", "manifest", "eins", "human"),
    }
    assert found == said | {("u1", "whisper:w", "color", "machine"), ("u1", "whisper:w", "culler", "machine")}


@pytest.mark.slow
def test_a_query_is_printed_as_csv_and_says_when_there_is_more(full, capsys):
    report = sql.run(full, "select utterance_id from utterances_now order by 1", limit=3, as_csv=True)
    printed = capsys.readouterr()
    assert printed.out.split() == ["utterance_id", "u1", "u2", "u3"]
    assert "only the first 3 rows are printed" in printed.err
    assert report.counts == {"rows": 3, "more_rows": True}


@pytest.mark.slow
def test_csv_has_all_rows_where_no_limit_is_asked_for_and_a_table_says_that_it_has_not(
    full, capsys, tmp_path
):
    report = sql.run(full, "select id from range(105)", as_csv=True)
    assert len(capsys.readouterr().out.split()) == 106
    assert report.counts == {"rows": 105}
    # Asked row by row, what fails in a task is told as it is of a table.
    with pytest.raises(UsageError, match="by zero"):
        sql.run(full, "select 1 / (id - 5) from range(105)", as_csv=True)
    assert sql.run(full, "select id as n from range(0)", as_csv=True).counts == {"rows": 0}
    assert capsys.readouterr().out.splitlines()[-1] == "n"
    file = tmp_path / "rows.csv"
    assert sql.run(full, "select id as n from range(3) order by 1", file=file).counts == {"rows": 3}
    assert (file.read_text(), capsys.readouterr().out) == ("n\n0\n1\n2\n", "")
    with pytest.raises(UsageError, match="by zero"):
        sql.run(full, "select 1 / (id - 5) from range(105)", file=file)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
    assert file.read_text() == "n\n0\n1\n2\n"
    assert sql.run(full, "select id from range(105)").counts == {"rows": 100, "more_rows": True}
    assert "only the first 100 rows" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    "query",
    [
        "selec 1",
        "select nothing_like_that from utterances_now",
        "select * from no_such_view",
        "select 1; select 2",
        "select 1 / 0",
        "select cast('x' as int)",
    ],
)
def test_a_wrong_query_is_the_users_mistake_and_names_the_views(full, query):
    with pytest.raises(UsageError, match="utterances_now") as error:
        sql.run(full, query)
    assert error.value.exit_code == 2
    assert "JVM stacktrace" not in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "update utterances set language = 'xx'",
        "merge into utterances u using (select 'u1' k) o on u.utterance_id = o.k when matched then delete",
        "with u as (select * from utterances) insert into utterances select * from u",
        "from utterances insert into utterances select * insert into utterances select *",
        "insert overwrite directory '{folder}' using csv select 1",
        "create table parquet.`{folder}` as select 1",
        "create or replace temp view utterances as select 1",
        "drop view utterances",
        "execute immediate 'delete from utterances'",
        "restore table utterances to version as of 0",
        "set spark.sql.runSQLOnFiles = true",
        "vacuum utterances",
    ],
)
def test_a_statement_that_changes_something_is_refused(full, tmp_path, statement):
    with pytest.raises(UsageError, match="sql takes one query") as error:
        sql.run(full, statement.format(folder=tmp_path / "written"))
    assert error.value.exit_code == 2
    assert not (tmp_path / "written").exists()


@pytest.mark.slow
def test_a_delete_leaves_the_rows_where_they_are(full):
    before = full.versions()
    with pytest.raises(UsageError, match="DeleteFromTable"):
        sql.run(full, "delete from utterances where utterance_id = 'u1'")
    assert full.versions() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "query",
    [
        "show columns in utterances",
        "describe utterances",
        "explain select * from utterances",
        "with u as (select utterance_id from utterances) select * from u union (values 'u9')",
        "from utterances select count(*)",
    ],
)
def test_what_only_tells_something_is_taken(full, query):
    assert sql.run(full, query).counts["rows"]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["text", "csv", "parquet", "delta", "json", "binaryFile"])
def test_a_query_reads_no_file_by_its_path(full, tmp_path, form):
    secret = tmp_path / "secret"
    secret.write_text("what no query may print")
    with pytest.raises(UsageError) as error:
        sql.run(full, f"select * from {form}.`{secret}`")
    assert "no query may print" not in str(error.value)
