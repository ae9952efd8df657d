"""Listing folders: every file once, in order, whatever its name; nothing outside, nothing that blocks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from speechlake.manifests import listing, places


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name in (
        "a.wav",
        "b/c/d/e/deep.wav",
        "b/x.wav",
        "b-/y.wav",
        "_skip/[1].wav",
        ".hid/{2}*#.wav",
        "q/new\nline.wav",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"12345")
    with open(os.fsencode(root) + b"/q/\xff.wav", "wb"):
        pass
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.wav").touch()
    (root / "link_to_folder").symlink_to(tmp_path / "outside")
    (root / "loop").symlink_to(root)
    (root / "link.wav").symlink_to(root / "a.wav")
    (root / "dangling.wav").symlink_to(root / "gone.wav")
    os.mkfifo(root / "fifo.wav")
    return root


def seeds(uri: str, depth: int) -> list[listing.Seed]:
    """All of a folder, opened `depth` times."""
    found = [listing.Seed(b"", True)]
    for _ in range(depth):
        found = [part for seed in found for part in listing.opened(uri, seed)]
    return found


EXPECTED = [
    b".hid/{2}*#.wav",
    b"_skip/[1].wav",
    b"a.wav",
    b"b-/y.wav",
    b"b/c/d/e/deep.wav",
    b"b/x.wav",
    b"link.wav",
    b"q/new\nline.wav",
    b"q/\xff.wav",
]


def test_a_walk_is_in_the_order_of_bytes_and_leaves_out_links_to_folders_and_fifos(tree: Path) -> None:
    assert [path for path, _ in places.walk(str(tree))] == EXPECTED


def test_a_walk_through_pyarrow_finds_the_same(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyarrow.fs import LocalFileSystem

    (tree / "loop").unlink()  # object stores have no links
    os.unlink(os.fsencode(tree) + b"/q/\xff.wav")  # noqa: PTH108  # Path cannot hold bytes
    for name in ("link_to_folder", "dangling.wav", "fifo.wav"):
        (tree / name).unlink()
    monkeypatch.setattr(places, "arrow_place", lambda uri: (LocalFileSystem(), uri.removeprefix("s3://")))
    found = dict(places.walk(f"s3://{tree}", measured=True))
    assert list(found) == EXPECTED[:-1]
    assert found[b"a.wav"].size_bytes == 5
    assert found[b"a.wav"].mtime_ns is not None
    with places.open_binary(f"s3://{tree}/a.wav") as stream:
        assert stream.read() == b"12345"
    assert places.entry_of(f"s3://{tree}/none.wav") is None


@pytest.mark.parametrize("depth", [0, 1, 2, 3, 9])
def test_seeds_of_any_depth_list_every_file_once(tree: Path, depth: int) -> None:
    rows = [row for seed in seeds(str(tree), depth) for row in listing.listed("audio", str(tree), seed)]
    assert sorted(row[1] for row in rows if row[1]) == [path.decode() for path in EXPECTED[:-1]]
    assert [row for row in rows if row[4]] == [("audio", None, None, None, "NAME_NOT_UTF8", "q/\\xff.wav")]
    assert {row[3] for row in rows if not row[4]} == {5}


def test_an_unreadable_folder_is_told_and_the_rest_is_listed(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refusing(path: bytes) -> Any:
        if path.endswith(b"/b/c/"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    # Tests may run as root, whom no permission stops.
    monkeypatch.setattr(os, "scandir", refusing)
    monkeypatch.setattr(places, "local_uri", lambda path: path.decode("utf-8", "surrogateescape"))
    for depth in (0, 2):
        rows = [row for seed in seeds(str(tree), depth) for row in listing.listed("r", str(tree), seed)]
        assert [row[1:] for row in rows if row[4] == "UNREADABLE"] == [
            (None, None, None, "UNREADABLE", "b/c")
        ]
        assert len(rows) == len(EXPECTED)


def test_a_folder_that_could_not_be_listed_once_is_listed_whole_the_next_time(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else all audio in its folders would be missing after one hiccup of the store."""
    scandir, failed = os.scandir, list[bytes]()

    def hiccup(path: bytes) -> Any:
        if path.endswith(b"/b") and not failed:
            failed.append(path)
            raise OSError(5, "Input/output error")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", hiccup)
    rows = [row for seed in seeds(str(tree), 2) for row in listing.listed("r", str(tree), seed)]
    assert len(failed) == 1
    assert sorted(row[1] for row in rows if row[1]) == [path.decode() for path in EXPECTED[:-1]]


def test_a_root_that_is_not_there_is_told(tmp_path: Path) -> None:
    (seed,) = seeds(str(tmp_path / "gone"), 0)
    assert list(listing.listed("r", str(tmp_path / "gone"), seed)) == [
        ("r", None, None, None, "UNREADABLE", "")
    ]


@pytest.mark.slow
def test_list_roots_lists_all_roots_on_executors(spark: Any, tree: Path, tmp_path: Path) -> None:
    found = listing.list_roots(
        spark, {"audio": str(tree), "other": str(tmp_path / "outside"), "gone": str(tmp_path / "no")}
    )
    rows = {(row["root"], row["path"]): (row["size_bytes"], row["problem"]) for row in found.collect()}
    assert len(rows) == len(EXPECTED) + 2  # eight files, one bad name, one file, one absent root
    assert rows["audio", "b/c/d/e/deep.wav"] == (5, None)
    assert rows["other", "secret.wav"] == (0, None)
    assert rows["gone", None] == (None, "UNREADABLE")


def test_a_loop_of_links_leaves_the_files_beside_it_listed(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"12345")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    (tmp_path / "through_a_file.wav").symlink_to("a.wav/b.wav")
    assert [entry.name for entry in places.entries(str(tmp_path))] == [b"a.wav"]
    for depth in (0, 2):
        rows = [r for s in seeds(str(tmp_path), depth) for r in listing.listed("r", str(tmp_path), s)]
        assert [(row[1], row[4]) for row in rows] == [("a.wav", None)]


def test_a_link_that_cannot_be_followed_is_told_and_the_files_beside_it_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.wav").write_bytes(b"12345")
    (tmp_path / "b.wav").symlink_to("a.wav")
    scandir = os.scandir

    class Refusing:
        """A link whose target nobody may look at; tests may run as root, whom no permission stops."""

        name = b"b.wav"

        def is_dir(self, *, follow_symlinks: bool) -> bool:
            return False

        def is_file(self) -> bool:
            raise PermissionError(13, "Permission denied")

    @contextmanager
    def scanned(path: bytes) -> Iterator[list[Any]]:
        with scandir(path) as found:
            yield [Refusing() if entry.name == b"b.wav" else entry for entry in found]

    monkeypatch.setattr(os, "scandir", scanned)
    assert [path for path, _ in places.walk(str(tmp_path))] == [b"a.wav"]
    for depth in (0, 2):
        rows = [r for s in seeds(str(tmp_path), depth) for r in listing.listed("r", str(tmp_path), s)]
        assert [row[1:] for row in rows if row[4]] == [(None, None, None, "UNREADABLE", "b.wav")]
        assert [row[1] for row in rows if not row[4]] == ["a.wav"]
