"""The benchmark of feeding a model: every run has its figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "supply.py"
CLIPS = 60


def test_supply_with_few_clips_writes_positive_figures(tmp_path: Path) -> None:
    """Each number of readers has a line and an entry in the JSON file; how fast it was is not judged."""
    path = tmp_path / "supply.json"
    command = [sys.executable, str(BENCHMARK), "--clips", str(CLIPS), "--readers", "1,2", "--json", str(path)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert [line.split()[:2] for line in ended.stdout.splitlines()[2:]] == [
        ["1", str(CLIPS)],
        ["2", str(CLIPS)],
    ]
    runs = json.loads(path.read_text())["runs"]
    assert [(run["readers"], run["clips"]) for run in runs] == [(1, CLIPS), (2, CLIPS)]
    figures = {"seconds", "times_real_time", "owner_cpu_ms", "children_cpu_ms", "loop_ms"}
    assert all(run[figure] > 0 for run in runs for figure in figures)
