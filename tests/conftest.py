"""One Spark session per test run, an empty lake per test, and rows that say only what matters."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lake_tools import default

from speechlake.schemas import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from speechlake.lake import Lake

# Short JVM runs: compiling less and one collector nearly halve the CPU time of a test run.
os.environ.setdefault(
    "SPARK_SUBMIT_OPTS",
    "-Xms1g -XX:MetaspaceSize=256m -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC",
)

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The session of this test run."""
    from speechlake.session import spark_session

    # Tiny tables: compiling a query costs more than interpreting it.
    short = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
    session = spark_session(
        "tests", master="local[2,4]", extra={"spark.sql.shuffle.partitions": "2", **short}
    )
    yield session
    session.stop()


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    """An empty lake."""
    from speechlake.lake import Lake

    return Lake(spark, tmp_path / "lake")


@pytest.fixture(scope="session")
def sample(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake of literal rows with something to answer to every question; for reading only."""
    from sample_lake import make_sample

    return make_sample(spark, tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="session")
def speech() -> Path:
    """Real speech: `<voice>/<id>.wav` with `texts/<language>.txt`, fetched by set-up."""
    folder = PROJECT / "build" / "speech"
    assert (folder / "texts").is_dir(), "run `make speech` first: it fetches what tests hear"
    return folder


@pytest.fixture(scope="session")
def rows(spark: SparkSession) -> Callable[..., DataFrame]:
    """`rows(TABLE, (key, {column: value}), …)`: a frame of the contract, other columns filled with defaults."""

    def make(table: Table, *literal: tuple[str, dict[str, Any]]) -> DataFrame:
        from speechlake.contracts import struct_of

        schema = struct_of(table)
        data = []
        for key, said in literal:
            unknown = set(said) - set(table.column_names)
            assert not unknown, f"{table.name} has no column {unknown}"
            own_key = next(name for name in table.key if name != "build_id")
            data.append(
                {
                    column.name: default(column.type) if not column.nullable else None
                    for column in table.columns
                }
                | {own_key: key}
                | said
            )
        return spark.createDataFrame(
            [tuple(row[field.name] for field in schema.fields) for row in data], schema
        )

    return make
