"""Refused lines, each with its reason. Current: those of each manifest's newest generation."""

from speechlake.schemas.table import Column, Table

QUARANTINE = Table(
    name="quarantine",
    comment="Refused lines, each with its reason. Current: those of each manifest's newest generation.",
    columns=(
        Column("corpus", "string", "Corpus of the manifest.", nullable=False),
        Column("uri", "string", "Manifest.", nullable=False),
        Column("sha256", "string", "Version of the manifest.", nullable=False),
        Column("parser_version", "string", "Parser that refused.", nullable=False),
        Column("byte_offset", "bigint", "Where the line starts.", nullable=False),
        Column(
            "line_number", "bigint", "Line counted from 1, headers and blank lines included.", nullable=False
        ),
        Column("raw_line", "binary", "The line's bytes, capped."),
        Column("reason", "string", "Code of the refusal.", nullable=False),
        Column("detail", "string", "What was found and what was expected."),
    ),
    key=("corpus", "uri", "sha256", "parser_version", "byte_offset"),
    references={"corpus": "corpora.corpus"},
    partition_by=("corpus",),
)
