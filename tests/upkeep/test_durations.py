"""Durations as people write them."""

from __future__ import annotations

import argparse

import pytest

from speechlake.upkeep.durations import duration_s


def test_hours_and_days_are_seconds():
    assert [duration_s(text) for text in ("1h", "36h", "7d")] == [3600.0, 129_600.0, 604_800.0]


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1.5d", "7 d", "7w"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="36h or 7d"):
        duration_s(text)
