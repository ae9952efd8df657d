"""Robust keys for the search of near duplicates."""

from speechlake.schemas.table import Column, signal_table

SIGNALS_AUDIO_KEYS = signal_table(
    "audio_keys",
    "Robust keys for the search of near duplicates.",
    Column("keys", "binary", "A 32-bit key per frame of 25 ms, little-endian."),
    Column("active", "binary", "A bit per frame, lowest first: within 30 dB of the loudest frame."),
    Column("frames", "int", "How many frames there are; 0 in clips shorter than 25 ms."),
    Column("key_version", "int", "How keys are made; those of two versions are not comparable."),
)
