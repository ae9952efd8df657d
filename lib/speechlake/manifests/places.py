"""Opening and listing what lies under a local path or a URI; names stay bytes until someone decodes them.

Local folders are listed with `os.scandir`, others with `pyarrow.fs`: directory reads of Spark skip
`_x`, `.x` and names that are not UTF-8, and treat `[]{}*#` as patterns.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final
from urllib.parse import quote_from_bytes

from speechlake.uris import arrow_place, is_local, local_path, written_ns

# Of links: to nothing, to themselves, through a file, or to a name that no file can have; and what was
# deleted while we look.
_NOWHERE: Final = frozenset({errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG})


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder inside a folder. `mtime_ns` and `size_bytes` are null where nobody asked.

    `problem`: why nobody can tell what this is, or how large; it may be a file.
    """

    name: bytes
    is_folder: bool
    size_bytes: int | None = None
    mtime_ns: int | None = None
    problem: OSError | None = None


def local_uri(path: bytes) -> str:
    """How a local path is written in tables: absolute, as it is when it is UTF-8, else a `file://` URI."""
    absolute = os.path.abspath(path)  # noqa: PTH100  # Path cannot hold bytes
    try:
        return absolute.decode("utf-8")
    except UnicodeDecodeError:
        return "file://" + quote_from_bytes(absolute)


def joined(folder: str, relative: bytes) -> str:
    """The URI of something inside `folder`."""
    if is_local(folder):
        return local_uri(local_path(folder) + b"/" + relative)
    return folder.rstrip("/") + "/" + relative.decode("utf-8")


def open_binary(uri: str) -> BinaryIO:
    """A seekable, unbuffered stream of a file's bytes; OSError when it cannot be opened."""
    if is_local(uri):
        # O_NONBLOCK: a FIFO posing as a manifest opens at once, and is refused below.
        descriptor = os.open(local_path(uri), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(f"{uri} is not a regular file")
        return io.FileIO(descriptor, "rb")
    filesystem, path = arrow_place(uri)
    stream: BinaryIO = filesystem.open_input_file(path)
    return stream


def entry_of(uri: str) -> Entry | None:
    """What lies at `uri`; None when there is neither file nor folder. OSError when that cannot be told."""
    name = uri.rstrip("/").rsplit("/", 1)[-1].encode("utf-8", "surrogateescape")
    if is_local(uri):
        try:
            found = os.stat(local_path(uri))  # noqa: PTH116  # Path cannot hold bytes
        except OSError as error:
            if error.errno in _NOWHERE:
                return None
            raise
        return Entry(name, stat.S_ISDIR(found.st_mode), found.st_size, found.st_mtime_ns)
    filesystem, path = arrow_place(uri)
    info = filesystem.get_file_info(path)
    return None if info.type.name == "NotFound" else _entry(info)


def entries(folder: str, *, measured: bool = False) -> list[Entry]:
    """Files and folders in `folder`, sorted so that a walk yields relative paths in the order of their bytes.

    Links to folders are left out (a loop would never end), links to regular files count as files; links
    that lead nowhere, FIFOs, devices and sockets are left out. `measured` fills size and time. OSError
    when the folder is unreadable; where that is true of one name in it, its entry says so.
    """
    found = _local_entries(folder, measured) if is_local(folder) else _remote_entries(folder)
    return sorted(found, key=lambda entry: entry.name + b"/" if entry.is_folder else entry.name)


def walk(
    folder: str,
    *,
    measured: bool = False,
    on_error: Callable[[bytes, OSError], None] | None = None,
    below: bytes = b"",
) -> Iterator[tuple[bytes, Entry]]:
    """(relative path, entry) of every file under `folder`, in the order of the paths' bytes.

    Holds one folder's names per level. An unreadable folder or name goes to `on_error`; without it, a folder
    raises, and a name is left out.
    """
    pending = [iter(_entries_or_none(folder, below, measured, on_error))]
    prefixes = [below]
    while pending:
        entry = next(pending[-1], None)
        if entry is None:
            pending.pop()
            prefixes.pop()
            continue
        path = prefixes[-1] + entry.name
        if entry.is_folder:
            pending.append(iter(_entries_or_none(folder, path + b"/", measured, on_error)))
            prefixes.append(path + b"/")
        elif entry.problem is None:
            yield path, entry
        elif on_error is not None:
            on_error(path, entry.problem)


def readable(
    folder: str, unreadable: Callable[[bytes], None] = lambda place: None
) -> Iterator[tuple[bytes, Entry]]:
    """As `walk`, past what nobody may look at beneath `folder`, such as `lost+found`; `unreadable` hears of its path.

    Where a folder fails for another reason, or `folder` itself, it raises: what a store does not tell just now
    must not pass for what is not there.
    """

    def passed_over(place: bytes, error: OSError) -> None:
        is_folder = not place or place.endswith(b"/")
        if not place or (is_folder and not isinstance(error, PermissionError)):
            raise error
        unreadable(place)

    return walk(folder, on_error=passed_over)


def require_listable(folder: str) -> None:
    """OSError where `folder` cannot be listed. Of a store that says what lies there that is known already."""
    if is_local(folder):
        os.scandir(local_path(folder)).close()


def leads_out(folder: str, relative: bytes) -> bool:
    """True where the name at `relative` is a link to what does not lie under `folder`."""
    place = local_path(folder) if is_local(folder) else None
    if place is None or not os.path.islink(place + b"/" + relative):  # noqa: PTH114  # Path cannot hold bytes
        return False
    inside = os.path.realpath(place).rstrip(b"/") + b"/"
    return not os.path.realpath(place + b"/" + relative).startswith(inside)


def _entries_or_none(
    folder: str, below: bytes, measured: bool, on_error: Callable[[bytes, OSError], None] | None
) -> list[Entry]:
    try:
        return entries(joined(folder, below) if below else folder, measured=measured)
    except OSError as error:
        if on_error is None:
            raise
        on_error(below, error)
        return []


def _local_entries(folder: str, measured: bool) -> Iterator[Entry]:
    with os.scandir(local_path(folder)) as scan:
        for found in scan:
            entry = _local_entry(found, measured)
            if entry is not None:
                yield entry


def _local_entry(found: os.DirEntry[bytes], measured: bool) -> Entry | None:
    """None for what is neither file nor folder; one name that cannot be looked at must not hide the others."""
    try:
        if found.is_dir(follow_symlinks=False):
            return Entry(found.name, True)
        if not found.is_file():
            return None
        if not measured:
            return Entry(found.name, False)
        status = found.stat()
    except OSError as error:
        return None if error.errno in _NOWHERE else Entry(found.name, False, problem=error)
    return Entry(found.name, False, status.st_size, status.st_mtime_ns)


def _remote_entries(folder: str) -> Iterator[Entry]:
    from pyarrow.fs import FileSelector

    filesystem, path = arrow_place(folder)
    for info in filesystem.get_file_info(FileSelector(path, recursive=False)):
        if info.type.name in ("File", "Directory"):
            yield _entry(info)


def _entry(info: Any) -> Entry:
    is_folder = info.type.name == "Directory"
    size = None if is_folder else info.size
    return Entry(info.base_name.encode("utf-8"), is_folder, size, written_ns(info))
