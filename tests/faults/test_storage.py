"""Storage that is full, and storage that may only be read: in a mount of the test's own, where that is allowed."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from driver_tools import command, environment, finished
from fault_story import FIRST, lay_out
from watched import copied, difference, values

MOUNT = ("unshare", "--map-root-user", "--mount")


def may_mount() -> bool:
    """Whether this user may mount in a name space of its own; containers often forbid it."""
    try:
        done = subprocess.run(
            [*MOUNT, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(not may_mount(), reason="no name space with mounts: unshare --mount is not allowed"),
]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """One corpus of noise."""
    folder = tmp_path_factory.mktemp("storage")
    lay_out(folder / "c", FIRST)
    return {"c": folder / "c"}


@pytest.fixture(scope="module")
def undisturbed(corpora: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake of a run with room enough."""
    folder = tmp_path_factory.mktemp("room")
    assert finished(folder / "lake", corpora, log=folder / "log") == 0, (folder / "log").read_text()[-2000:]
    return folder / "lake"


def in_mounts(script: Sequence[str], log: Path) -> None:
    """Run the lines of a shell script in a name space where it may mount."""
    done = subprocess.run(
        [*MOUNT, "bash", "-euc", "\n".join(script)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    log.write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stderr[-3000:]


def taken_bytes(folder: Path) -> int:
    """What files take in whole pages, as a tmpfs counts them."""
    return sum(-(-file.stat().st_size // 4096) * 4096 for file in folder.rglob("*") if file.is_file())


def outcomes(log: Path) -> list[str]:
    """What the JSON lines of the drivers say, in order."""
    said = [json.loads(line) for line in log.read_text().splitlines() if line.startswith('{"job"')]
    return [each["outcome"] for each in said]


def test_a_lake_whose_disk_is_full_again_and_again_is_completed_once_there_is_room(
    corpora: Mapping[str, Path], undisturbed: Path, tmp_path: Path
) -> None:
    place, whole = tmp_path / "disk", taken_bytes(undisturbed)
    place.mkdir()
    driver = shlex.join(command(place / "lake", corpora))
    shares = (0.25, 0.6, 0.9)
    script = [f"mount -t tmpfs -o size={round(shares[0] * whole)} tmpfs {place}"]
    for share in shares:
        script += [f"mount -o remount,size={round(share * whole)} {place}", f"{driver} || echo ended with $?"]
    script += [f"mount -o remount,size={8 * whole} {place}", driver, f"cp -a {place}/lake {tmp_path}/lake"]
    in_mounts(script, tmp_path / "log")
    told = (tmp_path / "log").read_text()
    found = outcomes(tmp_path / "log")
    assert found[0] == "DiskFull", told[-3000:]
    assert (set(found[:-1]), found[-1]) == ({"DiskFull"}, "done"), told[-3000:]
    assert "no space left" in told
    assert difference(values(tmp_path / "lake"), values(undisturbed)) == {}


def test_a_lake_that_may_only_be_read_is_the_users_mistake_for_writers_and_serves_readers(
    corpora: Mapping[str, Path], undisturbed: Path, tmp_path: Path
) -> None:
    root = copied(undisturbed, tmp_path / "lake")
    driver = shlex.join(command(root, corpora))
    report = shlex.join([sys.executable, "-m", "speechlake.commands.report", "--lake", str(root)])
    new = shlex.join(command(root / "new", corpora))
    script = [
        f"mount --bind {root} {root}",
        f"mount -o remount,bind,ro {root}",
        *(f"{each} || echo ended with $?" for each in (driver, new)),
        report,
    ]
    in_mounts(script, tmp_path / "log")
    told = (tmp_path / "log").read_text()
    assert outcomes(tmp_path / "log") == ["done", "done", "done"], told[-3000:]
    # The pipeline ended, and left its only corpus behind.
    assert told.count('"refused": ["c"]') == told.count("ended with 2") == 2
    assert "Read-only file system" in told
    assert "Traceback" not in told
    assert difference(values(root), values(undisturbed)) == {}
