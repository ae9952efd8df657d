"""From manifests to rows: every line ends in exactly one, with ids, or with a reason."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from speechlake import ids, manifests
from speechlake.manifests.detect import detect
from speechlake.manifests.hashing import hashes, line_number
from speechlake.manifests.lines import packed, read_range
from speechlake.manifests.options import ParseOptions
from speechlake.manifests.parse import LineParser, parsed_lines
from speechlake.manifests.references import Roots

Row = dict[str, Any]


def rows_of(path: Path, *, format: str = "auto", root: Path | None = None, **options: Any) -> list[Row]:
    """The rows of the manifests at `path`, without Spark."""
    from speechlake.manifests.lines_source import _batch

    sources = detect(str(path), format)
    roots = Roots.of({"audio": str(root or (path if path.is_dir() else path.parent))})
    parser = LineParser(roots, ParseOptions.of("c", **options), {source.uri: source for source in sources})
    found = []
    for group in packed(sources):
        for part in group:
            seen = 0
            for lines in read_range(part):
                for batch in parser.batches(iter([_batch(part, seen, lines)])):
                    found += batch.to_pylist(maps_as_pydicts="strict")
                seen += len(lines.offsets)
    return found


def nemo(folder: Path, *lines: bytes) -> Path:
    file = folder / "train.jsonl"
    file.write_bytes(b"\n".join(lines))
    return file


def test_a_line_becomes_a_row_with_ids_and_texts(tmp_path: Path) -> None:
    line = b'{"audio_filepath": "a.wav", "offset": 0.0005, "duration": 1, "text": "Hi", "lang": "English", "speaker": "s", "snr": 3}'
    (row,) = rows_of(nemo(tmp_path, line))
    recording = ids.recording_id("c", "audio", "a.wav")
    assert row == {
        "uri": str(tmp_path / "train.jsonl"),
        "format": "nemo",
        "range_start": 0,
        "line_in_range": 0,
        "byte_offset": 0,
        "raw_line": line,
        "reason": None,
        "detail": None,
        "root": "audio",
        "path": "a.wav",
        "recording_id": recording,
        "utterance_id": ids.utterance_id(recording, "mix", 1, 1001),
        "channel": "mix",
        "start_ms": 1,
        "end_ms": 1001,
        "source_id": None,
        "speaker": "s",
        "speaker_said": None,
        "speaker_placeholder": False,
        "session": None,
        "language_raw": "English",
        "language": "en",
        "declared_duration_s": 1.0,
        "declared_sample_rate_hz": None,
        "declared_channels": None,
        "extras": {"snr": "3"},
        "texts": [
            {
                "source": "manifest",
                "text": "Hi",
                "text_sha256": ids.text_sha256("Hi"),
                "kind": "human",
                "language": "en",
            }
        ],
    }


GOOD = b'{"audio_filepath": "a.wav", "duration": 1.0}'
BAD = [
    (b"{oops", "BAD_JSON"),
    (GOOD + GOOD, "TWO_OBJECTS"),
    (b'{"audio_filepath": "a.wav", "duration": NaN}', "BAD_NUMBER"),
    (b'{"audio_filepath": "a.wav", "offset": 1.0, "duration": 0.0001}', "BAD_INTERVAL"),
    (b'{"audio_filepath": "\xff.wav"}', "BAD_UTF8"),
    (GOOD.decode().encode("utf-16-le"), "CONTROL_CHARACTER"),
    (b"\xef\xbb\xbf" + GOOD, "BAD_JSON"),
    (b"[" * 20_000, "TOO_DEEP"),
    (b"x" * (3 << 20), "TOO_LONG"),
    (b'{"audio_filepath": "http://x/a.wav"}', "BAD_SCHEME"),
    (b'{"audio_filepath": "cat a.wav |"}', "PIPE"),
    (b'{"audio_filepath": "../../a.wav"}', "OUTSIDE_ROOT"),
    (b'{"audio_filepath": "a\\n.wav"}', "CONTROL_CHARACTER"),
]


def test_bad_lines_are_refused_one_by_one_and_no_good_line_is_lost(tmp_path: Path) -> None:
    lines = [GOOD] + [line for bad, _ in BAD for line in (bad, b"", GOOD + b"\r")]
    found = rows_of(nemo(tmp_path, *lines))
    assert [row["reason"] for row in found] == [None, *(reason for _, code in BAD for reason in (code, None))]
    for row, (raw, _) in zip([row for row in found if row["reason"]], BAD, strict=True):
        assert row["raw_line"] == raw[:4096]
        assert (row["utterance_id"], row["extras"], row["texts"]) == (None, {}, [])
    assert len({row["utterance_id"] for row in found if not row["reason"]}) == 1


def test_a_byte_order_mark_is_accepted_at_the_first_byte(tmp_path: Path) -> None:
    assert [row["reason"] for row in rows_of(nemo(tmp_path, b"\xef\xbb\xbf" + GOOD, GOOD))] == [None, None]


def test_the_header_of_a_table_is_not_counted_wherever_it_stands(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbf\r\nid,wav,text\r\n\r\n1,a.wav,hi\r\n2,b.wav\r\n")
    found = rows_of(tmp_path / "x.csv")
    assert [(row["line_in_range"], row["byte_offset"], row["reason"]) for row in found] == [
        (3, 20, None),
        (4, 32, "RAGGED"),
    ]


def test_a_utf16_table_is_refused_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_bytes("client_id\tpath\tsentence\nc\ta.mp3\thi\n".encode("utf-16"))
    assert {row["reason"] for row in rows_of(tmp_path / "x.tsv", format="common-voice")} == {"BAD_HEADER"}


def test_a_damaged_gz_keeps_what_was_readable(tmp_path: Path) -> None:
    import gzip

    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress((GOOD + b"\n") * 5000)[:-9])
    found = rows_of(tmp_path / "x.jsonl.gz")
    assert found[-1]["reason"] == "UNREADABLE"
    assert {row["reason"] for row in found[:-1]} <= {None, "BAD_JSON"}


@pytest.mark.parametrize(
    ("option", "line", "channel"),
    [
        ("mix", b'{"audio_filepath": "a.wav", "channel": 1}', "mix"),
        ("auto", b'{"audio_filepath": "a.wav", "channel": 1}', "1"),
        ("auto", b'{"audio_filepath": "a.wav"}', "mix"),
        ("0", b'{"audio_filepath": "a.wav", "channel": 1}', "0"),
    ],
)
def test_channels_follow_the_corpus(tmp_path: Path, option: str, line: bytes, channel: str) -> None:
    (row,) = rows_of(nemo(tmp_path, line), channels=option)
    assert row["channel"] == channel


def test_source_ids_are_part_of_ids_only_when_asked_for(tmp_path: Path) -> None:
    lines = [b'{"audio_filepath": "a.wav", "id": "%d"}' % n for n in (1, 2)]
    assert len({row["utterance_id"] for row in rows_of(nemo(tmp_path, *lines))}) == 1
    assert len({row["utterance_id"] for row in rows_of(nemo(tmp_path, *lines), ids="source")}) == 2


def test_the_language_of_the_corpus_serves_lines_that_name_none(tmp_path: Path) -> None:
    lines = [b'{"audio_filepath": "a.wav"}', b'{"audio_filepath": "a.wav", "lang": "gibberish-zz9"}']
    found = [(row["language_raw"], row["language"]) for row in rows_of(nemo(tmp_path, *lines), language="cy")]
    assert found == [(None, "cy"), ("gibberish-zz9", None)]


def test_a_parser_that_fails_refuses_the_line_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from speechlake.manifests import roles

    def failing(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(roles, "record", failing)
    (row,) = rows_of(nemo(tmp_path, GOOD))
    assert (row["reason"], row["detail"]) == ("PARSER_FAILED", "ZeroDivisionError: a defect")


def test_a_folder_yields_a_row_per_audio_file_whatever_its_name(tmp_path: Path) -> None:
    for name in ("a.wav", "b 'q' \"é\" [1]|.wav", "-rf.flac", "$x.wav", "new\nline.wav", "notes.txt"):
        (tmp_path / name).touch()
    with open(os.fsencode(tmp_path) + b"/\xff.wav", "wb"):
        pass
    found = {row["path"]: row["reason"] for row in rows_of(tmp_path) if row["path"]}
    assert found == {"a.wav": None, "b 'q' \"é\" [1]|.wav": None, "-rf.flac": None, "$x.wav": None}
    reasons = sorted(row["reason"] for row in rows_of(tmp_path) if row["reason"])
    assert reasons == ["CONTROL_CHARACTER", "NAME_NOT_UTF8"]


def test_a_manifest_in_a_folder_whose_name_is_not_utf8_is_refused_line_by_line(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(folder)  # noqa: PTH102  # Path cannot hold bytes
    with open(folder + b"/train.jsonl", "wb") as out:
        out.write(GOOD + b"\n" + GOOD.replace(b"a.wav", os.fsencode(tmp_path) + b"/b.wav"))
    found = [(row["uri"], row["reason"], row["path"]) for row in rows_of(tmp_path)]
    uri = f"file://{tmp_path}/%FF/train.jsonl"
    assert found == [(uri, "NAME_NOT_UTF8", None), (uri, None, "b.wav")]
    assert Roots.of({"audio": str(tmp_path)}).relative(uri) == uri


def test_a_line_that_fails_late_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from speechlake.manifests import parsed

    def failing(text: str) -> str:
        if text == "bad":
            raise UnicodeError("no such text")
        return ids.text_sha256(text)

    monkeypatch.setattr(parsed, "text_sha256", failing)
    lines = [
        b'{"audio_filepath": "%s.wav", "text": "%s", "x": "%s"}' % (t, t, t) for t in (b"one", b"bad", b"two")
    ]
    found = [
        (row["reason"], row["extras"], [t["text"] for t in row["texts"]])
        for row in rows_of(nemo(tmp_path, *lines))
    ]
    assert found == [(None, {"x": "one"}, ["one"]), ("PARSER_FAILED", {}, []), (None, {"x": "two"}, ["two"])]


def test_trees_locate_audio_beside_each_manifest(tmp_path: Path) -> None:
    (tmp_path / "dev" / "1" / "2").mkdir(parents=True)
    (tmp_path / "dev" / "1" / "2" / "1-2.trans.txt").write_bytes(b"1-2-0000 HELLO\n")
    (row,) = rows_of(tmp_path)
    assert (row["path"], row["speaker"], row["session"]) == ("dev/1/2/1-2-0000.flac", "1", "1-2")


@pytest.mark.slow
@pytest.mark.parametrize("range_bytes", [900, 1 << 20])
def test_spark_yields_the_same_rows_and_line_numbers_however_a_file_is_cut(
    spark: Any, tmp_path: Path, range_bytes: int
) -> None:
    from pyspark.sql import functions as F

    lines = [
        line
        for n in range(100)
        for line in (b'{"audio_filepath": "%d.wav", "text": "x"}' % n, b"", BAD[n % 6][0])
    ]
    file = nemo(tmp_path, *lines)
    sources, roots = detect(str(file)), Roots.of({"audio": str(tmp_path)})
    known = hashes(spark, sources, range_bytes=range_bytes).select("uri", "size_bytes", "ranges")
    parsed = parsed_lines(spark, sources, roots=roots, options=ParseOptions("c"), range_bytes=range_bytes)
    number = line_number(F.col("ranges"), F.col("range_start"), F.col("line_in_range"))
    numbered = (
        parsed.join(known, on="uri", how="inner").withColumn("line_number", number).orderBy("byte_offset")
    )
    found = [row.asDict(recursive=True) for row in numbered.collect()]
    keys = ("byte_offset", "reason", "detail", "path", "utterance_id", "texts", "extras", "raw_line")
    assert [[row[key] for key in keys] for row in found] == [
        [row[key] for key in keys] for row in rows_of(file)
    ]
    assert [row["line_number"] for row in found] == [n for n in range(1, 301) if n % 3 != 2]
    assert {row["size_bytes"] for row in found} == {file.stat().st_size}


@pytest.mark.slow
def test_read_serves_notebooks(spark: Any, tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_bytes(b"LJ1|Dr. X|Doctor X\nLJ2|hello|hello\n")
    frame = manifests.read(spark, "ljspeech", str(tmp_path), language="en")
    assert {(row["path"], row["texts"][0]["text"]) for row in frame.collect()} == {
        ("wavs/LJ1.wav", "Dr. X"),
        ("wavs/LJ2.wav", "hello"),
    }


@pytest.mark.slow
def test_no_sources_are_no_rows(spark: Any) -> None:
    assert parsed_lines(spark, [], roots=Roots.of({}), options=ParseOptions("c")).count() == 0
    assert hashes(spark, []).count() == 0


@pytest.mark.parametrize("said", ["unknown", "N/A", " ", "", None])
def test_a_line_that_does_not_know_its_language_has_the_corpuss(tmp_path: Path, said: str | None) -> None:
    line = json.dumps({"audio_filepath": "a.wav", "text": "Hi", "lang": said}).encode()
    (row,) = rows_of(nemo(tmp_path, line), language="de")
    assert (row["language"], row["language_raw"], row["texts"][0]["language"]) == ("de", said or None, "de")


def test_a_language_that_nobody_knows_is_not_the_corpuss(tmp_path: Path) -> None:
    lines = [json.dumps({"audio_filepath": "a.wav", "lang": said}).encode() for said in ("klingonish", "mul")]
    rows = rows_of(nemo(tmp_path, *lines), language="de")
    assert [row["language"] for row in rows] == [None, None]


def test_one_speaker_typed_in_two_ways_is_one(tmp_path: Path) -> None:
    names = ["Jos\u00e9", "Jose\u0301", " Jos\u00e9 ", "x" * 2000 + " "]
    lines = [
        json.dumps({"audio_filepath": f"{n}.wav", "speaker": who}).encode() for n, who in enumerate(names)
    ]
    rows = rows_of(nemo(tmp_path, *lines))
    assert [row["speaker"] for row in rows] == [*["Jos\u00e9"] * 3, names[3]]
    assert [row["speaker_said"] for row in rows] == [None, names[1], names[2], None]
