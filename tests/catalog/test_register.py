"""A lake in a catalog: the same rows by plain names, and nothing that is not ours is touched."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyspark
import pytest
from documented import QUESTIONS
from lake_tools import QUIET
from sample_lake import write_rows

from speechlake.catalog.expressions import sql_of
from speechlake.catalog.register import VIEWS
from speechlake.catalog.texts import PROFILE
from speechlake.commands import register
from speechlake.errors import UsageError
from speechlake.lake import Lake
from speechlake.progress import Progress
from speechlake.schemas import CALIBRATIONS, CORPORA, PROFILES, TABLES
from speechlake.signals.catalogue import profile
from speechlake.views import all_transcripts, utterances_now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import Column, DataFrame

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def database(sample, tmp_path_factory) -> Iterator[str]:
    """The sample, registered in the session's own catalog."""
    sample.spark.sql(f"CREATE DATABASE registered LOCATION '{tmp_path_factory.mktemp('warehouse')}'")
    register.run(sample, database="registered", progress=QUIET)
    yield "registered"
    sample.spark.sql("DROP DATABASE registered CASCADE")


@pytest.fixture
def empty(spark) -> Iterator[str]:
    """The name of a database that is dropped afterwards."""
    yield "tried"
    spark.sql("DROP DATABASE IF EXISTS tried CASCADE")


def by_value(frame: DataFrame) -> list[str]:
    columns = sorted(frame.columns)
    return sorted(repr([row[name] for name in columns]) for row in frame.collect())


def test_every_table_and_view_is_there_under_its_name(sample, database):
    names = {row.tableName for row in sample.spark.sql(f"SHOW TABLES IN {database}").collect()}
    assert names >= {*TABLES, *VIEWS}


@pytest.mark.long
def test_utterances_now_holds_the_same_columns_types_and_values_as_our_own_view(sample, database):
    own, theirs = utterances_now(sample), sample.spark.table(f"{database}.utterances_now")
    assert theirs.dtypes == own.dtypes
    assert by_value(theirs) == by_value(own)
    # Not by being empty: what was measured, said, scored and decided is there.
    c1 = theirs.where("utterance_id = 'c1'").collect()[0]
    assert (c1.audio_duration_s, c1.whisper_text, c1.score_wer, c1.duplicate_kind, c1.split, c1.flags_runaway) == (
        *(4.0, "how can i help you", 0.0, "exact", "train", False),
    )  # fmt: skip


def test_all_transcripts_holds_the_same_rows_as_our_own_view(sample, database):
    own, theirs = all_transcripts(sample), sample.spark.table(f"{database}.all_transcripts")
    assert theirs.dtypes == own.dtypes
    assert by_value(theirs) == by_value(own)
    assert theirs.count() > 12


def test_the_profile_of_the_view_is_that_of_the_jobs(spark, rows, lake):
    said = [(None, "cut"), ("de", "cut"), ("en", "cut"), ("ka", "large"), ("ka", "larger")]
    verdicts = [("de", 1, True), ("de", 2, False), ("en", 1, True), ("fr", 1, True), ("ka", 1, True)]
    with lake.hold("fill", "c", "r") as hold:
        for n, (language, fingerprint) in enumerate(said, start=1):
            row = {"extractor": "whisper", "language": language, "fingerprint": fingerprint}
            hold.append_missing("profiles", rows(PROFILES, (n, row)))
        for language, n, equal in verdicts:
            row = {"language": language, "n": n, "equal": equal, "full_fingerprint": "full"}
            hold.append_missing("calibrations", rows(CALIBRATIONS, ("cut", row)))
    for name in ("profiles", "calibrations"):
        lake.read(name).createOrReplaceTempView(f"the_{name}")
    text = PROFILE.format(profiles="the_profiles", calibrations="the_calibrations")
    (row,) = spark.sql(f"WITH {text} SELECT fingerprints FROM profile").collect()
    assert row.fingerprints == {
        "whisper/": "full",
        "whisper/de": "full",
        "whisper/en": "cut",
        "whisper/fr": "cut",
        "whisper/ka": "larger",
    }
    own = [(languages, fingerprint) for languages, fingerprint in profile(lake)["whisper"]]
    assert row.fingerprints == {f"whisper/{''.join(languages or '')}": fp for languages, fp in own}


