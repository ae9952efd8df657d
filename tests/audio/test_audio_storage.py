"""Audio is opened under its root or not at all, on local disks and on any pyarrow file system."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from audio_examples import open_descriptors, soundfile_bytes, speechlike

from speechlake.audio import storage
from speechlake.audio.decoder import Decoder
from speechlake.audio.errors import AudioError
from speechlake.audio.storage import listing_key, open_audio, stat_audio
from speechlake.manifests.places import local_uri

WAV = soundfile_bytes(speechlike(0.5), "WAV")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with one wav, beside a secret that lies outside it."""
    (tmp_path / "secret.wav").write_bytes(WAV)
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.wav").write_bytes(WAV)
    return folder


@pytest.fixture
def remote(root: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same root, reached as a remote file system would be."""
    from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

    filesystem = SubTreeFileSystem(str(root), LocalFileSystem())
    monkeypatch.setattr(storage, "arrow_place", lambda uri: (filesystem, ""))
    return "s3://bucket/corpus"


@pytest.fixture(params=["local", "file URI", "remote"])
def any_root(request: pytest.FixtureRequest, root: Path) -> str:
    """The root in every spelling."""
    if request.param == "remote":
        return str(request.getfixturevalue("remote"))
    return root.as_uri() if request.param == "file URI" else str(root)


def refused(root: str | Path, path: str, **more: Any) -> str:
    """The code with which opening is refused."""
    with pytest.raises(AudioError) as caught, open_audio(str(root), path, **more):
        pass
    return caught.value.code


@pytest.mark.parametrize(
    ("size", "mtime_ns", "etag", "expected"),
    [
        (10, 5, None, "10-5"),
        (10, 5, "abc", "10-abc"),
        (10, 5, '"abc"', "10-abc"),
        (10, None, None, "10"),
        (0, 0, "", "0-0"),
    ],
)
def test_a_listing_key_is_the_size_with_the_best_mark_there_is(
    size: int, mtime_ns: int | None, etag: str | None, expected: str
) -> None:
    assert listing_key(size, mtime_ns, etag) == expected


@pytest.mark.parametrize("name", [b"a b", b"a#1", b"50%25", b"q?", b"\xff"])
def test_a_root_is_the_folder_that_manifests_mean_by_it(tmp_path: Path, name: bytes) -> None:
    folder = os.fsencode(tmp_path) + b"/" + name
    os.mkdir(folder)  # noqa: PTH102  # Path cannot hold bytes
    with open(folder + b"/a.wav", "wb") as file:
        file.write(b"12345")
    for uri in (local_uri(folder), "file://" + quote_from_bytes(folder)):
        assert stat_audio(uri, "a.wav")[0] == 5


def test_opening_gives_the_bytes_their_size_key_and_hash(any_root: str, root: Path) -> None:
    written = (root / "a.wav").stat().st_mtime_ns
    if any_root.startswith("s3:"):
        written -= written % 1_000_000_000  # all that a look at one remote object tells
    with open_audio(any_root, "a.wav") as audio:
        assert os.pread(audio.fd, 1 << 20, 0) == WAV
        os.lseek(audio.fd, 17, os.SEEK_SET)
        assert audio.content_sha256() == hashlib.sha256(WAV).hexdigest()
        assert os.lseek(audio.fd, 0, os.SEEK_CUR) == 17
        assert (audio.size_bytes, audio.listing_key) == (len(WAV), f"{len(WAV)}-{written}")
    assert stat_audio(any_root, "a.wav") == (len(WAV), f"{len(WAV)}-{written}")
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(audio.fd)


def test_a_range_of_an_archive_is_a_file_of_its_own(any_root: str, root: Path, decoder: Decoder) -> None:
    (root / "packed.tar").write_bytes(b"x" * 512 + WAV + b"y" * 512)
    with open_audio(any_root, "packed.tar", byte_offset=512, byte_length=len(WAV)) as audio:
        assert audio.content_sha256() == hashlib.sha256(WAV).hexdigest()
        assert audio.size_bytes == len(WAV)
        assert audio.listing_key == stat_audio(any_root, "packed.tar")[1]
        assert decoder.decode(audio.fd).duration_s == 0.5
    assert refused(any_root, "packed.tar", byte_offset=512, byte_length=len(WAV) + 513) == "CORRUPT"
    assert refused(any_root, "packed.tar", byte_offset=-1, byte_length=5) == "CORRUPT"
    assert (
        refused(any_root, "packed.tar", byte_offset=512, byte_length=600, max_copy_bytes=512) == "TOO_LARGE"
    )


def test_a_remote_file_above_the_cap_is_not_fetched(remote: str) -> None:
    assert refused(remote, "a.wav", max_copy_bytes=100) == "TOO_LARGE"


@pytest.mark.parametrize(
    "name",
    [
        "with space.wav",
        "new\nline.wav",
        "quote'\"`.wav",
        "glob[*]?{a}#.wav",
        "percent%20.wav",
        "deutsch-äöü-日本語.wav",
        "-rf.wav",
        "back\\slash.wav",
        "..double.wav",
    ],
)
def test_odd_names_are_only_names(any_root: str, root: Path, name: str) -> None:
    (root / name).write_bytes(WAV)
    with open_audio(any_root, name) as audio:
        assert audio.size_bytes == len(WAV)


def test_a_name_that_is_not_utf8_opens_on_a_local_disk(root: Path) -> None:
    name = os.fsdecode(b"latin-\xe4.wav")
    (root / name).write_bytes(WAV)
    with open_audio(str(root), name) as audio:
        assert audio.size_bytes == len(WAV)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("absent.wav", "MISSING"),
        ("a.wav/b.wav", "MISSING"),
        ("nul\0.wav", "MISSING"),
        ("sub", "NOT_A_FILE"),
        ("../secret.wav", "OUTSIDE_ROOT"),
        ("sub/../../secret.wav", "OUTSIDE_ROOT"),
        ("/etc/hostname", "OUTSIDE_ROOT"),
    ],
)
def test_a_name_that_leads_to_no_file_under_the_root_gives_a_code(
    any_root: str, path: str, code: str
) -> None:
    assert refused(any_root, path) == code
    with pytest.raises(AudioError, match=code):
        stat_audio(any_root, path)


def test_commands_and_addresses_are_names_of_missing_files(root: Path) -> None:
    for name in (
        "cat a.wav |",
        "http://169.254.169.254/x.wav",
        "file:a.wav",
        "concat:a.wav|a.wav",
        "$(id).wav",
        "",
    ):
        assert refused(root, name) in ("MISSING", "NOT_A_FILE"), name


def test_links_are_followed_inside_the_root_only(root: Path) -> None:
    (root / "inside.wav").symlink_to(root / "a.wav")
    (root / "folder").symlink_to(root / "sub")
    (root / "sub" / "b.wav").write_bytes(WAV)
    (root / "out.wav").symlink_to(root.parent / "secret.wav")
    (root / "up").symlink_to(root.parent)
    (root / "dangling.wav").symlink_to(root / "absent.wav")
    (root / "loop.wav").symlink_to(root / "loop.wav")
    for name in ("inside.wav", "folder/b.wav"):
        with open_audio(str(root), name) as audio:
            assert audio.size_bytes == len(WAV)
    found = {name: refused(root, name) for name in ("out.wav", "up/secret.wav", "dangling.wav", "loop.wav")}
    assert found == {
        "out.wav": "OUTSIDE_ROOT",
        "up/secret.wav": "OUTSIDE_ROOT",
        "dangling.wav": "MISSING",
        "loop.wav": "NOT_A_FILE",
    }


def test_a_root_that_is_itself_a_link_is_where_it_leads(root: Path) -> None:
    (root.parent / "link").symlink_to(root)
    with open_audio(str(root.parent / "link"), "a.wav") as audio:
        assert audio.size_bytes == len(WAV)


def test_a_root_whose_name_begins_like_another_is_not_inside_it(root: Path) -> None:
    (root.parent / "root2").mkdir()
    (root.parent / "root2" / "c.wav").write_bytes(WAV)
    (root / "c.wav").symlink_to(root.parent / "root2" / "c.wav")
    assert refused(root, "c.wav") == "OUTSIDE_ROOT"


def test_pipes_sockets_and_devices_neither_block_nor_open(root: Path) -> None:
    os.mkfifo(root / "pipe.wav")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(root / "socket.wav"))
        assert refused(root, "pipe.wav") == "NOT_A_FILE"
        assert refused(root, "socket.wav") == "NOT_A_FILE"
    assert refused("/dev", "null") == "NOT_A_FILE"


def test_an_empty_file_opens_and_is_refused_when_decoded(any_root: str, root: Path, decoder: Decoder) -> None:
    (root / "empty.wav").write_bytes(b"")
    with open_audio(any_root, "empty.wav") as audio:
        assert audio.content_sha256() == hashlib.sha256(b"").hexdigest()
        with pytest.raises(AudioError, match="EMPTY"):
            decoder.decode(audio.fd)


class _Failing:
    """A file system on which everything but listing fails."""

    def get_file_info(self, path: str) -> Any:
        from pyarrow.fs import FileInfo, FileType

        return FileInfo(path, FileType.File, size=10, mtime_ns=1)

    def open_input_file(self, path: str) -> Iterator[None]:
        raise OSError("AWS Error SLOW_DOWN")


def test_a_storage_that_fails_is_worth_another_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "arrow_place", lambda uri: (_Failing(), "bucket"))
    with pytest.raises(AudioError, match="SLOW_DOWN") as caught, open_audio("s3://bucket", "a.wav"):
        pass
    assert (caught.value.code, caught.value.transient) == ("STORAGE", True)


def test_a_root_of_an_unknown_scheme_is_a_storage_error() -> None:
    assert refused("nosuch://bucket/x", "a.wav") == "STORAGE"


def test_nothing_stays_open_behind_a_refusal(root: Path) -> None:
    os.mkfifo(root / "pipe.wav")
    before = open_descriptors(os.getpid())
    for _ in range(10):
        refused(root, "pipe.wav")
        refused(root, "a.wav", byte_offset=0, byte_length=1 << 40)
    assert open_descriptors(os.getpid()) == before
