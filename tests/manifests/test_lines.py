"""Byte ranges yield every line exactly once, however they are cut; what is too long is never held."""

from __future__ import annotations

import gzip
import hashlib
import io
import tracemalloc
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from speechlake.manifests.contract import Source
from speechlake.manifests.hashing import sha256_of
from speechlake.manifests.lines import Range, lines_of, packed, ranges_of, read_range

CAP = 1 << 20
Line = tuple[int, bytes | None, bool]


def lines_in_ranges(data: bytes, size: int, cap: int, block: int) -> list[Line]:
    found: list[Line] = []
    for start in range(0, max(len(data), 1), size):
        for group in lines_of(
            io.BytesIO(data), start, min(start + size, len(data)), cap=cap, block_bytes=block
        ):
            found += zip(group.offsets, group.raw, group.too_long, strict=True)
    return found


def lines_by_splitting(data: bytes, cap: int) -> list[Line]:
    found: list[Line] = []
    at = 0
    pieces = data.split(b"\n")
    for n, piece in enumerate(pieces):
        last = n == len(pieces) - 1
        line = piece.removesuffix(b"\r")
        if not (last and not piece):
            found.append((at, line[:cap] if len(line) > cap else line, len(line) > cap))
        at += len(piece) + 1
    return found


_BYTES = st.lists(
    st.sampled_from([b"a", b"\n", b"\r\n", b"\r", b"\x00", b"\xff", b"long piece"]), max_size=25
).map(b"".join)


@given(_BYTES, st.integers(1, 12), st.integers(1, 9), st.integers(1, 7))
def test_any_cut_yields_the_lines_of_the_whole(data: bytes, size: int, cap: int, block: int) -> None:
    assert lines_in_ranges(data, size, cap, block) == lines_by_splitting(data, cap)


@given(_BYTES, st.integers(1, 12))
def test_line_numbers_count_every_line_before_a_range(tmp_path_factory, data: bytes, size: int) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path_factory.getbasetemp() / "numbers.jsonl"
    file.write_bytes(data)
    found = sha256_of(Source(str(file), "nemo", len(data)), range_bytes=size)
    starts = [at for at, _, _ in lines_by_splitting(data, CAP)]
    expected = [(start, sum(at < start for at in starts)) for start in range(0, max(len(data), 1), size)]
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert list(found.lines_before) == expected


def test_what_was_appended_since_the_ranges_were_made_is_not_hashed(tmp_path: Path) -> None:
    file = tmp_path / "grows.jsonl"
    before, more = b"one\ntwo\n", b"three\n" * 100
    file.write_bytes(before + more)
    for size in (3, 1000):
        assert sha256_of(Source(str(file), "nemo", len(before)), range_bytes=size).sha256 == (
            hashlib.sha256(before).hexdigest()
        )
    assert sha256_of(Source(str(file), "nemo", 0)).sha256 == hashlib.sha256(b"").hexdigest()


def test_a_line_of_50_mb_is_cut_and_its_neighbours_are_whole(tmp_path: Path) -> None:
    file = tmp_path / "long.jsonl"
    with file.open("wb") as out:
        out.write(b"before\n")
        for _ in range(50):
            out.write(b"x" * (1 << 20))
        out.write(b"\nafter\n")
    tracemalloc.start()
    found = [
        (raw, cut)
        for part in ranges_of(Source(str(file), "nemo", file.stat().st_size))
        for group in read_range(part)
        for raw, cut in zip(group.raw, group.too_long, strict=True)
    ]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == [(b"before", False), (b"x" * 4096, True), (b"after", False)]
    assert peak < 12 << 20


def test_big_files_are_split_and_small_ones_are_packed() -> None:
    sources = [Source(f"/{n}.tsv", "tsv", 10) for n in range(3)] + [Source("/big.jsonl", "nemo", 25)]
    plan = [[(part.uri, part.start, part.end) for part in group] for group in packed(sources, range_bytes=20)]
    assert plan == [
        [("/0.tsv", 0, 10), ("/1.tsv", 0, 10)],
        [("/2.tsv", 0, 10)],
        [("/big.jsonl", 0, 20)],
        [("/big.jsonl", 20, 25)],
    ]


def test_compressed_manifests_are_one_range_of_their_text(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl.gz"
    file.write_bytes(gzip.compress(b"one\r\ntwo\n\nthree"))
    (part,) = ranges_of(Source(str(file), "nemo", file.stat().st_size), range_bytes=4)
    lines = [line for group in read_range(part) for line in zip(group.offsets, group.raw, strict=True)]
    assert lines == [(0, b"one"), (5, b"two"), (9, b""), (10, b"three")]


def test_a_damaged_gz_ends_with_one_unreadable_line(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl.gz"
    file.write_bytes(gzip.compress(b"".join(b"line %d\n" % n for n in range(100_000)), 1)[:-2000])
    lines = [raw for group in read_range(Range(str(file), "nemo", 0, None)) for raw in group.raw]
    assert lines[0] == b"line 0"
    assert lines[-1] is None
    assert None not in lines[:-1]


def test_an_empty_manifest_has_no_lines(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.touch()
    (part,) = ranges_of(Source(str(file), "nemo", 0))
    assert list(read_range(part)) == []


def test_a_folder_is_its_sorted_paths_joined_by_newlines(tmp_path: Path) -> None:
    for name in ("b/2.wav", "b/1.flac", "a.wav", "b.mp3", "README.md", "b-c/3.ogg", "Z.WAV"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    source = Source(str(tmp_path), "folder", 0)
    (part,) = ranges_of(source)
    lines = [line for group in read_range(part) for line in zip(group.offsets, group.raw, strict=True)]
    names = [b"Z.WAV", b"a.wav", b"b-c/3.ogg", b"b.mp3", b"b/1.flac", b"b/2.wav"]
    text = b"\n".join(names)
    assert lines == [(text.index(name), name) for name in names]
    assert sha256_of(source).sha256 == hashlib.sha256(text).hexdigest()


def test_a_last_line_that_lost_half_of_its_end_is_a_line_like_the_others() -> None:
    found = lines_of(io.BytesIO(b"one\r\ntwo\r"), 0, None)
    assert [raw for lines in found for raw in lines.raw] == [b"one", b"two"]
