"""How corpora stand: what is measured, stale, failed, to be tried again; and which are incomplete."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from lake_tools import column
from sample_lake import CLIPS, write_rows

from speechlake import job
from speechlake.commands import status
from speechlake.corpora import Corpus, make_corpus
from speechlake.erasure.tombstones import hash_of
from speechlake.errors import UsageError
from speechlake.lake import Lake
from speechlake.questions.standing import current_extractors, standing
from speechlake.schemas import CORPORA, MANIFESTS, RECORDINGS, TOMBSTONES, UTTERANCES
from speechlake.signals.plan import unmeasured
from speechlake.terminal import console

pytestmark = pytest.mark.slow

COUNTED = ("utterances", "measured", "failed", "given_up", "to_retry", "stale", "missing")
# (corpus, extractor): counts, in the order of COUNTED.
STANDING = {
    # c0 is retired. c5 failed once; c6 has other bytes.
    ("calls", "audio"): (6, 4, 0, 0, 1, 1, 0),
    # c6's speech was heard in other bytes.
    ("calls", "speech"): (6, 5, 0, 0, 0, 1, 0),
    # c4 by the model before; c5 and c6 never.
    ("calls", "whisper"): (6, 3, 0, 0, 0, 1, 2),
    ("calls", "audio_keys"): (6, 4, 0, 0, 0, 0, 2),
    # b5's file is missing: nothing could measure it. b4 does not decode.
    ("books", "audio"): (4, 3, 1, 0, 0, 0, 0),
    ("books", "speech"): (4, 3, 0, 0, 0, 0, 1),
    ("books", "whisper"): (4, 3, 0, 0, 0, 0, 1),
    ("books", "audio_keys"): (4, 3, 0, 0, 0, 0, 1),
}  # fmt: skip


@pytest.fixture(scope="module")
def stood(sample) -> dict[tuple[str, str], tuple[int, ...]]:
    rows = standing(sample, ["calls", "books"], current_extractors(sample)).collect()
    return {(row.corpus, row.extractor): tuple(row[name] for name in COUNTED) for row in rows}


@pytest.mark.parametrize(("corpus", "extractor"), list(STANDING))
def test_an_utterance_counts_once_for_what_it_is_to_an_extractor(stood, corpus, extractor):
    found = stood[corpus, extractor]
    assert found == STANDING[corpus, extractor]
    assert found[0] == sum(found[1:])


def test_what_is_open_is_exactly_what_extract_signals_would_measure(sample, stood):
    for w in current_extractors(sample):
        for corpus in ("calls", "books"):
            *_, to_retry, stale, missing = stood[corpus, w.name]
            assert unmeasured(sample, corpus, [w]).count() == to_retry + stale + missing


def named(name: str, *sources: str) -> Corpus:
    """A corpus of the file."""
    return make_corpus(name=name, sources=sources or ["x.jsonl"])


def printed(lake: Lake, **said: Any) -> tuple[str, Any]:
    out = io.StringIO()
    report = status.run(lake, out=console(out), **said)
    return out.getvalue(), report


def test_status_lists_what_is_incomplete_with_what_the_file_names_and_the_lake_lacks(sample):
    text, report = printed(sample, corpora=[named("calls"), named("new")], price_per_device_hour=36.0)
    # Books is shown, and no command that reads the file could complete it.
    assert report.more == {"incomplete": ["calls", "new"], "refused": []}
    assert "books" in text
    assert report.counts["corpora"]["calls"]["extractors"]["audio"] == dict(
        zip(status.COUNTED, (6, 4, 0, 0, 0, 1, 1), strict=True)
    )
    assert report.counts["corpora"]["calls"]["last_run"] == "score-transcripts done"
    assert report.counts["corpora"]["new"] == {"utterances": 0, "extractors": {}}
    said, ran = [line.split() for line in text.splitlines() if line.split()[:1] == ["calls"]][:2]
    # manifests, refused, lines quarantined, recordings, those missing, utterances
    assert said[1:] == ["1", "0", "2", "7", "0", "6"]
    # 18 s of audio; 15 s of CPU at 36 an hour
    assert ran[1:] == ["score-transcripts", "done", "2026-11-24", "12:03", "0.005", "0.004", "0.150"]


def test_one_extractor_may_be_asked_for_alone(sample):
    _, report = printed(sample, extractors=["audio"])
    # What fails for good is not incomplete: of books only b4 was not measured.
    assert report.more["incomplete"] == ["calls"]


def test_an_extractor_that_is_none_is_a_users_mistake(sample):
    with pytest.raises(UsageError, match="no extractor 'speach'"):
        printed(sample, extractors=["speach"])


def test_an_extractor_beyond_the_default_counts_only_where_it_is_asked_for(sample):
    row = dict.fromkeys(COUNTED, 0) | {"extractor": "events", "utterances": 5, "missing": 3, "measured": 2}
    accepted = {"manifests": 1, "refused": 0, "recordings": 5, "audio_missing": 0}
    assert status.Standing("c", accepted, [row]).is_complete([])
    assert not status.Standing("c", accepted, [row]).is_complete(["events"])


@pytest.mark.parametrize(("recordings", "missing", "complete"), [(2, 2, False), (2, 1, True), (0, 0, True)])
def test_a_corpus_all_of_whose_audio_is_missing_is_incomplete(recordings, missing, complete):
    found = {"manifests": 1, "refused": 0, "recordings": recordings, "audio_missing": missing}
    assert status.Standing("c", found, []).is_complete([]) is complete


def test_a_lake_that_nothing_measured_lacks_what_runs_by_default(spark, tmp_path):
    said = {"corpus": "c", "recording_id": "r", "utterance_id": "u"}
    literal = (
        (CORPORA, {}),
        (MANIFESTS, {"accepted": True}),
        (RECORDINGS, {"state": "present", "listing_key": "k"}),
        (UTTERANCES, {}),
    )
    for table, more in literal:
        fitting = {name: value for name, value in said.items() if name in table.column_names}
        write_rows(spark, tmp_path, table, [fitting | more])
    _, report = printed(Lake(spark, tmp_path))
    by_extractor = report.counts["corpora"]["c"]["extractors"]
    assert {name: found["missing"] for name, found in by_extractor.items()} == dict.fromkeys(
        ("audio", "speech", "whisper", "audio_keys"), 1
    )
    assert report.more["incomplete"] == ["c"]


def test_before_the_first_ingest_every_corpus_of_the_file_is_incomplete(spark, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(job, "open_lake", lambda root, app: Lake(spark, root))
    (tmp_path / "corpora.yaml").write_text("corpora: [{name: a, sources: [a.jsonl]}]")
    said = ["--lake", str(tmp_path / "lake"), "--corpora", str(tmp_path / "corpora.yaml")]
    assert status.main(said) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["incomplete"] == ["a"]
    assert status.main(said[:2]) == 2
    assert not (tmp_path / "lake").exists()


def test_a_corpus_that_was_erased_is_not_incomplete(spark, tmp_path):
    gone = {"salt": "s", "kind": "corpus", "hash": hash_of("s", "corpus", "gone")}
    write_rows(spark, tmp_path, TOMBSTONES, [gone])
    _, report = printed(Lake(spark, tmp_path), corpora=[named("gone"), named("new")])
    assert report.more["incomplete"] == ["new"]


def test_a_corpus_whose_every_manifest_was_erased_is_not_incomplete(spark, tmp_path):
    write_rows(spark, tmp_path, CORPORA, [{"corpus": name} for name in ("emptied", "begun")])
    gone = {"salt": "s", "kind": "lines", "hash": hash_of("s", "lines", "emptied")}
    write_rows(spark, tmp_path, TOMBSTONES, [gone])
    _, report = printed(Lake(spark, tmp_path))
    assert report.more["incomplete"] == ["begun"]


def test_a_corpus_with_a_refused_manifest_is_told_though_nothing_else_of_it_is_left_to_do(spark, tmp_path):
    write_rows(spark, tmp_path, CORPORA, [{"corpus": "c"}])
    said = [{"corpus": "c", "uri": uri, "accepted": uri == "good"} for uri in ("good", "bad")]
    write_rows(spark, tmp_path, MANIFESTS, said)
    _, report = printed(Lake(spark, tmp_path))
    assert report.more == {"incomplete": [], "refused": ["c"]}


def test_a_refused_manifest_that_the_file_names_no_more_keeps_no_release_back(spark, tmp_path):
    write_rows(spark, tmp_path, CORPORA, [{"corpus": "c", "roots": [{"name": "audio", "uri": "/data/c"}]}])
    said = {"audio:v1.jsonl": False, "audio:v2.jsonl": True, "/other/v1.jsonl": False}
    write_rows(
        spark, tmp_path, MANIFESTS, [{"corpus": "c", "uri": uri, "accepted": ok} for uri, ok in said.items()]
    )

    def refused(*sources: str) -> list[str]:
        return printed(Lake(spark, tmp_path), corpora=[named("c", *sources)])[1].more["refused"]

    assert refused("/data/c/v2.jsonl") == []
    assert refused("/data/c/v1.jsonl") == refused("/data/c") == refused("/other/") == ["c"]


def test_every_clip_of_the_sample_stands_somewhere(sample, stood):
    listed = column(
        [row.asDict() for row in sample.read("utterances").collect()], "utterance_id", "retired_in"
    )
    assert listed.keys() == CLIPS.keys()
    assert sum(found[0] for (_, name), found in stood.items() if name == "audio") == len(CLIPS) - 2
