"""The voice as an embedding, by GE2E."""

from speechlake.schemas.table import Column, signal_table

SIGNALS_SPEAKER = signal_table(
    "speaker",
    "The voice as an embedding, by GE2E.",
    Column(
        "embedding",
        "array<float>",
        "256 numbers of unit length; their scalar product tells how alike two voices are. Null for digital silence.",
    ),
    Column("parts", "int", "Parts of 1.6 s that the embedding is the mean of."),
)
