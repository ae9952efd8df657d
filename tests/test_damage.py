"""What becomes of errors that Spark only passes on: files of the log that are gone, errors of ours on a worker."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from speechlake import table_files
from speechlake.damage import damage_of, raised_on_worker
from speechlake.errors import Conflict, ModelError, NoHub, TableDamaged

GONE = OSError("FILE_NOT_EXIST: /lake/utterances/_delta_log/00000000000000000003.json does not exist")


@pytest.mark.parametrize(("readable", "kind", "code"), [(True, Conflict, 4), (False, TableDamaged, 2)])
def test_a_file_of_the_log_is_damage_only_where_the_table_cannot_be_read_anew(
    monkeypatch: pytest.MonkeyPatch, readable: bool, kind: type, code: int
) -> None:
    spark = MagicMock()
    forget = spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache

    def stored(*_: Any) -> Any:
        assert forget.called, "what the process remembers of the log is no answer"
        if not readable:
            raise RuntimeError("no log")
        return MagicMock()

    monkeypatch.setattr(table_files, "stored_files", stored)
    lake: Any = SimpleNamespace(root="/lake", spark=spark, version=lambda name: 7)
    found = damage_of(lake, GONE)
    assert isinstance(found, kind)
    assert found.exit_code == code
    assert "00000000000000000003.json" in found.message


TRACEBACK = """
  An exception was thrown from the Python worker. Please see the stack trace below.
Traceback (most recent call last):
  File "/site-packages/speechlake/signals/engine.py", line 200, in _model
    _models[key] = each.extractor.load()
"""


@pytest.mark.parametrize("kind", [ModelError, NoHub])
def test_an_error_of_ours_on_a_worker_is_told_as_on_the_driver(kind: type) -> None:
    raised = kind("weights of m on this machine have sha256 1…, expected 2….", hint="Fetch it again.")
    error = RuntimeError(
        f"{TRACEBACK}speechlake.errors.{kind.__name__}: {raised}\n\tat org.apache.spark.X(X.scala:1)"
    )
    lake: Any = SimpleNamespace(root="/lake")
    found = damage_of(lake, error)
    assert type(found) is kind
    assert str(found) == str(raised)
    assert found.exit_code == raised.exit_code


@pytest.mark.parametrize(
    "said",
    [
        "ValueError: speechlake.errors.ModelError: ModelError: a name that pretends",
        "speechlake.errors.Refused: Refused: no gate stands on a worker",
        "speechlake.errors.SystemExit: SystemExit: 0",
        "speechlake.errors.ModelError: no message of ours begins so",
    ],
)
def test_what_only_looks_like_an_error_of_ours_stays_what_it_is(said: str) -> None:
    assert raised_on_worker(f"{TRACEBACK}{said}") is None


@pytest.mark.slow
def test_an_error_of_ours_is_found_in_what_spark_says_of_a_worker(spark: Any, tmp_path: Any) -> None:
    def opens(batches: Any) -> Any:
        from speechlake.errors import ModelError

        raise ModelError("weights differ", hint="Fetch them.")
        yield from batches

    with pytest.raises(Exception, match="weights differ") as caught:
        spark.range(2).mapInArrow(opens, "id long").write.parquet(str(tmp_path / "out"))
    lake: Any = SimpleNamespace(root="/lake")
    assert str(damage_of(lake, caught.value)) == "ModelError: weights differ\n  Fetch them."
