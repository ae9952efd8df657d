"""Names of folders are taken as they are, whatever Spark's readers would make of them."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import pytest
from lake_tools import ingest, says, wav, write_lines

from speechlake.errors import SpeechlakeError
from speechlake.files import Files, as_is

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3a://corpus/lake/_staging/a b,c#%20", "s3a://corpus/lake/_staging/a b,c#%20"),
        ("/data/lake [v2] {x}", r"/data/lake \[v2\] \{x\}"),
        (r"/data/l*?k\e", r"/data/l\*\?k\\e"),
    ],
)
def test_nothing_in_a_path_that_a_reader_is_given_is_a_pattern(uri: str, expected: str) -> None:
    assert as_is(uri) == expected


@pytest.mark.parametrize(
    ("deleted", "there", "stays"), [(True, False, False), (False, False, False), (False, True, True)]
)
def test_what_could_not_be_deleted_is_told(deleted: bool, there: bool, stays: bool) -> None:
    spark: Any = MagicMock()
    files = Files(spark)
    fs = spark._jvm.org.apache.hadoop.fs.Path.return_value.getFileSystem.return_value
    fs.delete.return_value, fs.exists.return_value = deleted, there
    with pytest.raises(SpeechlakeError, match="/x could not be deleted") if stays else nullcontext():
        files.delete("/x")


@pytest.mark.slow
def test_a_lake_may_lie_in_a_folder_whose_name_reads_as_a_pattern(
    spark: SparkSession, tmp_path: Path
) -> None:
    from speechlake.lake import Lake
    from speechlake.table_files import listed_files

    lake = Lake(spark, tmp_path / "lake [v2] {x}")
    wav(tmp_path / "in" / "a.wav")
    ingest(lake, write_lines(tmp_path / "in" / "m.jsonl", says("a.wav", "one")), channels="each")
    assert [row.channel for row in lake.read("utterances").collect()] == ["0"]
    assert listed_files(lake, "utterances").count() == 1
