"""How values look on the terminal."""

from __future__ import annotations

from typing import Any

import pytest

from speechlake.terminal import shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (0.12345, "0.123"),
        (1234567, "1,234,567"),
        (2026, "2026"),
        ("a\x1b[31m", "a\\x1b[31m"),
        (["a", "b"], "['a', 'b']"),
        (bytearray(904), "904 bytes"),  # keys of audio_keys
        ([0.25] * 256, f"[{', '.join(['0.250'] * 8)}, … 256 numbers]"),  # an embedding
    ],
)
def test_a_value_is_shown_short_and_without_control_characters(value: Any, text: str) -> None:
    assert shown(value) == text
