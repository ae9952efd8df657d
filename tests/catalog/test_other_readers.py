"""The same lake by readers that are not ours, as docs/queries.md shows them."""

from __future__ import annotations

from typing import Any

import pytest
from documented import python_blocks
from lake_tools import ingest, says, wav, write_lines

from speechlake.schemas import TABLES


def documented(part: str) -> str:
    (block,) = [block for block in python_blocks() if part in block and "SparkSession" not in block]
    return block


def run(code: str, **names: Any) -> Any:
    """`rows`, which a documented block leaves."""
    import pyarrow
    import pyarrow.dataset

    space: dict[str, Any] = {"pyarrow": pyarrow, **names}
    exec(compile(code, "docs/queries.md", "exec"), space)
    return space["rows"]


@pytest.mark.slow
def test_delta_rs_reads_a_release_as_the_page_shows(sample):
    rows = run(documented("to_table(filter"), lake=sample.root).to_pylist()
    assert {row["utterance_id"]: row["split"] for row in rows} == {
        "c1": "train",
        "c2": "train",
        "b2": "test",
        "b3": "dev",
    }


@pytest.mark.slow
def test_duckdb_reads_releases_as_the_page_shows(sample):
    pytest.importorskip("duckdb", reason="in the extra dev")
    assert run(documented("duckdb.sql"), lake=sample.root) == [
        ("first", "test", 1, 20.0),
        ("first", "train", 3, 15.0),
        ("second", "dev", 1, 10.0),
        ("second", "test", 1, 20.0),
        ("second", "train", 2, 10.0),
    ]


@pytest.mark.slow
@pytest.mark.long
def test_tables_that_a_job_wrote_are_the_same_to_delta_rs_and_to_spark_by_path(lake, tmp_path):
    from deltalake import DeltaTable

    wav(tmp_path / "audio" / "a.wav")
    wav(tmp_path / "audio" / "b.wav", seed=1)
    write_lines(tmp_path / "audio" / "m.jsonl", says("a.wav", "one"), says("b.wav", "two", lang="de"), b"{")
    ingest(lake, tmp_path / "audio" / "m.jsonl", max_reject=0.5)
    assert lake.versions().keys() >= {"utterances", "transcripts", "quarantine", "manifests"}
    for name in lake.versions():
        ours = lake.read(name).select(*TABLES[name].column_names)
        theirs = DeltaTable(lake.path(name)).to_pyarrow_table(columns=list(TABLES[name].column_names))
        by_spark = lake.spark.sql(f"select * from delta.`{lake.path(name)}`")
        assert theirs.num_rows == ours.count() == by_spark.count(), name
        key = list(TABLES[name].key)
        keys = sorted(tuple(row[k] for k in key) for row in ours.collect())
        assert sorted(tuple(row[k] for k in key) for row in theirs.select(key).to_pylist()) == keys, name
