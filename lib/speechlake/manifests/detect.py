"""`--format auto`: which manifests lie at a path or URI.

A file is recognised by its first lines, a folder by the manifests in it; only a folder without any,
but with audio, is a manifest itself. Walks names on the driver and keeps only those of manifests: a
corpus of a hundred million files should name its manifest, or `--format folder`, which is listed on
an executor.
"""

from __future__ import annotations

import gzip
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import BinaryIO, Final, NamedTuple, cast

from speechlake.errors import UsageError
from speechlake.manifests.contract import BYTE_ORDER_MARK, Format, Head, Source, is_blank, is_gzipped
from speechlake.manifests.folder import is_audio
from speechlake.manifests.formats import FORMATS, format_named
from speechlake.manifests.places import (
    Entry,
    entry_of,
    joined,
    leads_out,
    local_uri,
    open_binary,
    readable,
    require_listable,
)
from speechlake.manifests.strict_json import MAX_LINE_BYTES
from speechlake.uris import is_local, local_path, unseen

# What manifests are called. Recognition needs their content too; everything else is not even opened.
MANIFEST_SUFFIXES: Final = tuple({suffix.encode() for kind in FORMATS.values() for suffix in kind.suffixes})
HEAD_LINES: Final = 20
HEAD_BYTES: Final = 1 << 16
# A store answers after 100 ms, whoever else asks: one after another, 200,000 manifests are hours.
HEADS_AT_ONCE: Final = 16
Unrecognised = Callable[[str], str | None]
Told = Callable[[str], None]
_Read = tuple[Head, str | None, int]


class _Called(NamedTuple):
    """A file that is called like a manifest: `name` in lower case without `.gz`, size where the walk tells it."""

    name: bytes
    uri: str
    size_bytes: int | None


def detect(
    path_or_uri: str,
    format: str = "auto",
    unrecognised: Unrecognised = lambda uri: None,
    leading_out: Told = lambda uri: None,
    unreadable: Told = lambda uri: None,
) -> list[Source]:
    """The manifests at `path_or_uri`, in the order of their names; with `format`, those of that format.

    UsageError when nothing is there, or nothing that a format recognises; NoStore where the store does not
    answer. A file that is named together with a format is taken as it is: its lines are refused one by one where
    they do not fit. So are files in a folder that are called as the format's are and that no format recognises,
    unless they are empty or have the header of another table. `unrecognised` hears of every other file that is
    called like a manifest, and may name the format to read it as; `leading_out` of links out of the folder, which are
    not followed; `unreadable` of what lies in the folder and nobody may look at.
    """
    wanted = None if format == "auto" else format_named(format)
    uri = path_or_uri if not is_local(path_or_uri) else local_uri(local_path(path_or_uri))
    with _readable(path_or_uri):
        return _detect(path_or_uri, uri, wanted, unrecognised, leading_out, unreadable)


def existing(path_or_uri: str) -> Entry:
    """What lies at a SOURCE; UsageError when there is nothing, or nothing that can be read; NoStore."""
    with _readable(path_or_uri):
        found = entry_of(path_or_uri)
    if found is None:
        raise UsageError(f"there is nothing at {path_or_uri}", hint="Give a manifest or a folder.")
    return found


