"""Values that others measured, one per row, filed like a measurement."""

from speechlake.schemas.table import Column, signal_table

SIGNALS_IMPORTED = signal_table(
    "imported",
    "Values that others measured, one per row: what a policy calls `imported.<name>`.",
    Column("name", "string", "Import and column, `<import>.<column>`.", nullable=False),
    Column("number", "double", "The value of a column of numbers."),
    Column("flag", "boolean", "The value of a column of truth values."),
    Column("word", "string", "The value of a column of words."),
)
