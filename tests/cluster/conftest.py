"""One cluster, and one local run to compare with, for all tests of this folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo_share import Demo, curated
from standalone import ROOT, Cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master and two workers of one core and one fake device each."""
    folder = tmp_path_factory.mktemp("cluster")
    subprocess.run(
        [sys.executable, "scripts/dist.py", str(folder / "dist")], cwd=ROOT, check=True, timeout=300
    )
    made = Cluster(folder, folder / "dist" / "speechlake.zip")
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def demo(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A share of the demo's corpora, curated by `local[2,4]`."""
    return curated(speech, tmp_path_factory.mktemp("demo"))
