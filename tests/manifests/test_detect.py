"""What lies at a path is told by its content; names may be anything."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from speechlake.errors import NoStore, UsageError
from speechlake.manifests.detect import HEADS_AT_ONCE, detect, read_head
from speechlake.manifests.lines import folder_lines, ranges_of, read_range
from speechlake.manifests.places import Entry, entry_of, walk

NEMO = b'{"audio_filepath": "a.wav", "duration": 1.5}\n'
CV = b"client_id\tpath\tsentence\nc\ta.mp3\tHi\n"
CONTENT = [
    ("train.jsonl", NEMO, "nemo"),
    ("train.json", NEMO, "nemo"),
    ("train.txt", NEMO, "nemo"),
    ("broken_first.jsonl", b"{oops\n" + NEMO, "nemo"),
    ("bom.jsonl", b"\xef\xbb\xbf" + NEMO, "nemo"),
    ("long.jsonl", b'{"audio_filepath": "a.wav", "text": "' + b"x" * 200_000 + b'"}\n', "nemo"),
    ("train.tsv", CV, "common-voice"),
    ("bom.tsv", b"\xef\xbb\xbf" + CV, "common-voice"),
    ("crlf.tsv", CV.replace(b"\n", b"\r\n"), "common-voice"),
    ("list.tsv", b"id\taudio\ttext\n1\ta.wav\thi\n", "tsv"),
    ("list.csv", b"ID,duration,wav\n1,2.0,a.wav\n", "csv"),
    ("quoted.csv", b'"id","wav"\n"1","a.wav"\n', "csv"),
    ("semicolons.csv", b"id;path;text\n1;a.wav;x\n", "csv"),
    ("bars.csv", b"audio_file|text\na.wav|hi\n", "csv"),
    ("metadata.csv", b"LJ1|Printing, in|Printing, in\nLJ2|the|the\n", "ljspeech"),
    ("1-2.trans.txt", b"1-2-0000 HELLO\n", "librispeech"),
]


@pytest.mark.parametrize(("name", "content", "format"), CONTENT)
def test_a_file_is_recognised_by_its_content(tmp_path: Path, name: str, content: bytes, format: str) -> None:
    (tmp_path / name).write_bytes(content)
    (found,) = detect(str(tmp_path / name))
    assert (found.uri, found.format, found.size_bytes) == (str(tmp_path / name), format, len(content))


def test_a_compressed_file_is_recognised_too(tmp_path: Path) -> None:
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress(CV))
    (found,) = detect(str(tmp_path / "a.tsv.gz"))
    assert (found.format, found.header, found.body_offset) == (
        "common-voice",
        "client_id\tpath\tsentence",
        24,
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.txt", b"hello there\n"),
        ("empty.jsonl", b""),
        ("words.csv", b"ID,words\n1,HELLO\n"),
        ("pretty.json", b'[\n {"audio_filepath": "a.wav"}\n]\n'),
        ("hypotheses.tsv", b"1-2-0000\thello\n"),
        ("train.jsonl", b'{"path": "x", "loss": 2}\n'),
        ("damaged.tsv.gz", b"\x1f\x8bnonsense"),
        ("utf16.tsv", CV.decode().encode("utf-16")),
    ],
)
def test_what_is_no_manifest_is_answered_with_the_formats_there_are(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match="common-voice"):
        detect(str(tmp_path / name))
    with pytest.raises(UsageError):
        detect(str(tmp_path))


def test_a_named_format_is_taken_at_its_word(tmp_path: Path) -> None:
    (tmp_path / "utf16.tsv").write_bytes(CV.decode().encode("utf-16"))
    (found,) = detect(str(tmp_path / "utf16.tsv"), "common-voice")
    assert (found.format, found.header) == ("common-voice", None)


def test_a_tree_yields_each_manifest_in_it(tmp_path: Path) -> None:
    for chapter in ("1/20/1-20", "1/3/1-3"):
        (tmp_path / chapter).parent.mkdir(parents=True)
        (tmp_path / f"{chapter}.trans.txt").write_bytes(b"1-2-0000 HELLO\n")
        (tmp_path / f"{chapter}-0000.flac").touch()
    (tmp_path / "notes.csv").write_bytes(b"nothing,to,see\n")
    assert [(s.uri.removeprefix(f"{tmp_path}/"), s.format) for s in detect(str(tmp_path))] == [
        ("1/20/1-20.trans.txt", "librispeech"),
        ("1/3/1-3.trans.txt", "librispeech"),
    ]


def test_a_folder_of_audio_alone_is_a_manifest_itself(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.wav").touch()
    (found,) = detect(str(tmp_path))
    assert (found.uri, found.format) == (str(tmp_path), "folder")


@pytest.mark.parametrize(
    "name", ["a[1]{2}*#?.tsv", "_x.tsv", ".x.tsv", 'it\'s "new" %20 é.tsv', "new\nline.tsv"]
)
def test_names_may_be_anything(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(CV)
    assert [s.uri for s in detect(str(tmp_path))] == [str(tmp_path / name)]
    assert [s.uri for s in detect(str(tmp_path / name))] == [str(tmp_path / name)]


def test_names_that_are_not_utf8_become_uris(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/\xff.tsv", "wb") as out:
        out.write(CV)
    (found,) = detect(str(tmp_path))
    assert found.uri == f"file://{tmp_path}/%FF.tsv"
    assert detect(found.uri) == [found]


def test_nothing_fifos_and_loops_of_links_are_usage_errors(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tsv")
    (tmp_path / "loop.tsv").symlink_to("loop.tsv")
    for path in (*(tmp_path / f"{name}.tsv" for name in ("absent", "pipe", "loop")), tmp_path):
        with pytest.raises(UsageError):
            detect(str(path))


BROKEN = [
    # format, name, content: recognised by nobody, and broken rather than something else
    ("nemo", "u16.jsonl", NEMO.decode().encode("utf-16")),
    ("nemo", "late.jsonl", b'{"audio_filepath": "a.wav",\n' * 20 + NEMO),
    # Of no time: two processes of pytest must collect the same.
    ("nemo", "late.jsonl.gz", gzip.compress(b"{oops\n" * 20 + NEMO, mtime=0)),
    ("common-voice", "u16.tsv", CV.decode().encode("utf-16")),
    ("csv", "latin1.csv", "id,audio,d\u00e9tails\n".encode("latin-1")),
    ("librispeech", "1-2.trans.txt", b"HELLO\n"),
]


@pytest.mark.parametrize(("format", "name", "content"), BROKEN)
def test_a_folder_with_a_named_format_yields_its_broken_files_too(
    tmp_path: Path, format: str, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "a.wav").touch()
    assert [(s.uri, s.format) for s in detect(str(tmp_path), format)] == [(str(tmp_path / name), format)]


OTHERS = [
    ("nemo", "notes.csv", b"nothing,to,see\n"),  # another format's suffix
    ("nemo", "list.tsv", b"id\taudio\n1\ta.wav\n"),  # another format recognises it
    ("nemo", "empty.jsonl", b"\n\n"),
    ("common-voice", "reported.tsv", b"sentence\treason\nHi\tgrammar\n"),  # a header, of another table
]


@pytest.mark.parametrize(("format", "name", "content"), OTHERS)
def test_a_folder_with_a_named_format_leaves_out_what_is_something_else(
    tmp_path: Path, format: str, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError):
        detect(str(tmp_path), format)


def test_files_called_like_manifests_that_nobody_recognises_are_told(tmp_path: Path) -> None:
    for format, name, content in BROKEN:
        (tmp_path / format).mkdir(exist_ok=True)
        (tmp_path / format / name).write_bytes(content)
    (tmp_path / "good.jsonl").write_bytes(NEMO)
    (tmp_path / "README.txt").touch()
    told: list[str] = []
    assert [s.uri for s in detect(str(tmp_path), "auto", told.append)] == [str(tmp_path / "good.jsonl")]
    assert told == sorted(str(tmp_path / format / name) for format, name, _ in BROKEN)


def test_whoever_knows_an_unrecognised_file_may_name_its_format(tmp_path: Path) -> None:
    (tmp_path / "u16.jsonl").write_bytes(NEMO.decode().encode("utf-16"))
    for place in (tmp_path, tmp_path / "u16.jsonl"):
        (found,) = detect(str(place), "auto", lambda uri: "nemo")
        assert (found.uri, found.format) == (str(tmp_path / "u16.jsonl"), "nemo")


def test_heads_of_a_folder_are_read_several_at_once_and_told_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{n:02}.json" for n in range(2 * HEADS_AT_ONCE)]
    for name in names:
        (tmp_path / name).write_bytes(b"hello there\n")
    (tmp_path / "z.jsonl").write_bytes(NEMO)
    all_at_once = threading.Barrier(HEADS_AT_ONCE, timeout=20)
    read: list[str] = []
    told: list[str] = []
    ahead: list[int] = []

    def together(uri: str) -> object:
        read.append(uri)
        if not uri.endswith(".jsonl"):
            all_at_once.wait()
        return read_head(uri)

    def unrecognised(uri: str) -> None:
        ahead.append(len(read) - len(told))
        told.append(uri)

    monkeypatch.setattr(f"{detect.__module__}.read_head", together)
    assert [s.uri for s in detect(str(tmp_path), "auto", unrecognised)] == [str(tmp_path / "z.jsonl")]
    assert told == [str(tmp_path / name) for name in names]
    assert max(ahead) <= HEADS_AT_ONCE


def test_a_size_that_the_walk_tells_is_not_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jsonl").write_bytes(NEMO)
    asked: list[str] = []

    def entry(uri: str) -> Entry | None:
        asked.append(uri)
        return entry_of(uri)

    monkeypatch.setattr(f"{detect.__module__}.readable", lambda uri, _: walk(uri, measured=True))
    monkeypatch.setattr(f"{detect.__module__}.entry_of", entry)
    (found,) = detect(str(tmp_path))
    assert found.size_bytes == len(NEMO)
    assert asked == [str(tmp_path)]


def test_a_folder_that_cannot_be_listed_is_told_after_what_lies_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.json").write_bytes(b"hello there\n")

    def broken(uri: str, unreadable: object) -> Iterator[tuple[bytes, Entry]]:
        yield from walk(uri)
        raise PermissionError("b is closed")

    monkeypatch.setattr(f"{detect.__module__}.readable", broken)
    told: list[str] = []
    with pytest.raises(UsageError, match="b is closed"):
        detect(str(tmp_path), "auto", told.append)
    assert told == [str(tmp_path / "a.json")]
    (tmp_path / "a.json").unlink()
    os.mkfifo(tmp_path / "pipe.json")
    pipe = [(b"pipe.json", Entry(b"pipe.json", False))]
    monkeypatch.setattr(f"{detect.__module__}.readable", lambda uri, _: pipe)
    with pytest.raises(UsageError, match="not a regular file"):
        detect(str(tmp_path))


def test_a_link_out_of_the_folder_is_not_followed_and_told(tmp_path: Path) -> None:
    (tmp_path / "secret.jsonl").write_bytes(NEMO)
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(NEMO)
    (folder / "latest.jsonl").symlink_to("a.jsonl")
    (folder / "out.jsonl").symlink_to("../secret.jsonl")
    (tmp_path / "here").symlink_to(folder)
    for place in (folder, tmp_path / "here"):
        told: list[str] = []
        found = detect(str(place), leading_out=told.append)
        assert [s.uri for s in found] == [str(place / "a.jsonl"), str(place / "latest.jsonl")]
        assert told == [str(place / "out.jsonl")]
    # Named by a person, it is what it is.
    assert [s.uri for s in detect(str(folder / "out.jsonl"))] == [str(folder / "out.jsonl")]


def _closed(monkeypatch: pytest.MonkeyPatch, name: bytes, error: OSError) -> None:
    """Nobody can list folders of that name; tests may run as root, whom no permission stops."""
    scandir = os.scandir

    def refusing(path: bytes) -> object:
        if path.rstrip(b"/").endswith(name):
            raise error
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)


DENIED = PermissionError(13, "Permission denied")


def test_a_folder_that_nobody_may_read_is_told_and_the_rest_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "a.wav").touch()
    _closed(monkeypatch, b"/lost+found", DENIED)
    told: list[str] = []
    assert [s.format for s in detect(str(tmp_path), "auto", unreadable=told.append)] == ["folder"]
    assert told == [str(tmp_path / "lost+found")]
    assert [lines.raw for lines in folder_lines(str(tmp_path))] == [[b"a.wav"]]


def test_a_folder_that_fails_for_another_reason_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else all that it holds would leave the corpus after one hiccup of the disk."""
    (tmp_path / "b").mkdir()
    (tmp_path / "a.wav").touch()
    _closed(monkeypatch, b"/b", OSError(5, "Input/output error"))
    with pytest.raises(OSError, match="Input/output error"):
        list(folder_lines(str(tmp_path)))


