"""The benchmark of an accelerator, run on the CPU: every section has its figures, and the drills end as they should."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
# Figures that are numbers above zero, by section; how large they are is not judged.
POSITIVE = {
    "machine": ("cpus", "clips", "audio_s", "model_mb"),
    "grid": ("best_times_real_time",),
    "two_processes": (
        "alone_times_real_time",
        "first_times_real_time",
        "second_times_real_time",
        "together_times_real_time",
    ),
    "large": ("weights_mb", "window_mb", "fitting_windows", "fitting_streams"),
    "naive": ("seconds", "times_real_time", "grid_is_times_as_fast", "peak_rss_mb"),
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The figures of one quick run, by section."""
    path = tmp_path_factory.mktemp("gpu") / "gpu.json"
    command = [sys.executable, str(PROJECT / "benchmarks" / "gpu.py"), "--device", "cpu", "--quick"]
    ended = subprocess.run(
        [*command, "--out", str(path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=PROJECT,
        # What others on this machine set for their threads is none of this run's.
        env={name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    figures: dict[str, Any] = json.loads(path.read_text())
    assert all(f"\n{section} (" in ended.stdout for section in figures)
    return figures


def test_gpu_on_the_cpu_has_every_section_without_an_error(found: dict[str, Any]) -> None:
    """Only features may be skipped: without torch there is nothing to compare."""
    assert [name for name, figures in found.items() if "error" in figures] == []
    assert {name for name, figures in found.items() if "skipped" in figures} <= {"features"}
    assert [*found] == [
        "machine",
        "features",
        "grid",
        "accuracy",
        "out_of_memory",
        "dead_context",
        "two_processes",
        "large",
        "naive",
    ]


@pytest.mark.parametrize("section", POSITIVE)
def test_gpu_on_the_cpu_measures(found: dict[str, Any], section: str) -> None:
    """Figures are there, and above zero."""
    figures = found[section]
    assert {name: figures[name] for name in POSITIVE[section] if not figures[name] > 0} == {}


def test_gpu_on_the_cpu_fills_grid_and_large(found: dict[str, Any]) -> None:
    """Each cell has its speed and memory, and null for what only a card has."""
    cells = [*found["grid"]["cells"], *found["large"]["runs"]]
    assert len(cells) == 4
    assert all(cell["times_real_time"] > 0 and cell["peak_rss_mb"] > 0 for cell in cells)
    assert all(cell["utilisation"] is None and cell["peak_mb"] is None for cell in cells)


def test_gpu_on_the_cpu_has_the_same_texts_in_every_batch(found: dict[str, Any]) -> None:
    """Three sizes of a batch, with few word errors and no clip that differs."""
    batches = found["accuracy"]["batches"]
    assert [batch["batch_windows"] for batch in batches] == [1, 16, 64]
    assert all(batch["clips_that_differ"] == 0 and batch["word_error_rate"] < 0.3 for batch in batches)


def test_gpu_out_of_memory_lowers_the_batch_and_keeps_all_texts(found: dict[str, Any]) -> None:
    """At least one batch failed, and no clip paid for it."""
    (drill,) = found["out_of_memory"]["rounds"]
    assert drill["batches_out_of_memory"] > 0
    assert drill["batch_s_after"] < drill["batch_s"]
    assert (drill["clips_without_text"], drill["texts_that_differ"]) == (0, 0)


def test_gpu_dead_context_raises_device_failed_and_files_nothing(found: dict[str, Any]) -> None:
    """No row says that a clip failed; closing the task afterwards raises nothing."""
    drill = found["dead_context"]
    assert (drill["raised"], drill["rows_failed"], drill["closing"]) == ("DeviceFailed", 0, "raised nothing")


def test_gpu_features_of_torch_and_numpy_agree(found: dict[str, Any]) -> None:
    """Skipped where torch is not installed."""
    figures = found["features"]
    if "skipped" in figures:
        pytest.skip(figures["skipped"])
    assert figures["torch_ms_per_clip"] > 0
    assert figures["numpy_ms_per_clip"] > 0
    assert figures["largest_difference"] < 1e-3


def test_gpu_refuses_a_section_that_there_is_not() -> None:
    """The message names those that there are."""
    command = [sys.executable, str(PROJECT / "benchmarks" / "gpu.py"), "--sections", "grid,gird"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "no section gird; there are machine, features, grid" in ended.stderr