@contextmanager
def _readable(path_or_uri: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        told = f"{path_or_uri} cannot be read: {error}"
        raise unseen(told, path_or_uri, error, hint="Check the path and its permissions.") from error


def _detect(
    path_or_uri: str,
    uri: str,
    wanted: Format | None,
    unrecognised: Unrecognised,
    leading_out: Told,
    unreadable: Told,
) -> list[Source]:
    found = existing(path_or_uri)
    if not found.is_folder:
        return [_file(uri, found.size_bytes or 0, wanted, unrecognised)]
    if wanted is not None and wanted.is_folder:
        require_listable(uri)
        return [Source(uri, wanted.name, 0)]
    sources = list(_in_folder(uri, wanted, unrecognised, leading_out, unreadable))
    if sources:
        return sources
    if wanted is None and _has_audio(uri):
        return [Source(uri, next(name for name, kind in FORMATS.items() if kind.is_folder), 0)]
    raise _nothing(path_or_uri, wanted)


def read_head(uri: str) -> _Read:
    """(head, first line that is not blank or None where it is not UTF-8, offset of the byte after it)."""
    name = uri.rsplit("/", 1)[-1].lower().removesuffix(".gz")
    with open_binary(uri) as raw:
        data = _beginning(raw, is_gzipped(uri))
    body = data.removeprefix(BYTE_ORDER_MARK)
    lines = body.split(b"\n")
    complete = len(data) <= HEAD_BYTES
    head = Head(
        name,
        tuple(line.removesuffix(b"\r") for line in lines[:HEAD_LINES]),
        complete or len(lines) > HEAD_LINES,
    )
    offset = len(data) - len(body)
    for line in lines:
        offset += len(line) + 1
        if not is_blank(line):
            return head, _text(line), min(offset, len(data))
    return head, None, 0


def _beginning(raw: BinaryIO, compressed: bool) -> bytes:
    """Up to `HEAD_BYTES` + 1 bytes; more only while the first line has not ended, at most a line's cap."""
    stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if compressed else raw
    data = b""
    try:
        while len(data) <= (HEAD_BYTES if b"\n" in data else MAX_LINE_BYTES):
            block = stream.read(HEAD_BYTES + 1 - len(data) % HEAD_BYTES)
            if not block:
                break
            data += block
    except (EOFError, zlib.error, gzip.BadGzipFile):
        pass  # whatever was readable decides; the reader of lines reports the damage
    return data


def _file(uri: str, size_bytes: int, wanted: Format | None, unrecognised: Unrecognised) -> Source:
    head, first, after = read_head(uri)
    kind = wanted or _recognised(head) or _format(unrecognised(uri))
    if kind is None or kind.is_folder:
        raise _nothing(uri, wanted)
    return _source(uri, size_bytes, kind, first, after)


def _in_folder(
    uri: str, wanted: Format | None, unrecognised: Unrecognised, leading_out: Told, unreadable: Told
) -> Iterator[Source]:
    for found, read in _heads(uri, unreadable):
        if read is None:
            leading_out(found.uri)
            continue
        head, first, after = read
        kind = _recognised(head)
        if kind is None and (wanted is None or found.name.endswith(_suffixes(wanted))):
            is_meant = wanted is not None and _may_be(wanted, head, first)
            kind = wanted if is_meant else _format(unrecognised(found.uri))
        if kind is not None and wanted in (None, kind):
            # Stores tell sizes with the names; here, a look at one file costs little.
            size = found if found.size_bytes is not None else entry_of(found.uri)
            yield _source(found.uri, (size and size.size_bytes) or 0, kind, first, after)


def _heads(uri: str, unreadable: Told) -> Iterator[tuple[_Called, _Read | None]]:
    """Every file beneath `uri` that is called like a manifest, with its head, in order; None for a link out of it.

    Some are read ahead; what walk or reading raises comes in its turn all the same.
    """
    with ThreadPoolExecutor(HEADS_AT_ONCE) as pool:
        submitted = _submitted(pool, uri, unreadable)
        waiting = deque(islice(submitted, HEADS_AT_ONCE))
        while waiting:
            called, head = waiting.popleft()
            yield called, None if head is None else head.result()
            waiting.extend(islice(submitted, 1))


def _submitted(
    pool: ThreadPoolExecutor, uri: str, unreadable: Told
) -> Iterator[tuple[_Called, Future[_Read] | None]]:
    try:
        for path, entry in readable(uri, lambda place: unreadable(joined(uri, place))):
            name = path.lower().removesuffix(b".gz")
            if name.endswith(MANIFEST_SUFFIXES):
                found = joined(uri, path)
                # Whoever made the tree may not read what lies elsewhere: its lines would end in quarantine.
                head = None if leads_out(uri, path) else pool.submit(read_head, found)
                yield _Called(name, found, entry.size_bytes), head
    except OSError as error:
        failed: Future[_Read] = Future()
        failed.set_exception(error)
        yield _Called(b"", uri, None), failed


def _may_be(wanted: Format, head: Head, first: str | None) -> bool:
    """True for what is broken rather than something else: not empty, and no header that can be read."""
    return not all(map(is_blank, head.lines)) and not (wanted.has_header and first is not None)


def _suffixes(kind: Format) -> tuple[bytes, ...]:
    return tuple(suffix.encode() for suffix in kind.suffixes)


def _format(name: str | None) -> Format | None:
    return None if name is None else format_named(name)


def _source(uri: str, size_bytes: int, kind: Format, first: str | None, after: int) -> Source:
    if not kind.has_header:
        return Source(uri, kind.name, size_bytes)
    return Source(uri, kind.name, size_bytes, first, after)


def _recognised(head: Head) -> Format | None:
    return next((kind for kind in FORMATS.values() if kind.recognises(head)), None)


def _has_audio(uri: str) -> bool:
    return any(is_audio(path) for path, _ in readable(uri))


def _text(line: bytes) -> str | None:
    try:
        return line.removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError:
        return None


def _nothing(uri: str, wanted: Format | None) -> UsageError:
    what = f"manifest of format {wanted.name!r}" if wanted else "manifest, and no audio,"
    names = ", ".join(FORMATS)
    return UsageError(
        f"no {what} was recognised at {uri}", hint=f"Name the format with --format; there are: {names}."
    )
