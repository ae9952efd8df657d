"""Two drivers at once, on one job or on the same tables; and executors that are lost while they measure."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from driver_tools import Process, end, finished, kill, processes, started
from fault_story import CHANGED, FIRST, lay_out
from watched import Values, difference, values

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Two corpora of noise."""
    folder = tmp_path_factory.mktemp("several")
    for name, clips in (("c", FIRST), ("d", CHANGED)):
        lay_out(folder / name, clips)
    return {"c": folder / "c", "d": folder / "d"}


@pytest.fixture(scope="module")
def undisturbed(corpora: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Values:
    """The tables of a run that was alone."""
    folder = tmp_path_factory.mktemp("alone")
    assert finished(folder / "lake", corpora, log=folder / "log") == 0, (folder / "log").read_text()[-2000:]
    return values(folder / "lake")


def both(root: Path, one: Process, other: Process) -> list[int]:
    """The exit codes of two drivers that run at once on the lake `root`."""
    try:
        return [process.wait(timeout=900) for process in (one, other)]
    finally:
        end(one, root)
        end(other, root)


def test_of_two_drivers_with_the_same_command_each_waits_for_the_other_and_nothing_is_doubled(
    corpora: Mapping[str, Path], undisturbed: Values, tmp_path: Path
) -> None:
    root = tmp_path / "lake"
    codes = both(root, *(started(root, corpora, "--wait", "600", log=tmp_path / f"log{n}") for n in range(2)))
    assert codes == [0, 0], [(tmp_path / f"log{n}").read_text()[-2000:] for n in range(2)]
    assert difference(values(root), undisturbed) == {}


def test_of_two_drivers_that_do_not_wait_one_may_be_told_that_the_other_is_at_it_and_nothing_is_doubled(
    corpora: Mapping[str, Path], undisturbed: Values, tmp_path: Path
) -> None:
    root = tmp_path / "lake"
    codes = both(root, *(started(root, corpora, log=tmp_path / f"log{n}") for n in range(2)))
    # They start within the same second and ingest the same corpus first: one of them finds it held.
    assert sorted(codes) == [0, 4], [(tmp_path / f"log{n}").read_text()[-2000:] for n in range(2)]
    log = (tmp_path / f"log{codes.index(4)}").read_text()
    assert "is held by run" in log
    assert json.loads(log.splitlines()[-1])["outcome"] == "Busy"
    assert difference(values(root), undisturbed) == {}


def test_different_jobs_that_write_the_same_tables_at_once_lose_nothing(
    corpora: Mapping[str, Path], undisturbed: Values, tmp_path: Path
) -> None:
    """One corpus is ingested, measured and scored while the other is."""
    root = tmp_path / "lake"
    alone = [{name: folder} for name, folder in corpora.items()]
    last = ("extract-signals", "score-transcripts")
    codes = both(
        root,
        *(
            started(root, one, "--until", until, log=tmp_path / f"log{n}")
            for n, (one, until) in enumerate(zip(alone, last, strict=True))
        ),
    )
    assert codes == [0, 0], [(tmp_path / f"log{n}").read_text()[-2000:] for n in range(2)]
    assert finished(root, corpora, log=tmp_path / "log") == 0
    assert difference(values(root), undisturbed) == {}


def test_an_executor_that_is_lost_while_it_measures_costs_no_row(
    corpora: Mapping[str, Path], undisturbed: Values, tmp_path: Path
) -> None:
    root, log = tmp_path / "lake", tmp_path / "log"
    process = started(root, corpora, log=log, SPEECHLAKE_MASTER="local-cluster[2,1,1024]")
    try:
        lost, deadline = 0, time.monotonic() + 600
        while process.poll() is None and time.monotonic() < deadline and not lost:
            executors = processes(process, "CoarseGrainedExecutorBackend")
            if executors and any(root.glob("_staging/extract-signals/c/*/*")):
                lost = kill(executors[:1])
            time.sleep(0.05)
        assert lost == 1, "no executor was there to be lost"
        assert process.wait(timeout=900) == 0, log.read_text()[-2000:]
    finally:
        end(process, root)
    assert difference(values(root), undisturbed) == {}
