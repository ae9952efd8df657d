"""What a request means: whose utterances, which recordings and manifests with them, and which link keys nobody has then."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from erasure_story import request
from erasure_tools import SALT, Frames, buried

from speechlake.commands import erase_speakers
from speechlake.erasure.found import Found, alike, found_by, is_remembered, meant, missing
from speechlake.erasure.hashes import planned
from speechlake.erasure.links import lost_keys
from speechlake.erasure.mentions import mentions
from speechlake.erasure.tombstones import hash_of
from speechlake.errors import UsageError
from speechlake.ids import make_id, recording_id
from speechlake.schemas import (
    CONTENT_HASHES,
    CORPORA,
    EXTRACTORS,
    IMPORT_REFUSALS,
    MANIFESTS,
    QUARANTINE,
    RECORDINGS,
    RELEASES,
    REPEATS,
    SEGMENTATIONS,
    SPLITS,
    TABLES,
    UTTERANCES,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Rows = Callable[..., "DataFrame"]
# utterance -> corpus, recording, speaker, manifest, session
SAID: Mapping[str, tuple[str, str, str | None, str, str | None]] = {
    "z1": ("calls", "rz", "ns:zoe", "zoe.jsonl", "zoe's"),
    "z2": ("calls", "both", "ns:zoe", "all.jsonl", "shared"),
    "a1": ("calls", "both", "ns:anna", "all.jsonl", "shared"),
    "z3": ("news", "rn", "ns:zoe", "news.jsonl", None),
    "o1": ("other", "ro", "other:zoe", "zoe.jsonl", None),
}
# One name in two forms of its accent, with a space and in capitals, and other names.
COMPOSED, PARTED = "ns:Jos\u00e9", "ns:Jose\u0301"
SPELLED = {
    "j1": ("calls", COMPOSED),
    "j2": ("news", PARTED),
    "j3": ("calls", "ns: JOS\u00c9 "),
    "j4": ("calls", "ns:Jose"),
    "j5": ("other", f"other:{COMPOSED[3:]}"),
}
# The segment of a whole file without a speaker, in a recording of its own.
CUT = {"s1": ("calls", "rs", None, "all.jsonl", None), "whole": ("calls", "rs", None, "all.jsonl", None)}


@pytest.fixture(scope="module")
def lake(spark: SparkSession, rows: Rows) -> Any:
    everyone = {**SAID, **CUT}
    columns = ("corpus", "recording_id", "speaker_id", "manifest_uri", "session_id")
    utterances = [
        (u, {**dict(zip(columns, said, strict=True)), "source_id": f"source {u}"})
        for u, said in everyone.items()
    ]
    recordings = {(recording, corpus) for corpus, recording, *_ in everyone.values()}
    manifests = {(corpus, uri) for corpus, _, _, uri, _ in everyone.values()}
    namespaces = {"calls": "ns", "news": "ns", "other": "other"}
    frames = {
        "corpora": rows(CORPORA, *[(c, {"speaker_namespace": ns}) for c, ns in namespaces.items()]),
        "utterances": rows(UTTERANCES, *utterances),
        "recordings": rows(
            RECORDINGS, *[(r, {"corpus": c, "path": f"{r}.wav"}) for r, c in sorted(recordings)]
        ),
        "manifests": rows(MANIFESTS, *[(c, {"uri": uri}) for c, uri in sorted(manifests)]),
        "repeats": rows(REPEATS, ("calls", {"uri": "again.jsonl", "utterance_id": "z1"})),
        "content_hashes": rows(
            CONTENT_HASHES,
            *[
                (r, {"corpus": c, "content_sha256": b})
                for r, c, b in (
                    ("rz", "calls", "zoe's bytes"),
                    ("both", "calls", "bytes"),
                    ("rn", "news", "bytes"),
                )
            ],
        ),
        "signals_audio": rows(
            TABLES["signals_audio"],
            *[
                (u, {"corpus": c, "content_sha256": "bytes", "samples_sha256": said})
                for u, c, said in (
                    ("z1", "calls", "zoe's"),
                    ("z2", "calls", "both's"),
                    ("a1", "calls", "both's"),
                )
            ],
        ),
        "segmentations": rows(SEGMENTATIONS, ("whole", {"recording_id": "rs", "segments": [("s1", 0, 5)]})),
    }
    return Frames(spark, frames)


@contextmanager
def found(lake: Any, *erase: dict[str, str]) -> Iterator[Found]:
    there = found_by(lake, meant(lake, request(erase=[*erase])))
    yield there
    there.forget()


def ids(frame: DataFrame, column: str) -> set[str]:
    return {row[column] for row in frame.collect()}


def test_a_speaker_is_found_in_all_corpora_of_the_namespace_and_in_no_other(lake: Any) -> None:
    for said in ({"speaker": "zoe", "corpus": "calls"}, {"speaker": "zoe", "namespace": "ns"}):
        with found(lake, said) as there:
            assert ids(there.utterances, "utterance_id") == {"z1", "z2", "z3"}


def test_recordings_go_that_nobody_else_speaks_in_and_manifests_that_list_nobody_else(lake: Any) -> None:
    with found(lake, {"speaker": "zoe", "corpus": "calls"}) as there:
        assert ids(there.recordings, "recording_id") == {"rz", "rn"}
        assert ids(there.shared, "recording_id") == {"both"}
        manifests = {(row.corpus, row.uri) for row in there.manifests.collect()}
        assert manifests == {("calls", "zoe.jsonl"), ("news", "news.jsonl")}


def test_a_segment_goes_with_what_it_was_cut_from(lake: Any) -> None:
    with found(lake, {"source_id": "source whole", "corpus": "calls"}) as there:
        assert ids(there.utterances, "utterance_id") == {"whole", "s1"}


def test_a_corpus_goes_whole(lake: Any) -> None:
    with found(lake, {"corpus": "other"}) as there:
        assert ids(there.utterances, "utterance_id") == {"o1"}
        assert ids(there.recordings, "recording_id") == {"ro"}


def test_link_keys_go_that_nobody_else_has(lake: Any) -> None:
    with found(lake, {"speaker": "zoe", "corpus": "calls"}) as there:
        keys = ids(lost_keys(lake, there.utterances), "link_key")
    own = {make_id("utterance", u) for u in ("z1", "z2", "z3")}
    lost = {make_id("speaker", "ns:zoe"), make_id("recording", "rz"), make_id("session", "zoe's")}
    lost |= {make_id("content", "zoe's bytes"), make_id("samples", "zoe's")}
    assert own | lost <= keys
    shared = {
        ("recording", "both"),
        ("content", "bytes"),
        ("samples", "both's"),
        ("session", "shared"),
        ("speaker", "ns:anna"),
        ("speaker", "other:zoe"),
    }
    assert not keys & {make_id(*link) for link in shared}


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"speaker": "zoe", "corpus": "calls"}, []),
        ({"source_id": "source z1", "corpus": "calls"}, ["source z1"]),
    ],
)
def test_a_source_id_refuses_lines_only_where_the_request_names_it(
    lake: Any, said: dict[str, str], named: list[str]
) -> None:
    asked = request(erase=[said])
    with found(lake, said) as there:
        rows = planned(lake, asked, meant(lake, asked), there, "salt").collect()
    assert {row.hash for row in rows if row.kind == "source_id"} == {
        hash_of("salt", "source_id", "calls", name) for name in named
    }
    assert hash_of("salt", "given", "calls", "source z1") in {row.hash for row in rows}


def test_what_is_not_there_is_named_and_an_unknown_corpus_or_namespace_too(lake: Any) -> None:
    asked = request(erase=[{"speaker": "zoe", "corpus": "calls"}, {"path": "no.wav", "corpus": "calls"}])
    assert missing(lake, meant(lake, asked), "salt") == [
        f"recording {recording_id('calls', 'audio', 'no.wav')}"
    ]
    gone = request(erase=[{"source_id": "gone", "corpus": "calls"}])
    assert missing(lake, meant(lake, gone), "salt") == ["source_id calls gone"]
    remembered = {**lake.frames, **buried(lake.spark, given=[("calls", "gone")]).frames}
    assert missing(Frames(lake.spark, remembered), meant(lake, gone), SALT) == []
    assert not is_remembered(Frames(lake.spark, remembered), meant(lake, gone), SALT)
    asked_for = {**lake.frames, **buried(lake.spark, source_id=[("calls", "gone")]).frames}
    assert is_remembered(Frames(lake.spark, asked_for), meant(lake, gone), SALT)
    with pytest.raises(UsageError, match="namespace 'calls'"):
        meant(lake, request(erase=[{"speaker": "zoe", "namespace": "calls"}]))
    with pytest.raises(UsageError, match="corpus 'nothing'"):
        meant(lake, request(erase=[{"corpus": "nothing"}]))


def test_a_namespace_that_went_with_its_corpus_is_known_by_who_was_erased_from_it(lake: Any) -> None:
    asked = request(erase=[{"corpus": "pilot"}, {"speaker": "anna", "namespace": "pilot"}])
    remembered = buried(lake.spark, corpus=["pilot"], speaker=["pilot:anna"])
    after = Frames(lake.spark, {**lake.frames, **remembered.frames})
    said = meant(after, asked)
    assert (said.speakers, missing(after, said, SALT)) == (["pilot:anna"], [])
    with pytest.raises(UsageError, match="namespace 'pilot'"):
        meant(after, request(erase=[{"speaker": "ben", "namespace": "pilot"}]))


def test_somebody_who_is_named_by_releases_alone_is_not_missing_and_leaves_no_side(
    lake: Any, rows: Rows
) -> None:
    there = Frames(lake.spark, {**lake.frames, "splits": rows(SPLITS, ("z1", {"speaker_id": "ns:carl"}))})
    asked = request(erase=[{"speaker": name, "namespace": "ns"} for name in ("carl", "dora")])
    said = meant(there, asked)
    assert missing(there, said, SALT) == ["speaker ns:dora"]
    with found(there, {"speaker": "carl", "namespace": "ns"}) as going:
        rows_of = planned(there, asked, said, going, SALT).collect()
    assert make_id("speaker", "ns:carl") in {row.hash for row in rows_of if row.kind == "link_key"}


# Refused lines by corpus, and what the request says.
REFUSED = [
    ("calls", b'{"speaker": "carl", "audio": "c', {"speaker": "carl", "namespace": "ns"}),
    ("news", b'{"speaker": "dora", "audio": "d', {"speaker": "dora", "corpus": "calls"}),
    ("other", b'{"speaker": "emil", "audio": "e', {"speaker": "emil", "namespace": "ns"}),  # not there
    ("calls", b"fredo fred2 Fred", {"speaker": "fred", "namespace": "ns"}),  # not there
    ("calls", b'{"speaker": "Jos\\u00e9"', {"speaker": "Jos\u00e9", "namespace": "ns"}),
    ("calls", b"\xff /audio/x/c.wav,", {"path": "x/c.wav", "corpus": "calls"}),
    ("news", b"call-7", {"source_id": "call-7", "corpus": "calls"}),  # not there
]


def test_somebody_who_is_named_in_refused_lines_alone_is_not_missing(lake: Any, rows: Rows) -> None:
    lines = [(corpus, {"raw_line": line, "detail": "no JSON"}) for corpus, line, _ in REFUSED]
    holding = Frames(lake.spark, {**lake.frames, "quarantine": rows(QUARANTINE, *lines)})
    asked = request(erase=[said for *_, said in REFUSED])
    lost = missing(holding, meant(holding, asked), SALT)
    assert lost == ["speaker ns:emil", "speaker ns:fred", "source_id calls call-7"]


def test_a_refused_row_of_an_import_names_somebody_and_its_corpus_forgets_its_lines(
    lake: Any, rows: Rows
) -> None:
    said = {"1": ("call-7", "calls", None), "2": ("x", "calls", "call-8"), "3": ("x", None, "of call-9, too")}
    filled = [(n, {"row_id": n, "given": g, "corpus": c, "said": text}) for n, (g, c, text) in said.items()]
    holding = Frames(lake.spark, {**lake.frames, "import_refusals": rows(IMPORT_REFUSALS, *filled)})
    asked = request(erase=[{"source_id": f"call-{n}", "corpus": "calls"} for n in (7, 8, 9)])
    assert missing(holding, meant(holding, asked), SALT) == ["source_id calls call-8"]
    with found(holding, {"source_id": "call-7", "corpus": "calls"}) as going:
        hashes = {row.hash for row in planned(holding, asked, meant(holding, asked), going, SALT).collect()}
    assert {hash_of(SALT, "lines", "calls"), hash_of(SALT, "given", "calls", "call-7")} <= hashes


def test_sentences_of_releases_go_that_spell_a_link_which_nobody_else_has(lake: Any, rows: Rows) -> None:
    told = [f"a group is held together by session '{value}': 2 rows" for value in ("zoe's", "shared")]
    holding = Frames(lake.spark, {**lake.frames, "releases": rows(RELEASES, ("r1", {"warnings": told}))})
    said = {"speaker": "zoe", "corpus": "calls"}
    with found(holding, said) as going:
        asked = request(erase=[said])
        hashes = (
            planned(holding, asked, meant(holding, asked), going, SALT).where("kind = 'warning'").collect()
        )
    assert [row.hash for row in hashes] == [hashlib.sha256(told[0].encode()).hexdigest()]


def test_an_import_that_names_a_corpus_that_goes_is_told(lake: Any, rows: Rows) -> None:
    made = {"f1": '{"corpus":"other"}', "f2": '{"corpus":"others"}'}
    extractors = rows(EXTRACTORS, *[(f, {"name": "imported.mos", "parameters": p}) for f, p in made.items()])
    holding = Frames(lake.spark, {**lake.frames, "extractors": extractors})
    asked = request(erase=[{"corpus": "other"}])
    with found(holding, {"corpus": "other"}) as going:
        told = mentions(holding, asked, meant(holding, asked), going)
    assert told == ["extractor imported.mos (f1) holds a name of the request, or a word like it."]


def test_names_that_are_written_otherwise_are_told_and_stay(lake: Any, rows: Rows) -> None:
    spelled = [(u, {"corpus": corpus, "speaker_id": name}) for u, (corpus, name) in SPELLED.items()]
    there = Frames(lake.spark, {**lake.frames, "utterances": rows(UTTERANCES, *spelled)})
    said = {"speaker": COMPOSED[3:], "namespace": "ns"}
    asked = request(erase=[said])
    assert alike(there, meant(there, asked)) == [f"speaker {name}" for name in ("ns: JOS\u00c9 ", PARTED)]
    with found(there, said) as going:
        assert ids(going.utterances, "utterance_id") == {"j1"}
        told = mentions(there, asked, meant(there, asked), going)
    assert f"speaker {PARTED} stays: the request writes it otherwise, and may mean it." in told


def test_a_source_id_that_is_written_otherwise_is_told_in_its_own_corpus(lake: Any) -> None:
    asked = request(erase=[{"source_id": "SOURCE z1", "corpus": "calls"}])
    assert alike(lake, meant(lake, asked)) == ["source_id calls:source z1"]
    with (
        pytest.raises(UsageError, match="Written otherwise it holds: source_id calls:source z1"),
        erase_speakers._asked(lake, asked),
    ):
        pass
    elsewhere = request(erase=[{"source_id": "SOURCE z1", "corpus": "news"}])
    assert alike(lake, meant(lake, elsewhere)) == []


def test_places_that_stay_and_hold_the_name_are_told(lake: Any) -> None:
    asked = request(erase=[{"path": "rz.wav", "corpus": "calls"}, {"speaker": "both.wav", "corpus": "calls"}])
    with found(lake, {"recording": "a" * 32}) as there:
        assert mentions(lake, asked, meant(lake, asked), there) == []
    with found(lake, {"speaker": "zoe", "corpus": "calls"}) as there:
        told = mentions(lake, asked, meant(lake, asked), there)
    assert told == [
        "1 rows of recordings that stay hold a name of the request in path, member: look whose they are."
    ]
