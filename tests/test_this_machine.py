"""How much memory a process may use, by the files in which Linux tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechlake import this_machine

MIB = 1 << 20


@pytest.mark.parametrize(
    ("groups", "files", "limit_mib"),
    [
        ("0::/", {"memory.max": str(512 * MIB)}, 512),
        ("0::/", {"memory.max": "max"}, None),
        ("0::/job/step", {"job/memory.max": str(300 * MIB), "job/step/memory.max": "max"}, 300),
        ("4:memory:/docker/x", {"memory/memory.limit_in_bytes": str(200 * MIB)}, 200),
        ("4:cpu,memory:/job", {"memory/job/memory.limit_in_bytes": str(100 * MIB)}, 100),
        ("4:memory:/job", {"memory/job/memory.limit_in_bytes": "9223372036854771712"}, None),
        ("4:cpu:/job", {"memory/job/memory.limit_in_bytes": str(100 * MIB)}, None),
        ("", {}, None),
    ],
)
def test_the_lowest_limit_of_all_control_groups_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: str, files: dict[str, str], limit_mib: int | None
) -> None:
    monkeypatch.setattr(this_machine, "PROC", tmp_path / "cgroup")
    monkeypatch.setattr(this_machine, "CONTROL_GROUPS", tmp_path / "groups")
    whole = this_machine.usable_memory()
    (tmp_path / "cgroup").write_text(groups)
    for name, said in files.items():
        file = tmp_path / "groups" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(said)
    assert this_machine.usable_memory() == (whole if limit_mib is None else limit_mib * MIB)
