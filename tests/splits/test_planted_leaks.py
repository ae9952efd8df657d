"""Every kind of leak, planted: in candidates the build resolves it, in written rows the gate finds it."""

from __future__ import annotations

from typing import Any

import pytest
from splits_tables import candidate, candidates, policy

from speechlake.ids import make_id
from speechlake.splits.build import build
from speechlake.splits.gate import Asked, leaks

pytestmark = pytest.mark.slow

POLICY = policy(
    text={"prefer": ["manifest"]},
    duplicates={"kinds": ["exact"]},
    links={
        "text": {"mode": "exclude_from_train", "min_words": 4, "max_evicted_share": 1.0},
        "columns": {
            "extras.book": "together",
            "manifest_uri": {"mode": "exclude_from_train", "max_evicted_share": 1.0},
        },
    },
    decontaminate={"max_evicted_share": 1.0},
)
ASKED = Asked(POLICY.links, POLICY.decontaminate)
LONG = "a sentence of nine words that nobody says twice"


def row(utterance_id: str, **said: Any) -> dict[str, Any]:
    """A candidate whose text is its own, and whose speaker is known, but trains unless it is linked."""
    return candidate(utterance_id, **{"text": f"what {utterance_id} alone has said", **said})


# name -> rows; published sides by utterance; where the build puts each; what the gate says were all written
# where WRITTEN says. Every row that is named like its case and "test" was published in test.
CASES: dict[str, tuple[list[dict[str, Any]], dict[Any, str], dict[str, Any], set[tuple[str, str]]]] = {
    "speaker": (
        [row("speaker test", speaker_id="s"), row("speaker new", speaker_id="s")],
        {"speaker test": "test"},
        {"speaker test": "test", "speaker new": "test"},
        {("speaker", "s")},
    ),
    "namespace": (
        # Two corpora of one namespace: the reader's name is the same in both.
        [
            row("namespace test", corpus="a", speaker_id="librivox:7", speaker_namespace="librivox"),
            row("namespace new", corpus="b", speaker_id="librivox:7", speaker_namespace="librivox"),
        ],
        {"namespace test": "test"},
        {"namespace test": "test", "namespace new": "test"},
        {("speaker", "librivox:7")},
    ),
    "recording": (
        [row("recording test", recording_id="r"), row("recording new", recording_id="r", start_ms=9000)],
        {"recording test": "test"},
        {"recording test": "test", "recording new": "test"},
        {("recording", "r")},
    ),
    "content": (
        # One file under two paths, cut into intervals that share nothing.
        [
            row("content test", content_sha256="bytes"),
            row("content new", corpus="other", content_sha256="bytes", start_ms=9000),
        ],
        {"content test": "test"},
        {"content test": "test", "content new": "test"},
        {("content", "bytes")},
    ),
    "session": (
        [row("session test", session_id="c:1"), row("session new", session_id="c:1")],
        {"session test": "test"},
        {"session test": "test", "session new": "test"},
        {("session", "c:1")},
    ),
    "column": (
        [row("column test", extras={"book": "Emma"}), row("column new", extras={"book": "Emma"})],
        {"column test": "test"},
        {"column test": "test", "column new": "test"},
        {("extras.book", "c:Emma")},
    ),
    "column of another namespace": (
        [row("other test", extras={"book": "12"}), row("other new", corpus="b", extras={"book": "12"})],
        {"other test": "test"},
        {"other test": "test", "other new": "train"},
        set(),
    ),
    "chain of three": (
        [
            row("chain test", speaker_id="c1"),
            row("chain middle", speaker_id="c1", recording_id="c2"),
            row("chain end", overlap_id="c3", cluster_id="c3", duplicate_kind="near", recording_id="c2", start_ms=9000),
            row("chain last", overlap_id="c3", cluster_id="c3", duplicate_kind="near"),
        ],
        {"chain test": "test"},
        dict.fromkeys(("chain test", "chain middle", "chain end", "chain last"), "test"),
        {("speaker", "c1")},  # all but the first are written to train
    ),
    **{
        kind: (
            [
                row(f"{kind} test", overlap_id=kind, cluster_id=f"{kind} cluster", duplicate_kind=kind),
                row(f"{kind} new", overlap_id=kind, cluster_id=f"{kind} {copy}", duplicate_kind=kind),
            ],
            {f"{kind} test": "test"},
            {f"{kind} test": end, f"{kind} new": "test"},
            {("duplicate", kind), *([("duplicate", f"{kind} cluster")] if copy == "cluster" else [])},
        )
        for kind, copy, end in (
            # `kinds` names exact alone: of others nothing is removed, and they are linked all the same.
            ("exact", "cluster", ("test", "duplicate_of_kept", "exact new")),
            ("near", "cluster", "test"),
            ("contained", "part", "test"),
        )
    },
    "text": (
        [
            row("text test", text=f"Well: {LONG}!"),
            row("text new", text=f"{LONG.upper()}, they said"),
            row("text short test", text="yes it is so"),
            row("text short new", text="Yes, it is so."),
            row("text shorter", text="yes it is"),
            row("text of prompts", text=LONG, corpus="p", text_tags=["read", "prompts"]),
        ],
        {"text test": "test", "text short test": "test"},
        {
            "text test": "test",
            "text short test": "test",
            "text new": ("train", "text_in_evaluation", "text test"),
            "text short new": ("train", "text_in_evaluation", "text short test"),
            "text shorter": "train",
            "text of prompts": "train",
        },
        {("text", "text new"), ("text", "text short new")},
    ),
    "exclude_from_train": (
        [row("manifest test", manifest_uri="m.tsv"), row("manifest new", manifest_uri="m.tsv")],
        {"manifest test": "test"},
        {"manifest test": "test", "manifest new": ("train", "manifest_uri_in_evaluation", "manifest test")},
        {("manifest_uri", "c:m.tsv")},
    ),
    "evaluation corpus": (
        [
            row("bench 1", corpus="bench", role="evaluation", overlap_id="b", cluster_id="b", duplicate_kind="near"),
            row("bench 2", corpus="bench", role="evaluation", evaluation_texts=["Now every benchmark has long sentences as well"]),
            row("bench copy", overlap_id="b", cluster_id="b2", duplicate_kind="contained"),
            row("bench copy test", overlap_id="b", cluster_id="b3", duplicate_kind="near"),
            row("bench text", text="(now) every benchmark has long sentences as well, yes"),
            row("bench text test", text="now every benchmark has long sentences as well: test"),
        ],
        {"bench copy test": "test", "bench text test": "test"},
        {
            "bench 1": (None, "evaluation_corpus", None),
            "bench 2": (None, "evaluation_corpus", None),
            "bench copy": ("train", "in_evaluation_corpus", "bench"),
            "bench copy test": ("test", "in_evaluation_corpus", "bench"),
            "bench text": ("train", "in_evaluation_corpus", "bench"),
            "bench text test": "test",
        },
        {
            ("evaluation_corpus", "bench copy"), ("evaluation_corpus", "bench copy test"),
            ("evaluation_corpus_text", "bench text"), ("text", "bench text"), ("duplicate", "b"),
        },
    ),
    "boilerplate": (
        [
            row(f"jingle {name}", overlap_id="j", cluster_id="j", duplicate_kind="boilerplate", content_sha256="jingle")
            for name in ("test", "new", "newer")
        ],
        {"jingle test": "test"},
        {
            "jingle test": ("test", "boilerplate", None),
            "jingle new": "train",
            "jingle newer": ("train", "boilerplate", "jingle new"),
        },
        {("boilerplate", "j")},
    ),
    "boilerplate of an evaluation corpus": (
        [
            row("jingle bench", corpus="bench", role="evaluation", overlap_id="jb", cluster_id="jb", duplicate_kind="boilerplate"),
            row("jingle copy", overlap_id="jb", cluster_id="jb", duplicate_kind="boilerplate"),
        ],
        {},
        {
            "jingle bench": (None, "evaluation_corpus", None),
            "jingle copy": ("train", "in_evaluation_corpus", "bench"),
        },
        {("evaluation_corpus", "jingle copy")},
    ),
    "a bridge added later": (
        [
            row("bridge test", speaker_id="b1"),
            row("bridge train", recording_id="b2"),
            row("bridge", speaker_id="b1", recording_id="b2", start_ms=9000),
            # What it would tie together goes on as if it were not there.
            row("bridge later", speaker_id="b3", recording_id="b2", start_ms=20_000),
            row("bridge last", speaker_id="b3"),
        ],
        {"bridge test": "test", "bridge train": "train"},
        {
            "bridge test": "test", "bridge": ("test", "bridges_splits", "bridge later"), "bridge train": "train",
            "bridge later": "train", "bridge last": "train",
        },
        {("speaker", "b1")},
    ),
    "two old rows linked by a corrected speaker": (
        [
            row("corrected test", speaker_id="now"),
            row("corrected train", speaker_id="now", session_id="as before"),
            row("corrected later", speaker_id="other", session_id="as before"),
        ],
        {"corrected test": "test", "corrected train": "train"},
        {
            "corrected test": "test", "corrected train": ("train", "bridges_splits", "corrected test"),
            "corrected later": "train",
        },
        {("speaker", "now")},
    ),
    "copies of a row that goes": (
        # Nobody names the speaker of the later copy, and of the part, and everybody can hear who it is.
        [
            row("heard test", speaker_id="heard"),
            row("heard train", speaker_id="heard", overlap_id="h", cluster_id="h", duplicate_kind="near"),
            row("heard copy", speaker_id=None, overlap_id="h", cluster_id="h", duplicate_kind="near"),
            row("heard part", speaker_id=None, overlap_id="h", cluster_id="hp", duplicate_kind="contained"),
            # Who has a name is that person.
            row("heard other", speaker_id="somebody", overlap_id="h", cluster_id="h", duplicate_kind="near"),
        ],
        {"heard test": "test", "heard train": "train", ("duplicate", "h"): "train"},
        {
            "heard test": "test", "heard train": ("train", "bridges_splits", "heard test"),
            "heard copy": ("test", "bridges_splits", "heard other"),
            "heard part": ("test", "bridges_splits", "heard other"),
            "heard other": "train",
        },
        {("speaker", "heard")},
    ),
    "a copy of a row that goes, under another name": (
        # Nobody remembers what they share: it was found after the release that evaluated it.
        [
            row("gone test", speaker_id="gone"),
            row("gone dev", speaker_id="gone", overlap_id="g", cluster_id="g", duplicate_kind="near"),
            row("gone copy", speaker_id="somebody else", overlap_id="g", cluster_id="g", duplicate_kind="near"),
            # Of the speaker's later clips it takes none along.
            row("gone later", speaker_id="gone"),
        ],
        {"gone test": "test", "gone dev": "dev"},
        {
            "gone test": "test", "gone dev": ("dev", "bridges_splits", "gone later"), "gone copy": "dev",
            "gone later": "test",
        },
        {("speaker", "gone"), ("moved", "gone dev")},
    ),
    "a copy of a row that goes, of which every key is remembered": (
        # By what they share the row of test is remembered: a later clip made their clusters one.
        [
            row("merged test", overlap_id="me", cluster_id="me 1", duplicate_kind="near"),
            row("merged train", speaker_id="me", recording_id="me", content_sha256="me", overlap_id="me", cluster_id="me 2", duplicate_kind="near"),
            row("merged copy", overlap_id="me", cluster_id="me 2", duplicate_kind="near"),
        ],
        {
            "merged test": "test", ("duplicate", "me"): "test", "merged train": "train",
            **dict.fromkeys([("speaker", "me"), ("recording", "me"), ("content", "me")], "train"),
        },
        {
            "merged test": "test", "merged train": ("train", "bridges_splits", "merged test"),
            "merged copy": ("test", "bridges_splits", "merged train"),
        },
        {("duplicate", "me")},
    ),
    "a clip of audio from both sides": (
        # One that comes later, such as all of an episode: what of it trained before must not evaluate with it.
        [
            row("both test", overlap_id="both", cluster_id="both 1", duplicate_kind="contained"),
            row("both train", overlap_id="both", cluster_id="both 2", duplicate_kind="contained"),
            row("both", overlap_id="both", cluster_id="both 3", duplicate_kind="contained"),
        ],
        {"both test": "test", "both train": "train"},
        {
            "both test": "test", "both train": ("train", "bridges_splits", "both test"),
            "both": ("test", "bridges_splits", "both train"),
        },
        {("duplicate", "both")},
    ),
    "what a train-only corpus shares with what evaluated": (
        [
            row("solo test", corpus="solo", single_speaker=True, speaker_id="so:x", content_sha256="solo", overlap_id="so", cluster_id="so", duplicate_kind="near"),
            row("solo bytes", corpus="solo", single_speaker=True, speaker_id="so:x", content_sha256="solo", start_ms=9000),
            row("solo copy", corpus="solo", single_speaker=True, speaker_id="so:x", overlap_id="so", cluster_id="so", duplicate_kind="near"),
            row("solo other", corpus="solo", single_speaker=True, speaker_id="so:x"),
            row("solo elsewhere", speaker_id="so:x"),
        ],
        {"solo test": "test", ("content", "solo"): "test", "solo elsewhere": "train", ("speaker", "so:x"): "train"},
        {
            **dict.fromkeys(("solo test", "solo bytes", "solo copy"), ("test", "speaker_elsewhere", "so:x")),
            "solo other": "train", "solo elsewhere": "train",
        },
        {("speaker", "so:x"), ("content", "solo"), ("duplicate", "so")},
    ),
    "a speaker who was corrected in a row that goes": (
        [row("named test", speaker_id="now named", not_compared=True), row("named new", speaker_id="now named")],
        {"named test": "test", ("speaker", "formerly"): "test"},
        {"named test": (None, "not_compared", None), "named new": "test"},
        set(),
    ),
    "what a row says and where it comes from that evaluated before": (
        [
            row("earlier test", text="here evaluates no row any more", manifest_uri="earlier.tsv", not_compared=True),
            row("earlier text", text="Here evaluates no row any more."),
            row("earlier source", manifest_uri="earlier.tsv"),
        ],
        {"earlier test": "test"},
        {
            "earlier test": (None, "not_compared", None),
            "earlier text": ("train", "text_in_evaluation", "earlier test"),
            "earlier source": ("train", "manifest_uri_in_evaluation", "earlier test"),
        },
        set(),
    ),
    "a copy of a row that is not there": (
        # It has no side of its own, and says all the same who is heard.
        [
            row("absent test", speaker_id="absent"),
            row("absent", speaker_id="absent", not_compared=True, overlap_id="a", cluster_id="a", duplicate_kind="exact"),
            row("absent copy", speaker_id=None, overlap_id="a", cluster_id="a", duplicate_kind="exact"),
        ],
        {"absent test": "test"},
        {
            "absent test": "test", "absent": (None, "not_compared", None),
            "absent copy": ("test", "speaker_unknown", None),
        },
        {("speaker", "absent")},
    ),
    "copies of what was published and is not kept any more": (
        # They would train in the release after the one that they were evaluated with.
        [
            row("before test", not_compared=True, overlap_id="bt", cluster_id="bt", duplicate_kind="exact"),
            row("before copy", speaker_id=None, overlap_id="bt", cluster_id="bt", duplicate_kind="exact"),
            row("before named", overlap_id="bt", cluster_id="bt", duplicate_kind="exact"),
            row("before train", not_compared=True, overlap_id="bs", cluster_id="bs", duplicate_kind="near"),
            row("before later", overlap_id="bs", cluster_id="bs", duplicate_kind="near"),
        ],
        {"before test": "test", "before train": "train"},
        {
            "before test": (None, "not_compared", None), "before copy": ("test", "speaker_unknown", None),
            "before named": "test", "before train": (None, "not_compared", None), "before later": "train",
        },
        set(),
    ),
    "files that changed places": (
        # A publisher put in a clip, and all others bear the next one's name: what trained must not evaluate.
        [
            row("place test", content_sha256="was train", audio_samples_sha256="samples of train", overlap_id="p", cluster_id="p", duplicate_kind="near"),
            row("place copy", overlap_id="p", cluster_id="p", duplicate_kind="near"),
            row("place train", content_sha256="was test", audio_samples_sha256="samples of test"),
            row("place kept train", content_sha256="trains still"),
            row("place packed test", content_sha256="new bytes", audio_samples_sha256="samples packed anew"),
        ],
        {
            "place test": "test", "place train": "train", "place kept train": "train", "place packed test": "test",
            ("content", "was train"): "train", ("content", "was test"): "test", ("content", "trains still"): "train",
            ("samples", "samples packed anew"): "test",
        },
        {
            "place test": ("test", "bridges_splits", None), "place train": ("train", "bridges_splits", None),
            "place copy": ("test", "bridges_splits", None),
            "place kept train": "train", "place packed test": "test",
        },
        {("duplicate", "p")},
    ),
    "audio delivered again in another container": (
        # The rows that were published are retired, and no find-duplicates compares them.
        [row("again new", audio_samples_sha256="as before")],
        {("samples", "as before"): "test"},
        {"again new": "test"},
        set(),
    ),
    "a clip of another's recording": (
        # Whom the dropped interval names is heard in the other one, or may be.
        [
            row("room test", speaker_id="room"),
            row("room", speaker_id="room", recording_id="rr", not_compared=True),
            row("room whole", speaker_id=None, recording_id="rr", single_speaker=True, start_ms=500),
        ],
        {"room test": "test"},
        {"room test": "test", "room": (None, "not_compared", None), "room whole": "test"},
        {("speaker", "room")},
    ),
    "the bytes of an evaluation corpus": (
        [
            row("bytes bench", corpus="bench", role="evaluation", content_sha256="bytes of both"),
            row("bytes train", content_sha256="bytes of both", start_ms=9000),
        ],
        {},
        {"bytes bench": (None, "evaluation_corpus", None), "bytes train": ("train", "in_evaluation_corpus", "bench")},
        {("evaluation_corpus_content", "bytes train")},
    ),
    "a copy of what a corpus of one voice evaluated": (
        # Its voice is elsewhere by now, so it is train only; its copies train no more than it does.
        [
            row("voice test", corpus="v", single_speaker=True, speaker_id="v:x", overlap_id="vt", cluster_id="vt", duplicate_kind="near"),
            row("voice train", corpus="v", single_speaker=True, speaker_id="v:x"),
            row("voice elsewhere", speaker_id="v:x", overlap_id="vt", cluster_id="vt", duplicate_kind="near"),
            row("voice other", speaker_id="v:x"),
        ],
        {"voice test": "test", "voice train": "train", ("speaker", "v:x"): "train"},
        {
            "voice test": ("test", "speaker_elsewhere", "v:x"), "voice train": "train",
            "voice elsewhere": ("test", "bridges_splits", "voice other"), "voice other": "train",
        },
        {("speaker", "v:x"), ("duplicate", "vt")},
    ),
    "a clip that names nobody, in a corpus of one voice that evaluates elsewhere": (
        # Other lines of the corpus say whose voice it is, whether these are kept or not.
        [
            row("named by nobody", corpus="one", single_speaker=True, speaker_id=None),
            row("named by all", corpus="one", single_speaker=True, speaker_id="one:x", not_compared=True),
            row("named elsewhere test", speaker_id="one:x"),
        ],
        {"named elsewhere test": "test"},
        {
            "named by nobody": ("test", "speaker_elsewhere", "one:x"), "named by all": (None, "not_compared", None),
            "named elsewhere test": "test",
        },
        {("speaker", "one:x")},
    ),
    "a clip that names nobody, in what a dropped line of that voice is heard in": (
        [
            row("lone test", corpus="lone", single_speaker=True, speaker_id="lone:x"),
            row("lone train", corpus="lone", single_speaker=True, speaker_id="lone:x"),
            row("heard of", speaker_id="lone:x", not_compared=True, overlap_id="hh", cluster_id="hh", duplicate_kind="near"),
            row("heard in", speaker_id=None, overlap_id="hh", cluster_id="hh", duplicate_kind="near"),
        ],
        {"lone test": "test", "lone train": "train"},
        {
            "lone test": ("test", "speaker_elsewhere", "lone:x"), "lone train": "train",
            "heard of": (None, "not_compared", None), "heard in": "train",
        },
        {("speaker", "lone:x")},
    ),
    "a clip that names nobody, in a corpus whose voice is nowhere else": (
        [
            row("nowhere else test", corpus="only", single_speaker=True, speaker_id="only:x"),
            row("nowhere else", corpus="only", single_speaker=True, speaker_id=None),
        ],
        {"nowhere else test": "test"},
        {"nowhere else test": "test", "nowhere else": "train"},
        set(),
    ),
    "a voice that another corpus trained, and keeps no more": (
        [
            row("reader test", corpus="reader", single_speaker=True, speaker_id="r:x"),
            row("reader elsewhere", speaker_id="r:x", not_compared=True),
        ],
        {"reader test": "test", "reader elsewhere": "train", ("speaker", "r:x"): "train"},
        {"reader test": ("test", "speaker_elsewhere", "r:x"), "reader elsewhere": (None, "not_compared", None)},
        set(),
    ),
    "two old rows of one file": (
        # Published before anybody compared the bytes: the lower side gives way, and later builds go on.
        [row("file test", content_sha256="one file"), row("file train", content_sha256="one file")],
        {"file test": "test", "file train": "train"},
        {"file test": "test", "file train": ("train", "bridges_splits", "file test")},
        {("content", "one file")},
    ),
    "moved": (
        [row("moved", speaker_id="m")],
        {"moved": "dev"},
        {"moved": "dev"},
        {("moved", "moved")},
    ),
}  # fmt: skip

