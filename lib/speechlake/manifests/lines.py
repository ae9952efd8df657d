"""Cutting manifests into byte ranges, and byte ranges into lines; pure functions under the Spark source.

A range owns the lines that start in it, so that ranges of any size yield every line exactly once. No
line is held that is longer than the cap: the rest of a 50 MB line is read and dropped.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final, cast

from speechlake.manifests.contract import Source, is_gzipped
from speechlake.manifests.folder import is_audio
from speechlake.manifests.formats import FORMATS
from speechlake.manifests.places import open_binary, readable
from speechlake.manifests.strict_json import MAX_LINE_BYTES

RANGE_BYTES: Final = 32 << 20
BLOCK_BYTES: Final = 1 << 20
HEAD_OF_TOO_LONG: Final = 4096
FOLDER_BATCH: Final = 4096


@dataclass(frozen=True, slots=True)
class Range:
    """A part of a manifest: the lines that start in [start, end); end None: to the end of the text."""

    uri: str
    format: str
    start: int
    end: int | None

    @property
    def is_compressed(self) -> bool:
        """A .gz is read as one range of its decompressed text."""
        return is_gzipped(self.uri)


@dataclass(slots=True)
class Lines:
    """Some lines of one range, in order: where each starts, its bytes without its end, whether it was cut."""

    offsets: list[int] = field(default_factory=list)
    raw: list[bytes | None] = field(default_factory=list)
    too_long: list[bool] = field(default_factory=list)

    def add(self, offset: int, raw: bytes | None, too_long: bool = False) -> None:
        """Append one line; raw None stands for the rest of a text that could not be read."""
        self.offsets.append(offset)
        self.raw.append(raw)
        self.too_long.append(too_long)


def ranges_of(source: Source, range_bytes: int = RANGE_BYTES) -> list[Range]:
    """The ranges of one manifest; folders and .gz are one."""
    whole = Range(source.uri, source.format, 0, None)
    if FORMATS[source.format].is_folder or whole.is_compressed:
        return [whole]
    starts = range(0, max(source.size_bytes, 1), range_bytes)
    ends = [*starts[1:], source.size_bytes]
    return [Range(source.uri, source.format, start, end) for start, end in zip(starts, ends, strict=True)]


def packed(sources: Sequence[Source], range_bytes: int = RANGE_BYTES) -> list[list[Range]]:
    """All ranges, grouped into partitions of about `range_bytes`, in order; folders stand alone."""
    partitions: list[list[Range]] = []
    room = 0
    for source in sources:
        for part in ranges_of(source, range_bytes):
            # The size of a folder's listing is not known: a partition of its own.
            size = (source.size_bytes if part.end is None else part.end - part.start) or range_bytes
            if size > room:
                partitions.append([])
                room = range_bytes
            partitions[-1].append(part)
            room -= size
    return partitions


def read_range(part: Range) -> Iterator[Lines]:
    """The lines of a range in small groups; a damaged .gz ends with one line whose raw is None."""
    if FORMATS[part.format].is_folder:
        yield from folder_lines(part.uri)
        return
    with open_binary(part.uri) as raw:
        if part.is_compressed:
            yield from _compressed_lines(raw)
        else:
            yield from lines_of(raw, part.start, part.end)


def lines_of(
    stream: BinaryIO,
    start: int,
    end: int | None,
    *,
    cap: int = MAX_LINE_BYTES,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Lines]:
    """Lines that start in [start, end) of a seekable stream, a group per block read."""
    # From the byte before: when that is a line end, the first line is ours, else its owner is before us.
    seek = max(start - 1, 0)
    stream.seek(seek)
    yield from split(_blocks(stream, block_bytes), seek, start, end, cap)


def split(blocks: Iterable[bytes], offset: int, start: int, end: int | None, cap: int) -> Iterator[Lines]:
    """Lines of `blocks`, whose first byte lies at `offset` <= start, that start in [start, end)."""
    ours = start == offset == 0  # no line of ours has begun before the first line end, but at byte 0
    read = offset
    at, head, length = offset, b"", 0  # the unfinished line: where it starts, its first bytes, its length
    for block in blocks:
        pieces = block.split(b"\n")
        lines = Lines()
        for piece in pieces[:-1]:
            if ours and (end is None or at < end):
                _add(lines, at, head + piece if length <= cap else head, length + len(piece), cap)
            at, head, length, ours = at + length + len(piece) + 1, b"", 0, True
        if lines.offsets:
            yield lines
        read += len(block)
        if end is not None and (at >= end or (not ours and read >= end)):
            return
        length += len(pieces[-1])
        if len(head) <= cap:
            head = (head + pieces[-1])[: cap + 2]  # room for the \r that is no part of the line
    if ours and length:
        lines = Lines()
        _add(lines, at, head, length, cap)
        yield lines


def folder_lines(uri: str) -> Iterator[Lines]:
    """The listing of a folder of audio: sorted relative paths; offsets are those of the joined text.

    Folders in it that nobody may read are left out: the listing of its root tells them.
    """
    lines, at = Lines(), 0
    for path, _ in readable(uri):
        if is_audio(path):
            lines.add(at, path)
            at += len(path) + 1
            if len(lines.offsets) >= FOLDER_BATCH:
                yield lines
                lines = Lines()
    if lines.offsets:
        yield lines


def _add(lines: Lines, at: int, head: bytes, length: int, cap: int) -> None:
    # Also of a last line: its \n may be what was lost.
    if head.endswith(b"\r") and length == len(head):
        head, length = head[:-1], length - 1
    too_long = length > cap
    lines.add(at, head[: min(HEAD_OF_TOO_LONG, cap)] if too_long else head, too_long)


def _blocks(stream: BinaryIO, block_bytes: int) -> Iterator[bytes]:
    while block := stream.read(block_bytes):
        yield block


def _compressed_lines(raw: BinaryIO) -> Iterator[Lines]:
    after = 0
    try:
        blocks = _blocks(cast(BinaryIO, gzip.GzipFile(fileobj=raw)), BLOCK_BYTES)
        for lines in split(blocks, 0, 0, None, MAX_LINE_BYTES):
            yield lines
            after = lines.offsets[-1] + 1
    except (EOFError, zlib.error, gzip.BadGzipFile):
        broken = Lines()
        broken.add(after, None)
        yield broken
