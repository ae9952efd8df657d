"""What a table contract is: pure data, readable without Spark.

DDL, conformance, test rows and the README's table of tables are derived from these objects; nothing here imports a
framework.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Column:
    """One column: a Spark SQL type, what it means, and whether it may be null."""

    name: str
    type: str
    comment: str
    nullable: bool = True
    unit: str | None = None

    @property
    def ddl(self) -> str:
        """The column as Spark DDL, its comment included (unit first, where there is one)."""
        text = f"[{self.unit}] {self.comment}" if self.unit else self.comment
        not_null = "" if self.nullable else " NOT NULL"
        return f"`{self.name}` {self.type}{not_null} COMMENT '{text.replace(chr(39), chr(39) * 2)}'"


@dataclass(frozen=True)
class Table:
    """A Delta table of a lake.

    `key` identifies a row and never repeats; `references` name `table.column` of another contract;
    `checks` map a name to a SQL predicate that holds for every row (null passes only where the
    predicate says so); `partition_by` and `cluster_by` exclude each other, because Delta refuses both.
    """

    name: str
    comment: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    references: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, str] = field(default_factory=dict)
    partition_by: tuple[str, ...] = ()
    cluster_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        unknown = {*self.key, *self.references, *self.partition_by, *self.cluster_by} - set(names)
        if unknown or len(set(names)) != len(names) or (self.partition_by and self.cluster_by):
            raise ValueError(
                f"contract of table {self.name!r} contradicts itself: {sorted(unknown) or names}"
            )

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in declared order."""
        return tuple(column.name for column in self.columns)

    @property
    def ddl(self) -> str:
        """All columns as one Spark DDL string."""
        return ", ".join(column.ddl for column in self.columns)

    def column(self, name: str) -> Column:
        """The column called `name`; KeyError names the table."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"table {self.name!r} has no column {name!r}")


def signal_table(extractor: str, comment: str, *own: Column) -> Table:
    """The table of an extractor: how every measurement is filed, with the extractor's `own` columns between."""
    return Table(
        name=f"signals_{extractor}",
        comment=comment,
        columns=(
            Column("corpus", "string", "Corpus of the utterance.", nullable=False),
            Column("utterance_id", "string", "Key of the utterance.", nullable=False),
            Column(
                "content_sha256",
                "string",
                "Hash of the recording's bytes, or `listing:<listing_key>` where they could not be read.",
                nullable=False,
            ),
            Column(
                "fingerprint",
                "string",
                "Extractor, version, model and parameters that measured; see `extractors`.",
                nullable=False,
            ),
            Column(
                "inputs_hash",
                "string",
                "Hash of the per-utterance inputs the extractor declares; empty where it declares none.",
                nullable=False,
            ),
            *own,
            Column("error", "string", "Permanent error code; null where the measurement succeeded."),
            Column("run_id", "string", "Run that measured.", nullable=False),
        ),
        key=("utterance_id", "content_sha256", "fingerprint", "inputs_hash"),
        references={"utterance_id": "utterances.utterance_id", "fingerprint": "extractors.fingerprint"},
        cluster_by=("corpus", "utterance_id"),
    )
