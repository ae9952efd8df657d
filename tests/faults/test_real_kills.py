"""kill -9 of real processes, at named points and at random moments of the whole pipeline."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from driver_tools import PARTS, Process, end, finished, kill, processes, started
from fault_story import CHANGED, FIRST, FaultStory, lay_out
from watched import Values, difference, values

from speechlake.lake import Lake

pytestmark = pytest.mark.slow
KILLS_PER_LAKE = 5
LAKES = 4
# What is killed, and how often: mostly the whole driver.
VICTIMS = {"all": 4, "python": 1, "java": 1, "worker": 2, "child": 2}


def test_a_process_that_is_killed_at_a_point_leaves_what_the_copies_hold_and_is_completed(
    story: FaultStory, tmp_path: Path
) -> None:
    """The copies that test_boundaries.py starts from are what a kill leaves."""
    step, point = story["ingest-manifests"], "after:commit:utterances"
    root, corpora = tmp_path / "lake", {"c": story.folder / "first"}
    code = finished(root, corpora, "--until", step.name, log=tmp_path / "log", SPEECHLAKE_FAULT=point)
    assert code == -signal.SIGKILL, (tmp_path / "log").read_text()[-2000:]
    assert difference(values(root), values(step.copies[f"{point}:1"])) == {}
    step.command(Lake(story.lake.spark, root))
    assert difference(values(root), step.after) == {}


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Two corpora of noise."""
    folder = tmp_path_factory.mktemp("killed")
    for name, clips in (("c", FIRST), ("d", CHANGED)):
        lay_out(folder / name, clips)
    return {"c": folder / "c", "d": folder / "d"}


@pytest.fixture(scope="module")
def undisturbed(
    corpora: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Values, float]:
    """The tables of a run that nobody killed, and how long it took."""
    folder = tmp_path_factory.mktemp("undisturbed")
    began = time.monotonic()
    assert finished(folder / "lake", corpora, log=folder / "log") == 0, (folder / "log").read_text()[-2000:]
    return values(folder / "lake"), time.monotonic() - began


@pytest.mark.long
@pytest.mark.parametrize("seed", range(LAKES))
def test_the_pipeline_survives_five_kills_at_random_moments(
    corpora: Mapping[str, Path], undisturbed: tuple[Values, float], tmp_path: Path, seed: int
) -> None:
    expected, whole_s = undisturbed
    rng, killed = random.Random(seed), Counter[str]()
    root, log = tmp_path / "lake", tmp_path / "log"
    code = None
    while killed.total() < KILLS_PER_LAKE or code != 0:
        process = started(root, corpora, "--wait", "120", log=log)
        try:
            if killed.total() < KILLS_PER_LAKE:
                killed += disturb(process, root, rng, whole_s)
            code = process.wait(timeout=900)
        finally:
            end(process, root)
        if code == 0 and killed.total() < KILLS_PER_LAKE:
            # It survived, or was through: the rest of the kills goes to a lake of its own.
            assert difference(values(root), expected) == {}
            root = root.with_name(f"lake{killed.total()}")
    assert difference(values(root), expected) == {}, killed
    assert finished(root, corpora, log=log) == 0
    assert difference(values(root), expected) == {}


def disturb(process: Process, root: Path, rng: random.Random, whole_s: float) -> Counter[str]:
    """Kill a part of the driver at a random moment; what was killed, nothing where it was through before."""
    (victim,) = rng.choices(list(VICTIMS), list(VICTIMS.values()))
    moment = time.monotonic() + rng.uniform(0.15, 0.95) * whole_s
    while time.monotonic() < moment and process.poll() is None:
        time.sleep(0.05)
    # A part that is not there yet is waited for: decode children live while audio is read.
    while process.poll() is None:
        if victim == "all":
            end(process, root)
            return Counter({victim: 1})
        there = processes(process, PARTS[victim])
        if there and kill([rng.choice(there)]):
            return Counter({victim: 1})
        time.sleep(0.05)
    return Counter()


@pytest.mark.long
def test_sigterm_at_any_moment_ends_the_pipeline_within_half_a_minute_and_it_goes_on_from_there(
    corpora: Mapping[str, Path], undisturbed: tuple[Values, float], tmp_path: Path
) -> None:
    expected, whole_s = undisturbed
    rng, root, log, interrupted = random.Random(15), tmp_path / "lake", tmp_path / "log", 0
    for _ in range(3):
        process = started(root, corpora, log=log)
        try:
            time.sleep(rng.uniform(0.4, 0.8) * whole_s)
            if process.poll() is None:
                process.terminate()
                assert process.wait(timeout=30) == 5
                interrupted += 1
        finally:
            end(process, root)
    assert interrupted, "nothing was there to be ended"
    assert '"outcome": "interrupted"' in log.read_text()
    assert finished(root, corpora, log=log) == 0
    assert difference(values(root), expected) == {}
