"""The contracts among themselves."""

from __future__ import annotations

from speechlake.schemas import TABLES


def test_every_column_that_a_contract_refers_to_exists() -> None:
    there = {f"{table.name}.{column.name}" for table in TABLES.values() for column in table.columns}
    asked = {target for table in TABLES.values() for target in table.references.values()}
    assert asked
    assert asked - there == set()
