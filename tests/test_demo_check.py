"""The check of the demo's lake notices what is not there. Without Spark."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

CHECK = Path(__file__).resolve().parent.parent / "demo" / "check.py"


@pytest.fixture
def check() -> ModuleType:
    """demo/check.py as a module."""
    spec = importlib.util.spec_from_file_location("demo_check", CHECK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("kinds", "holds", "told"),
    [
        (["near"] * 3, True, "3 clips that are near copies, expected 3 or more; at most 6.0% of their bits differ"),
        (["exact"] * 3, False, "0 clips that are near copies, expected 3 or more; at most 6.0% of their bits differ"),
    ],
    ids=["near", "exact alone"],
)  # fmt: skip
def test_exact_copies_are_no_near_ones(check: ModuleType, kinds: list[str], holds: bool, told: str) -> None:
    def frame(**columns: list[Any]) -> pd.DataFrame:
        return pd.DataFrame(columns)

    tables = {
        "signals_audio": frame(error=["EMPTY", None]),
        "signals_whisper": frame(text=["one"]),
        "duplicates": frame(utterance_id=["a", "b", "c"], cluster_id=["x"] * 3, kind=kinds),
        "audio_pairs": frame(kind=["near", "near", "contained"], bit_error_rate=[0.0, 0.06, 0.2]),
    }
    assert (holds, told) in list(check.signals(tables))
