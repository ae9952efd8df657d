"""File locks of a lake: held by the JVM that commits, whatever else this process or a user does."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

import pytest

from speechlake.errors import Busy, DiskFull, NoStore, UsageError
from speechlake.locks import JvmLock, _unwritable, _who, held_locks, lock_file


def others_can_take(path: Path) -> bool:
    """Whether another process gets the lock: this one is, to the JVM."""
    with path.open("r+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_a_lock_is_held_until_its_block_ends(spark, tmp_path):
    path = tmp_path / "x.lock"
    with JvmLock(spark, path, who="a", wait_s=0):
        assert not others_can_take(path)
    assert others_can_take(path)
    with JvmLock(spark, path, who="b", wait_s=0):
        assert not others_can_take(path)


def test_a_refused_second_try_of_the_same_process_leaves_the_first_its_lock(spark, tmp_path):
    path = tmp_path / "x.lock"
    with JvmLock(spark, path, who="a", wait_s=0):
        for way in (path, tmp_path / "." / "x.lock"):
            with pytest.raises(Busy, match="held by a"), JvmLock(spark, way, who="b", wait_s=0):
                pass
        assert not others_can_take(path)


def test_a_thread_that_waits_gets_the_lock_when_the_first_one_ends(spark, tmp_path):
    path, told = tmp_path / "x.lock", []

    def second() -> None:
        with JvmLock(spark, path, who="b", wait_s=60):
            told.append("second")

    with JvmLock(spark, path, who="a", wait_s=0):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(1)
        told.append("first")
    waiting.join(60)
    assert told == ["first", "second"]


def test_a_file_where_a_folder_should_be_is_the_users_mistake(spark, tmp_path):
    (tmp_path / "lake").write_text("not a folder")
    with (
        pytest.raises(UsageError, match=str(tmp_path)),
        JvmLock(spark, tmp_path / "lake" / "_locks" / "x.lock", who="a", wait_s=0),
    ):
        pass


def test_a_place_where_nobody_may_write_is_the_users_mistake(spark):
    with (
        pytest.raises(UsageError, match="/proc/lake"),
        JvmLock(spark, Path("/proc/lake/_locks/x.lock"), who="a", wait_s=0),
    ):
        pass


def test_a_lock_file_that_cannot_be_opened_is_the_users_mistake(spark, tmp_path):
    (tmp_path / "x.lock").mkdir()
    with pytest.raises(UsageError, match=r"x\.lock"), JvmLock(spark, tmp_path / "x.lock", who="a", wait_s=0):
        pass
    (tmp_path / "x.lock").rmdir()
    with JvmLock(spark, tmp_path / "x.lock", who="a", wait_s=0):
        assert not others_can_take(tmp_path / "x.lock")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("[Errno 116] Stale file handle: '/lake/_locks'", NoStore),
        ("/lake/_locks/x.lock (Input/output error)", NoStore),
        ("[Errno 24] Too many open files: '/lake/_locks'", NoStore),
        ("/lake/_locks/x.lock (No space left on device)", DiskFull),
        ("/lake/_locks/x.lock (Permission denied)", UsageError),
        ("[Errno 30] Read-only file system: '/lake/_locks'", UsageError),
        ("[Errno 17] File exists: '/lake/_locks'", UsageError),
    ],
)
def test_what_may_pass_is_worth_another_try_and_a_place_that_nobody_may_write_to_is_not(said, kind):
    assert type(_unwritable(said)) is kind


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"what": 1}'])
def test_a_lock_file_that_says_nothing_names_another_process(tmp_path, text):
    path = tmp_path / "x.lock"
    path.write_text(text)
    assert _who(path) == "another process"


def test_who_holds_locks_is_seen_without_taking_any(spark, tmp_path):
    assert held_locks(str(tmp_path)) == []
    one, other = (lock_file(str(tmp_path), name) for name in ("one.c", "other"))
    with JvmLock(spark, one, who="run r1", wait_s=0):
        with JvmLock(spark, other, who="run r2", wait_s=0):
            found = held_locks(str(tmp_path))
            assert [(held.name, held.who) for held in found] == [("one.c", "run r1"), ("other", "run r2")]
            assert [held.since for held in found] == [one.stat().st_mtime, other.stat().st_mtime]
        assert [held.name for held in held_locks(f"file://{tmp_path}")] == ["one.c"]
        assert not others_can_take(one)
    assert held_locks(str(tmp_path)) == []
