"""Tombstones at work: lines of what was erased say nothing, and are counted; whole manifests are left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest
from erasure_tools import buried
from lake_tools import QUIET

from speechlake.commands import ingest_manifests
from speechlake.corpora import make_corpus
from speechlake.erasure.honoured import (
    manifests_left,
    refusals_without_erased,
    refuse_erased,
    segments_left,
    with_erased,
)
from speechlake.erasure.releases import following
from speechlake.errors import UsageError
from speechlake.manifests.classify import Verdict, verdicts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

LINES = (
    "manifest_uri string, byte_offset bigint, reason string, detail string, raw_line binary, "
    "speaker_id string, speaker_said string, recording_id string, utterance_id string, source_id string, extras map<string,string>, "
    "texts array<struct<source:string,text:string>>"
)


def lines(spark: SparkSession, *said: Mapping[str, Any]) -> DataFrame:
    plain: dict[str, Any] = {"manifest_uri": "m", "extras": {"a": "b"}, "texts": [("manifest", "text")]}
    names = [part.split()[0] for part in LINES.split(", ")]
    return spark.createDataFrame([tuple({**plain, **row}.get(name) for name in names) for row in said], LINES)


def test_an_erased_corpus_is_refused_before_a_lock_is_called_after_it(spark: SparkSession) -> None:
    # A lake that can be read, and not held.
    lake = buried(spark, corpus=["pilot"])
    with pytest.raises(UsageError, match="corpus 'pilot' was erased"):
        ingest_manifests.run(lake, make_corpus(name="pilot", sources=("m.jsonl",)), progress=QUIET)


def test_lines_of_erased_speakers_recordings_utterances_and_named_source_ids_say_only_where_they_stand(
    spark: SparkSession,
) -> None:
    lake = buried(
        spark,
        speaker=["c:zoe"],
        recording=["r2"],
        utterance=["u3"],
        source_id=[("c", "call-4"), ("d", "call-5")],
        # Of somebody who went: others count their clips alike.
        given=[("c", "call-5")],
    )
    said = [
        {
            "byte_offset": n,
            "speaker_id": who,
            "recording_id": f"r{n}",
            "utterance_id": f"u{n}",
            "source_id": f"call-{n}",
            "raw_line": b"zoe",
        }
        for n, who in ((1, "c:zoe"), (2, "c:ben"), (3, None), (4, "c:ben"), (5, "c:ben"))
    ]
    told = with_erased(lake, "c", "c", lines(spark, *said)).orderBy("byte_offset").collect()
    assert [row.reason for row in told] == ["ERASED", "ERASED", "ERASED", "ERASED", None]
    assert all(row.asDict() == {**dict.fromkeys(row.asDict()), "manifest_uri": "m", "reason": "ERASED",
                                "byte_offset": row.byte_offset, "extras": {}, "texts": []} for row in told[:4])  # fmt: skip
    assert (told[4].speaker_id, told[4].raw_line, told[4].texts[0].text) == ("c:ben", b"zoe", "text")


def test_a_speaker_who_was_erased_under_the_lines_own_spelling_stays_erased(spark: SparkSession) -> None:
    said = [
        {"byte_offset": n, "speaker_id": "c:zoe", "speaker_said": spelt}
        for n, spelt in enumerate(("c:zoe ", None))
    ]
    told = with_erased(buried(spark, speaker=["c:zoe "]), "c", "c", lines(spark, *said)).orderBy(
        "byte_offset"
    )
    assert [row.reason for row in told.collect()] == ["ERASED", None]
    assert "speaker_said" not in told.columns


def test_a_corpus_that_somebody_left_keeps_no_bytes_of_any_line(spark: SparkSession) -> None:
    refused = {
        "byte_offset": 1,
        "reason": "BAD_JSON",
        "detail": "zoe",
        "raw_line": b"zoe",
        "extras": {},
        "texts": [],
    }
    told = with_erased(buried(spark, lines=["c"]), "c", "c", lines(spark, refused)).collect()[0]
    assert (told.reason, told.detail, told.raw_line) == ("BAD_JSON", None, None)
    other = with_erased(buried(spark, lines=["c"]), "d", "d", lines(spark, refused)).collect()[0]
    assert (other.reason, other.detail, bytes(other.raw_line)) == ("BAD_JSON", "zoe", b"zoe")


def test_a_manifest_version_that_was_erased_is_left_out_and_a_changed_one_is_read(
    spark: SparkSession,
) -> None:
    lake = buried(spark, manifest=[("c", "zoe.jsonl", "1")])
    versions = [{"uri": "zoe.jsonl", "sha256": sha} for sha in ("1", "2")]
    assert [v["sha256"] for v in manifests_left(lake, "c", versions)] == ["2"]
    assert len(manifests_left(lake, "d", versions)) == 2


def test_an_erased_corpus_is_refused_by_name(spark: SparkSession) -> None:
    lake = buried(spark, corpus=["pilot"])
    refuse_erased(lake, "calls")
    with pytest.raises(UsageError, match="corpus 'pilot' was erased"):
        refuse_erased(lake, "pilot")


def test_a_manifest_is_no_worse_for_lines_that_were_erased() -> None:
    assert Verdict("m", lines=100, utterances=10, repeats=0, quarantined=90, erased=90).acceptable(0.05)
    assert Verdict("m", lines=3, utterances=0, repeats=0, quarantined=3, erased=3).acceptable(0.05)
    assert not Verdict("m", lines=100, utterances=90, repeats=0, quarantined=10, erased=0).acceptable(0.05)
    # One bad line of the ten that may be read.
    assert not Verdict("m", lines=100, utterances=9, repeats=0, quarantined=91, erased=90).acceptable(0.05)


@pytest.mark.parametrize("several", [False, True])
def test_erased_lines_are_told_apart_also_where_a_line_is_several_rows(
    spark: SparkSession, several: bool
) -> None:
    ddl = "manifest_uri string, byte_offset bigint, class string, reason string, speaker_placeholder boolean"
    said = [("m", 0, "utterance", None), ("m", 1, "refused", "ERASED"), ("m", 2, "refused", "BAD_JSON")]
    # The other channels of the first two lines.
    more = [("m", 0, "utterance", None), ("m", 1, "refused", "ERASED")] if several else []
    frame = spark.createDataFrame([(*row, False) for row in [*said, *more]], ddl)
    [verdict] = verdicts(frame, ["m"], several=several)
    assert (verdict.lines, verdict.utterances, verdict.quarantined, verdict.erased) == (3, 1, 2, 1)


@pytest.mark.parametrize("kind", ["given", "source_id"])
def test_an_import_that_names_an_erased_utterance_keeps_nothing_of_the_row(
    spark: SparkSession, kind: str
) -> None:
    lake = buried(spark, utterance=["u1"], **{kind: [("c", "call-7")]})
    ddl = "corpus string, given string, said string, detail string, reason string"
    said = [
        (None, "u1", "s", "d", "UNKNOWN_UTTERANCE"),
        ("c", "call-7", "s", "d", "UNKNOWN_UTTERANCE"),
        ("d", "call-7", "s", "d", "UNKNOWN_UTTERANCE"),
        # Of some corpus or other.
        (None, "call-8", "s", "d", "UNKNOWN_UTTERANCE"),
        (None, "0" * 32, "s", "d", "UNKNOWN_UTTERANCE"),
    ]
    told = refusals_without_erased(lake, spark.createDataFrame(said, ddl)).collect()
    assert sorted((row.corpus or "", row.given or "", row.said or "", row.reason) for row in told) == [
        ("", "", "", "ERASED"),
        ("", "", "", "UNKNOWN_UTTERANCE"),
        ("", "0" * 32, "s", "UNKNOWN_UTTERANCE"),
        ("c", "", "", "ERASED"),
        ("d", "call-7", "s", "UNKNOWN_UTTERANCE"),
    ]


def test_an_erased_segment_is_not_cut_again(spark: SparkSession) -> None:
    ddl = "utterance_id string, segments array<struct<utterance_id:string,start_ms:bigint,end_ms:bigint>>"
    heard = [("u1", [("s1", 0, 5), ("s2", 5, 9)]), ("u2", [("s3", 0, 5)]), ("u3", None)]
    left = segments_left(buried(spark, utterance=["s1", "u2"]), spark.createDataFrame(heard, ddl))
    ids = {row.utterance_id: [s.utterance_id for s in row.segments or ()] for row in left.collect()}
    assert ids == {"u1": ["s2"], "u2": ["s3"], "u3": []}


def test_successors_are_numbered_after_the_release_that_they_follow() -> None:
    assert following("2026-11", {"2026-11"}) == "2026-11.e1"
    assert following("2026-11", {"2026-11", "2026-11.e1"}) == "2026-11.e2"
    assert following("2026-11.e1", {"2026-11", "2026-11.e1"}) == "2026-11.e2"
    assert len(following("x" * 64, set())) == 64
