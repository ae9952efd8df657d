"""Noise and pitch, by published estimators."""

from speechlake.schemas.table import Column, signal_table

SIGNALS_ACOUSTICS = signal_table(
    "acoustics",
    "Noise and pitch, by WADA-SNR and YIN.",
    Column("snr_db", "double", "Speech to noise, -20 to 100; null for digital silence.", unit="dB"),
    Column("voiced_ratio", "double", "Share of 10 ms frames with a pitch."),
    Column("pitch_hz", "double", "Median fundamental frequency; null where there is none.", unit="Hz"),
    Column("pitch_low_hz", "double", "Tenth percentile of the fundamental frequency.", unit="Hz"),
    Column("pitch_high_hz", "double", "Ninetieth percentile of the fundamental frequency.", unit="Hz"),
)
