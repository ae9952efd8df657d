"""Durations as people write them."""

from __future__ import annotations

import argparse
import re

UNITS_S = {"h": 3600, "d": 24 * 3600}


def duration_s(text: str) -> float:
    """`36h` or `7d` in seconds; for argparse."""
    found = re.fullmatch(r"(\d{1,5})([hd])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r}: expected hours or days, such as 36h or 7d")
    return float(int(found[1]) * UNITS_S[found[2]])
