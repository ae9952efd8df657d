"""Voice activity by Silero VAD."""

from speechlake.schemas.table import Column, signal_table

SIGNALS_SPEECH = signal_table(
    "speech",
    "Voice activity by Silero VAD.",
    Column("speech_ratio", "double", "Share of the interval that is speech."),
    Column("speech_duration_s", "double", "Sum of the speech segments.", unit="s"),
    Column(
        "segments",
        "array<struct<start_s:double,end_s:double>>",
        "Speech segments, relative to the interval.",
    ),
)