def test_a_table_that_was_never_written_has_its_columns_and_no_rows(sample, database):
    found = sample.spark.table(f"{database}.signals_events")
    assert found.columns == list(TABLES["signals_events"].column_names)
    assert found.isEmpty()


def test_registering_again_changes_nothing(sample, database):
    again = register.run(sample, database=database, progress=QUIET)
    assert again.outcome == "nothing to do"
    assert again.counts == {"created": 0, "refreshed": 0, "unchanged": len(TABLES) + len(VIEWS)}


def lake_of(spark: Any, root: Path) -> Lake:
    write_rows(spark, root, CORPORA, [{"corpus": "calls"}])
    return Lake(spark, root)


@pytest.mark.long
def test_a_table_that_is_written_later_takes_the_place_of_the_view_without_rows(spark, tmp_path, empty):
    lake = lake_of(spark, tmp_path / "lake")
    register.run(lake, database=empty, progress=QUIET)
    assert spark.table(f"{empty}.profiles").isEmpty()
    write_rows(spark, tmp_path / "lake", PROFILES, [{"n": 1, "extractor": "audio", "fingerprint": "a1"}])
    report = register.run(Lake(spark, tmp_path / "lake"), database=empty, progress=QUIET)
    assert report.counts["refreshed"] == 1
    assert spark.table(f"{empty}.profiles").count() == 1


def test_a_view_whose_text_is_another_versions_is_refreshed(spark, tmp_path, empty):
    lake = lake_of(spark, tmp_path / "lake")
    register.run(lake, database=empty, progress=QUIET)
    mine = f"TBLPROPERTIES ('speechlake.lake' = '{lake.root}', 'speechlake.digest' = 'old')"
    spark.sql(f"CREATE OR REPLACE VIEW {empty}.all_transcripts {mine} AS SELECT 1 AS old")
    told = io.StringIO()
    report = register.run(lake, database=empty, progress=Progress(told))
    assert report.counts["refreshed"] == 1
    assert "all_transcripts made" in told.getvalue()
    assert "text" in spark.table(f"{empty}.all_transcripts").columns


TAKEN = [
    ("CREATE TABLE {}.corpora (x INT) USING parquet", "corpora"),
    ("CREATE VIEW {}.utterances_now AS SELECT 1 AS mine", "utterances_now"),
    ("CREATE VIEW {}.splits TBLPROPERTIES ('speechlake.lake' = '/elsewhere') AS SELECT 1 AS x", "splits"),
]


@pytest.mark.parametrize(("statement", "taken"), TAKEN, ids=[taken for _, taken in TAKEN])
def test_a_name_that_is_something_elses_is_refused_and_nothing_is_made(
    spark, tmp_path, empty, statement, taken
):
    spark.sql(f"CREATE DATABASE {empty} LOCATION '{tmp_path}/warehouse'")
    spark.sql(statement.format(empty))
    before = spark.sql(f"SHOW TABLES IN {empty}").collect()
    with pytest.raises(UsageError, match=f"holds {taken}, not made for"):
        register.run(lake_of(spark, tmp_path / "lake"), database=empty, progress=QUIET)
    assert spark.sql(f"SHOW TABLES IN {empty}").collect() == before


def test_only_tables_are_made_where_views_are_not_wanted(spark, tmp_path, empty):
    register.run(lake_of(spark, tmp_path / "lake"), database=empty, with_views=False, progress=QUIET)
    # Views of a session are in no database, but shown with each.
    shown = spark.sql(f"SHOW TABLES IN {empty}").where("NOT isTemporary").collect()
    assert [row.tableName for row in shown] == ["corpora"]
    assert spark.sql(f"SHOW VIEWS IN {empty}").where("NOT isTemporary").isEmpty()


def test_a_catalog_that_ends_with_the_command_is_refused(spark):
    with pytest.raises(UsageError, match="in memory"):
        register.require_lasting(spark, "spark_catalog")
    register.require_lasting(spark, "unity")


