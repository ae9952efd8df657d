"""Open audio under a root, wherever the root is: one door for local paths and every pyarrow URI.

Manifests are hostile, so a name is only ever looked up under its root. Local files are opened without
following a last link, without blocking, and only when they are regular files whose real place is under
the root's; anything remote, or a range of bytes of an archive, is copied into a memory file. Decoders
get the descriptor, never the name.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from speechlake.audio.errors import AudioError
from speechlake.uris import arrow_place, is_local, local_path, written_ns

# What may be copied into memory for one recording: 4 h of 48 kHz stereo in 24 bits.
MAX_COPY_BYTES = 4 << 30
_BLOCK_BYTES = 4 << 20


@dataclass(frozen=True)
class OpenAudio:
    """Audio that is open: a descriptor of a regular or memory file that holds it and nothing else.

    `listing_key` is that of the file (of the archive, for a range) at this opening.
    """

    fd: int
    size_bytes: int
    listing_key: str

    def content_sha256(self) -> str:
        """Hash of the bytes, read in blocks; the descriptor's position stays. STORAGE when reading fails."""
        digest = hashlib.sha256()
        try:
            for block in _blocks(self.fd, 0, self.size_bytes):
                digest.update(block)
        except OSError as error:
            raise _storage_error(error) from error
        return digest.hexdigest()


def listing_key(size: int, mtime_ns: int | None, etag: str | None = None) -> str:
    """What decides whether a file is read again: its size with its etag, else its mtime in ns, else alone."""
    if etag:
        return f"{size}-{etag.strip(chr(34))}"
    return str(size) if mtime_ns is None else f"{size}-{mtime_ns}"


@contextmanager
def open_audio(
    root_uri: str,
    path: str,
    *,
    byte_offset: int | None = None,
    byte_length: int | None = None,
    max_copy_bytes: int = MAX_COPY_BYTES,
) -> Iterator[OpenAudio]:
    """Open `path` under `root_uri` (a local path or URI), or `byte_length` bytes of it at `byte_offset`.

    AudioError: MISSING, NOT_A_FILE, OUTSIDE_ROOT; STORAGE; TOO_LARGE for copies; CORRUPT when the
    range is not in the file.
    """
    _refuse_escape(path)
    if is_local(root_uri):
        opened = _open_local(_local_root(root_uri), path, byte_offset, byte_length, max_copy_bytes)
    else:
        filesystem, base = _arrow_place(root_uri)
        opened = _open_remote(filesystem, _join(base, path), byte_offset, byte_length, max_copy_bytes)
    try:
        yield opened
    finally:
        os.close(opened.fd)


def stat_audio(root_uri: str, path: str) -> tuple[int, str]:
    """Size in bytes and listing key of a file, without reading it; the errors of `open_audio`."""
    _refuse_escape(path)
    if not is_local(root_uri):
        filesystem, base = _arrow_place(root_uri)
        return _remote_info(filesystem, _join(base, path))
    fd = _open_inside(_local_root(root_uri), path)
    try:
        found = os.fstat(fd)
    finally:
        os.close(fd)
    return found.st_size, listing_key(found.st_size, found.st_mtime_ns)


def _refuse_escape(path: str) -> None:
    if "\0" in path:
        raise AudioError("MISSING", "the name holds a NUL character")
    if path.startswith("/") or ".." in path.split("/"):
        raise AudioError("OUTSIDE_ROOT", "the name is absolute or holds '..'")


# --- local -----------------------------------------------------------------------------------------

_CODES_OF_ERRNO = {
    errno.ENOENT: "MISSING",
    errno.ENOTDIR: "MISSING",
    errno.ENAMETOOLONG: "MISSING",
    errno.EINVAL: "MISSING",
    errno.ELOOP: "NOT_A_FILE",
    errno.ENXIO: "NOT_A_FILE",
}


def _local_root(root_uri: str) -> str:
    return os.fsdecode(local_path(root_uri))


def _storage_error(error: OSError) -> AudioError:
    return AudioError(_CODES_OF_ERRNO.get(error.errno or 0, "STORAGE"), error.strerror or str(error))


