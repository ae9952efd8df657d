"""The ways to change a stored table, as the statements that they give to Spark."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

from speechlake.upgrade.change import add_columns, set_property


def test_a_table_may_lie_under_a_path_with_a_backtick() -> None:
    asked: list[str] = []
    lake = SimpleNamespace(spark=SimpleNamespace(sql=asked.append), path=lambda name: f"/data/a`b/{name}")
    hold: Any = SimpleNamespace(lake=lake, changing=lambda name: nullcontext())
    add_columns(hold, "runs", {"note": "string"})
    set_property(hold, "runs", "k", "v")
    assert asked == [
        "ALTER TABLE `delta`.`/data/a``b/runs` ADD COLUMNS (`note` string)",
        "ALTER TABLE `delta`.`/data/a``b/runs` SET TBLPROPERTIES ('k' = 'v')",
    ]