@pytest.mark.parametrize("name", ["a b", "x;y", "1st", "a.b", "`x`", ""])
def test_a_name_that_is_no_plain_name_is_refused_by_the_arguments(name):
    with pytest.raises(SystemExit):
        register.arguments().parse_args(["--lake", "x", "--database", name])


def expressions() -> dict[str, Column]:
    from pyspark.sql import functions as F

    word = F.col("word")
    return {
        "text": F.lit('it\'s a \\ "quote"\n'),
        "pattern": F.regexp_replace(word, r"[^\p{L}]+", "'"),
        "number": (F.lit(7) - 2) * F.lit(0.5) / F.lit(3),
        "compared": (F.length(word) >= 3) & ~(word == "x") | word.isNull(),
        "case": F.when(word == "a", "A").when(word.isNull(), "none").otherwise(F.lit(None)),
        "looped": F.transform(F.array(word, F.lit("b")), lambda w: F.concat(w, F.lit("!")))[0],
        "fields": F.transform(F.array(word), lambda w: F.struct(w.alias("said"), F.length(w).alias("n")))[0][
            "n"
        ],
        "cast": F.length(word).cast("double"),
        "one of": word.isin(["a", "b"]),
        "endless": F.lit(float("inf")),
    }


@pytest.mark.parametrize(
    "name", ["text", "pattern", "number", "compared", "case", "looped", "fields", "cast", "one of", "endless"]
)
def test_an_expression_means_the_same_as_its_text(spark, name):
    words = spark.createDataFrame([("a",), ("schön 2",), ("x",), (None,)], "word string")
    column = expressions()[name]
    assert words.select(column).collect() == words.selectExpr(sql_of(column)).collect()


PLAIN = """
import sys
from pyspark.sql import SparkSession

metastore, warehouse, *queries = sys.argv[1:]
spark = (
    SparkSession.builder.master("local[1]")
    .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
    .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    .config("spark.hadoop.javax.jdo.option.ConnectionURL", metastore)
    .config("spark.sql.warehouse.dir", warehouse)
    .config("spark.ui.enabled", "false")
    # Twenty plans of the whole view over a few rows: compiling them would take minutes.
    .config("spark.sql.shuffle.partitions", "1")
    .config("spark.sql.codegen.wholeStage", "false")
    .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    .enableHiveSupport()
    .getOrCreate()
)
spark.sql("use speech")
for query in queries:
    print("ANSWER", [tuple(row) for row in spark.sql(query).collect()])
assert not any(name.split(".")[0] == "speechlake" for name in sys.modules)
"""


@pytest.mark.long
def test_a_lake_in_a_hive_metastore_is_queried_by_a_spark_that_knows_nothing_of_speechlake(sample, tmp_path):
    metastore = f"jdbc:derby:;databaseName={tmp_path}/metastore;create=true"
    hive = {
        "spark.sql.catalogImplementation": "hive",
        "spark.hadoop.javax.jdo.option.ConnectionURL": metastore,
        "spark.sql.warehouse.dir": f"{tmp_path}/warehouse",
    }
    conf = [part for name, value in hive.items() for part in ("--conf", f"{name}={value}")]
    home = Path(pyspark.__file__).parent
    job = Path(register.__file__)
    environment = os.environ | {"SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable}
    for outcome in ("done", "nothing to do"):
        command = [str(home / "bin" / "spark-submit"), "--master", "local[1]", *conf, str(job)]
        command += ["--lake", sample.root, "--database", "speech"]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=600, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert f'"outcome": "{outcome}"' in done.stdout
    (tmp_path / "plain.py").write_text(PLAIN)
    asked = [question.sql for question in QUESTIONS]
    plain = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-P", "plain.py", metastore, f"{tmp_path}/warehouse", *asked],
        env=plain,
        capture_output=True,
        text=True,
        timeout=1500,  # twenty plans of the whole view: ten minutes where the machine is busy
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answers = [line for line in done.stdout.splitlines() if line.startswith("ANSWER")]
    assert len(answers) == len(asked)
    assert "ANSWER []" not in answers
