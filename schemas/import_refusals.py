"""Rows of imported sources that were refused, each with its reason."""

from speechlake.schemas.table import Column, Table

IMPORT_REFUSALS = Table(
    name="import_refusals",
    comment="Rows of imported sources that were refused, each with its reason.",
    columns=(
        Column("corpus", "string", "Corpus the row names or its utterance belongs to, where known."),
        Column("name", "string", "Import.", nullable=False),
        Column("version", "string", "Version of the import.", nullable=False),
        Column("sha256", "string", "Content of the source.", nullable=False),
        Column("row_id", "string", "id of all that follows but `times` and `place`.", nullable=False),
        Column("given", "string", "Utterance, as the row names it; capped."),
        Column("place", "string", "First such row, where the source has places: file:byte offset."),
        Column("times", "bigint", "Rows of the source that are like this.", nullable=False),
        Column("said", "string", "Values of the row as JSON, capped."),
        Column("reason", "string", "Code of the refusal.", nullable=False),
        Column("detail", "string", "What was found and what was expected."),
        Column("run_id", "string", "Run that refused it.", nullable=False),
    ),
    key=("name", "sha256", "row_id"),
)