def _open_local(root: str, path: str, offset: int | None, length: int | None, cap: int) -> OpenAudio:
    fd = _open_inside(root, path)
    try:
        found = os.fstat(fd)
        key = listing_key(found.st_size, found.st_mtime_ns)
        if offset is None and length is None:
            return OpenAudio(fd, found.st_size, key)
        start, size = _range(found.st_size, offset, length, cap)
        copy = _memory_copy(_blocks(fd, start, size), size)
    except OSError as error:
        os.close(fd)
        raise _storage_error(error) from error
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return OpenAudio(copy, size, key)


def _open_inside(root: str, path: str) -> int:
    """A descriptor of the regular file at `path`, whose real place is under the real root."""
    try:
        real_root = os.path.realpath(root, strict=True)
        real = os.path.realpath(os.path.join(root, path), strict=True)  # noqa: PTH118  may hold any byte
        _check_inside(real_root, real)
        fd = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _storage_error(error) from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise AudioError("NOT_A_FILE")
        # Folders on the way may have become links since realpath; the kernel knows what was opened.
        _check_inside(real_root, os.readlink(f"/proc/self/fd/{fd}"))  # noqa: PTH115
    except BaseException:
        os.close(fd)
        raise
    return fd


def _check_inside(real_root: str, real: str) -> None:
    if os.path.commonpath([real_root, real]) != real_root:
        raise AudioError("OUTSIDE_ROOT", "the name leads out of its root")


def _blocks(fd: int, start: int, size: int) -> Iterator[bytes]:
    """`size` bytes from `start`, in blocks; fewer where the file ends before."""
    end = start + size
    while start < end and (block := os.pread(fd, min(_BLOCK_BYTES, end - start), start)):
        start += len(block)
        yield block


# --- remote ----------------------------------------------------------------------------------------


def _arrow_place(root_uri: str) -> tuple[Any, str]:
    """The file system of a root and the root's path on it; AudioError STORAGE where there is none."""
    try:
        return arrow_place(root_uri)
    except OSError as error:
        raise AudioError("STORAGE", f"root {error}") from error


def _join(base: str, path: str) -> str:
    return f"{base.rstrip('/')}/{path}" if base else path


def _remote_info(filesystem: Any, path: str) -> tuple[int, str]:
    from pyarrow import ArrowException
    from pyarrow.fs import FileType

    try:
        info = filesystem.get_file_info(path)
    except (OSError, ArrowException) as error:
        raise AudioError("STORAGE", str(error)) from error
    if info.type == FileType.NotFound:
        raise AudioError("MISSING")
    if info.type != FileType.File:
        raise AudioError("NOT_A_FILE", info.type.name)
    return info.size, listing_key(info.size, written_ns(info))


def _open_remote(filesystem: Any, path: str, offset: int | None, length: int | None, cap: int) -> OpenAudio:
    from pyarrow import ArrowException

    file_size, key = _remote_info(filesystem, path)
    start, size = _range(file_size, offset, length, cap)
    try:
        with filesystem.open_input_file(path) as file:
            file.seek(start)
            return OpenAudio(_memory_copy(_stream_blocks(file, size), size), size, key)
    except (OSError, ArrowException) as error:
        raise AudioError("STORAGE", str(error)) from error


def _stream_blocks(file: Any, size: int) -> Iterator[bytes]:
    while size > 0 and (block := file.read(min(_BLOCK_BYTES, size))):
        size -= len(block)
        yield block


# --- both ------------------------------------------------------------------------------------------


def _range(file_size: int, offset: int | None, length: int | None, cap: int) -> tuple[int, int]:
    start = offset or 0
    size = file_size - start if length is None else length
    if start < 0 or size < 0 or start + size > file_size:
        raise AudioError("CORRUPT", f"bytes {start} to {start + size} of {file_size}")
    if size > cap:
        raise AudioError("TOO_LARGE", f"{size} bytes, {cap} at most")
    return start, size


def _memory_copy(blocks: Iterator[bytes], size: int) -> int:
    """A memory file that holds exactly the `size` bytes of `blocks`, at position 0."""
    fd = os.memfd_create("audio", os.MFD_CLOEXEC)
    try:
        for block in blocks:
            view = memoryview(block)
            while view:
                view = view[os.write(fd, view) :]
        if os.fstat(fd).st_size != size:
            raise AudioError("STORAGE", f"read {os.fstat(fd).st_size} bytes of {size}")
        os.lseek(fd, 0, os.SEEK_SET)
    except BaseException:
        os.close(fd)
        raise
    return fd
