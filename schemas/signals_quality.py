"""Perceived quality by DNSMOS."""

from speechlake.schemas.table import Column, signal_table

SIGNALS_QUALITY = signal_table(
    "quality",
    "Perceived quality by DNSMOS: mean opinion scores from 1 to 5.",
    Column("sig", "double", "P.835 score of the speech signal."),
    Column("bak", "double", "P.835 score of the background: high is quiet."),
    Column("ovrl", "double", "P.835 score overall."),
    Column("p808", "double", "P.808 score overall."),
    Column("windows", "int", "Windows of 9 s that were scored; the scores are their means."),
)
