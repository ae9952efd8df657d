"""Several manifests that list the same audio and do not agree, and files that break off: nothing is lost by it."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from lake_tools import ingest, says, write_lines

from speechlake.errors import TooManyRejected
from speechlake.manifests import versions
from speechlake.manifests.classify import Verdict
from speechlake.manifests.versions import parser_at

if TYPE_CHECKING:
    from speechlake.lake import Lake

LENIENT = {"max_reject": 0.9}


def now(lake: Lake) -> list[tuple[str, str, str | None]]:
    """(manifest, audio, current text) of all that is current."""
    texts = lake.read("transcripts").where("retired_in IS NULL").select("utterance_id", "text")
    places = lake.read("recordings").select("recording_id", "path")
    current = lake.read("utterances").where("retired_in IS NULL")
    rows = current.join(texts, "utterance_id", how="left").join(places, "recording_id").collect()
    return sorted((row.manifest_uri.rpartition(":")[2], row.path, row.text) for row in rows)


def refused(lake: Lake) -> int:
    """Lines that the newest versions of manifests lost to others."""
    from speechlake.manifests.versions import newest_manifests

    return sum(row.quarantined for row in newest_manifests(lake, "c").values())


@pytest.mark.slow
@pytest.mark.long
def test_a_line_that_lost_to_another_manifest_is_taken_once_the_other_lists_it_no_more(
    lake: Lake, tmp_path: Path
) -> None:
    a = write_lines(tmp_path / "a.jsonl", says("u.wav", "wrong"), says("v.wav", "v"))
    write_lines(tmp_path / "b.jsonl", says("u.wav", "right"), says("w.wav", "w"))
    ingest(lake, tmp_path, **LENIENT)
    assert now(lake) == [("a.jsonl", "u.wav", "wrong"), ("a.jsonl", "v.wav", "v"), ("b.jsonl", "w.wav", "w")]
    # a changes elsewhere: b is asked again, and a keeps the say.
    write_lines(a, says("u.wav", "wrong"), says("v.wav", "V"))
    ingest(lake, tmp_path, **LENIENT)
    assert now(lake) == [("a.jsonl", "u.wav", "wrong"), ("a.jsonl", "v.wav", "V"), ("b.jsonl", "w.wav", "w")]
    assert refused(lake) == 1
    write_lines(a, says("v.wav", "V"))
    ingest(lake, tmp_path, **LENIENT)
    settled = [("a.jsonl", "v.wav", "V"), ("b.jsonl", "u.wav", "right"), ("b.jsonl", "w.wav", "w")]
    assert now(lake) == settled
    assert refused(lake) == 0
    assert ingest(lake, tmp_path, **LENIENT).outcome == "nothing to do"


@pytest.mark.slow
def test_a_text_that_its_owner_corrects_is_current_alone_whoever_repeats_the_line(
    lake: Lake, tmp_path: Path
) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        write_lines(tmp_path / name, says("u.wav", "teh"))
    ingest(lake, tmp_path, **LENIENT)
    write_lines(tmp_path / "a.jsonl", says("u.wav", "the"))
    ingest(lake, tmp_path, **LENIENT)
    assert now(lake) == [("a.jsonl", "u.wav", "the")]
    # The other one says the same by now, and is no contradiction.
    write_lines(tmp_path / "b.jsonl", says("u.wav", "the"), says("v.wav", "v"))
    ingest(lake, tmp_path, **LENIENT)
    assert now(lake) == [("a.jsonl", "u.wav", "the"), ("b.jsonl", "v.wav", "v")]
    assert refused(lake) == 0


@pytest.mark.slow
@pytest.mark.long
def test_a_line_that_is_inherited_says_what_its_heir_says(lake: Lake, tmp_path: Path) -> None:
    """b repeats a's line, c contradicts it. What a corrected, and then lists no more, was never b's; nor is it c's."""
    for name, text in (("a", "teh"), ("b", "teh"), ("c", "tea")):
        write_lines(tmp_path / f"{name}.jsonl", says("u.wav", text), says(f"{name}.wav", name))
    ingest(lake, tmp_path, **LENIENT)
    write_lines(tmp_path / "a.jsonl", says("u.wav", "the"), says("a.wav", "a"))
    ingest(lake, tmp_path, **LENIENT)
    assert now(lake)[1] == ("a.jsonl", "u.wav", "the")
    (tmp_path / "a.jsonl").unlink()
    ingest(lake, tmp_path, **LENIENT)
    own = [("b.jsonl", "b.wav", "b"), ("b.jsonl", "u.wav", "teh"), ("c.jsonl", "c.wav", "c")]
    assert now(lake) == own
    assert ingest(lake, tmp_path, **LENIENT).outcome == "nothing to do"


