"""What becomes of an error that names a file of the log, by whether the table can be read anew."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from speechlake import table_files
from speechlake.damage import damage_of
from speechlake.errors import Conflict, TableDamaged

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