@pytest.mark.parametrize("format", ["auto", "nemo", "folder"])
def test_a_named_folder_that_cannot_be_read_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    _closed(monkeypatch, os.fsencode(tmp_path.name), DENIED)
    with pytest.raises(UsageError, match="Permission denied"):
        detect(str(tmp_path), format)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError("AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 7"), NoStore),
        (OSError("AWS Error ACCESS_DENIED during HeadObject operation"), UsageError),
        (OSError("xyz://b/ cannot be opened: Unrecognized filesystem type in URI"), UsageError),
        (FileNotFoundError("no bucket"), UsageError),
    ],
)
def test_a_store_that_does_not_answer_is_worth_another_try(
    monkeypatch: pytest.MonkeyPatch, error: OSError, told: type[Exception]
) -> None:
    def refuse(uri: str) -> None:
        raise error

    monkeypatch.setattr(f"{detect.__module__}.entry_of", refuse)
    with pytest.raises(told, match="cannot be read"):
        detect("s3://bucket/m.jsonl")


def test_a_compressed_file_is_one_whatever_the_case_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "A.JSONL.GZ").write_bytes(gzip.compress(NEMO))
    (tmp_path / "METADATA.CSV.GZ").write_bytes(gzip.compress(b"LJ1|Printing, in|Printing, in\n"))
    found = detect(str(tmp_path))
    assert [source.format for source in found] == ["nemo", "ljspeech"]
    (part,) = ranges_of(found[0])
    assert [lines.raw for lines in read_range(part)] == [[NEMO.rstrip()]]