@pytest.mark.slow
@pytest.mark.long
def test_a_corrected_copy_that_was_refused_is_taken_once_the_first_is_deleted(
    lake: Lake, tmp_path: Path
) -> None:
    """Each by a command of its own: what one of them changed is seen by the next one of the other."""
    lines = [says(f"{n}.wav", "old") for n in range(8)]
    first = write_lines(tmp_path / "first" / "m.jsonl", *lines)
    write_lines(tmp_path / "first" / "other.jsonl", says("other.wav", "other"))
    copy = write_lines(
        tmp_path / "copy" / "m.jsonl", *lines[:4], *(says(f"{n}.wav", "new") for n in range(4, 8))
    )
    said = {"roots": {"audio": str(tmp_path)}, "relative_to": "root"}
    ingest(lake, first.parent, **said)
    assert isinstance(ingest(lake, copy.parent, **said).refusal, TooManyRejected)
    assert {row.reason for row in lake.read("quarantine").collect()} == {"SAME_INTERVAL"}
    assert lake.read("quarantine").count() == 4
    first.unlink()
    ingest(lake, first.parent, **said)
    assert ingest(lake, copy.parent, **said).refusal is None
    assert sorted(str(text) for _, _, text in now(lake)) == [*["new"] * 4, *["old"] * 4, "other"]


@pytest.mark.slow
def test_a_gz_that_is_still_being_written_retires_nothing(lake: Lake, tmp_path: Path) -> None:
    # More than the block that is read at once, of which nothing is left where it breaks off.
    texts = ("".join(hashlib.sha256(f"{n} {k}".encode()).hexdigest() for k in range(24)) for n in range(2000))
    lines = b"".join(says(f"{n}.wav", text) + b"\n" for n, text in enumerate(texts))
    manifest = tmp_path / "m.jsonl.gz"
    manifest.write_bytes(gzip.compress(lines))
    ingest(lake, manifest)
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[: len(whole) * 3 // 4])
    report = ingest(lake, manifest)
    assert isinstance(report.refusal, TooManyRejected)
    assert "the file breaks off" in str(report.refusal)
    assert lake.read("utterances").where("retired_in IS NULL").count() == 2000
    manifest.write_bytes(whole)
    assert ingest(lake, manifest).refusal is None


def test_a_version_that_breaks_off_is_never_acceptable() -> None:
    assert Verdict("m", lines=101, utterances=100, repeats=0, quarantined=1).acceptable(0.05)
    assert not Verdict("m", lines=101, utterances=100, repeats=0, quarantined=1, unreadable=1).acceptable(1.0)


class Known:
    """The newest version of a manifest that was parsed once more for the sake of others."""

    sha256 = "s"

    def __init__(self, parser_version: str, quarantined: int) -> None:
        self.parser_version, self.quarantined = parser_version, quarantined


@pytest.mark.parametrize("quarantined", [0, 1])
@pytest.mark.parametrize("counted", ["", "+2?"])
def test_what_was_parsed_once_more_stays_as_it_is(quarantined: int, counted: str) -> None:
    known = Known(f"1/o/n/places/after{counted}", quarantined)
    assert parser_at("1/o/n", "places", "s", known) == "1/o/n/places/after"
    assert parser_at("1/o/n", "places", "other bytes", known) == "1/o/n/places"


def test_a_manifest_is_read_anew_once_in_a_run_wherever_the_clock_was_set_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """b lost a line to a, which a run took whose clock was ahead of the present one's."""
    monkeypatch.setattr(versions, "_lost_to_others", lambda *said: set(said[-1]))
    newest = {
        "a": SimpleNamespace(run_id="20261128T090000", quarantined=0, repeats=0, generation=1),
        "b": SimpleNamespace(run_id="20261128T080000", quarantined=1, repeats=0, generation=2),
    }
    said = [{"uri": uri, "parser_version": "2/o/p/q"} for uri in "ab"]
    nowhere: Any = None
    anew = versions.doubtful(nowhere, "c", said, newest)
    assert [(v["uri"], v["parser_version"]) for v in anew] == [("b", "2/o/p/q/after2")]
    assert versions.doubtful(nowhere, "c", said, newest, but={"b"}) == []