ROWS = [planted for rows, *_ in CASES.values() for planted in rows]
ENDS = {name: end for _, _, ends, _ in CASES.values() for name, end in ends.items()}
FOUND = {leak for *_, found in CASES.values() for leak in found}
# As if nobody had looked: what is named test is in test, everything else trains.
WRITTEN = {
    name: "test" if name.endswith("test") else "train"
    for name in ENDS
    if "evaluation_corpus" not in ENDS[name] and "not_compared" not in ENDS[name]
}


@pytest.fixture(scope="module")
def published(spark):
    """Sides of the utterances that were published, and of links by (kind, value); all other links came later."""
    sides = {name: side for _, known, *_ in CASES.values() for name, side in known.items()}
    links = [("utterance", name) if isinstance(name, str) else name for name in sides]
    keys = [(make_id(*link), side) for link, side in zip(links, sides.values(), strict=True)]
    return spark.createDataFrame(keys, "link_key string, side string")


@pytest.fixture(scope="module")
def planted(spark):
    return candidates(spark, *ROWS)


def test_the_build_resolves_every_leak_that_is_planted_in_candidates(spark, planted, published):
    built = build(planted, POLICY, published)
    ends: dict[str, Any] = {row["utterance_id"]: row["split"] for row in built.splits.collect()}
    for row in built.decisions.collect():
        ends[row["utterance_id"]] = (row["side"], row["rule"], row["value"])
    assert ends == ENDS
    assert leaks(built.splits, planted, published, ASKED).collect() == []


def test_the_gate_finds_every_leak_that_is_planted_in_written_rows(spark, planted, published):
    said = {row["utterance_id"]: (row["text"], row["content_sha256"]) for row in ROWS}
    written = spark.createDataFrame(
        [(name, side, *said[name]) for name, side in WRITTEN.items()],
        "utterance_id string, split string, text string, content_sha256 string",
    )
    found = {(row["kind"], row["value"]) for row in leaks(written, planted, published, ASKED).collect()}
    assert found == FOUND
