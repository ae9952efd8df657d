"""Exact duplicates: the same decoded samples, whatever the file; boilerplate; what happens as a lake changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from lake_tools import QUIET

from speechlake.duplicates.exact import BOILERPLATE_RECORDINGS, exact_duplicates
from speechlake.jobs import find_duplicates
from speechlake.schemas import CONTENT_HASHES, PROFILES, RECORDINGS, SIGNALS_AUDIO, UTTERANCES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from speechlake.lake import Lake

A, B, J = ("a" * 64, "b" * 64, "f" * 64)


def heard(spark: SparkSession, *literal: tuple[str, str, str | None]) -> DataFrame:
    """(utterance, recording, samples) of one corpus."""
    ddl = "corpus string, utterance_id string, recording_id string, audio_samples_sha256 string"
    return spark.createDataFrame([("c", *row) for row in literal], ddl)


def clusters(frame: DataFrame) -> dict[str, tuple[str, str]]:
    return {row.utterance_id: (row.cluster_id, row.kind) for row in frame.collect()}


def test_utterances_with_the_same_samples_are_a_cluster_and_nothing_is_like_silence_unheard(spark):
    found = exact_duplicates(
        heard(
            spark,
            ("u1", "r1", A),
            ("u2", "r2", A),
            ("u3", "r2", A),  # the same recording twice is a copy too
            ("u4", "r4", B),  # alone
            ("u5", "r5", None),  # not decoded
            ("u6", "r6", None),
        )
    )
    assert clusters(found) == dict.fromkeys(("u1", "u2", "u3"), ("a" * 32, "exact"))
    assert {row.similarity for row in found.collect()} == {1.0}


def test_a_cluster_over_more_than_twenty_recordings_is_boilerplate(spark):
    jingle = [(f"j{n}", f"r{n}", J) for n in range(BOILERPLATE_RECORDINGS + 1)]
    spread = [(f"a{n}", f"s{n}", A) for n in range(BOILERPLATE_RECORDINGS)]
    one = [(f"b{n}", f"t{n % BOILERPLATE_RECORDINGS}", B) for n in range(BOILERPLATE_RECORDINGS + 1)]
    found = clusters(exact_duplicates(heard(spark, *jingle, *spread, *one)))
    kinds = {name[0]: {kind for key, (_, kind) in found.items() if key[0] == name[0]} for name in found}
    assert kinds == {"j": {"boilerplate"}, "a": {"exact"}, "b": {"exact"}}


def filled(lake: Lake, rows: Any, corpus: str, samples: dict[str, str]) -> None:
    """One recording, utterance and measurement per name."""

    def every(table: Any, **said: Any) -> DataFrame:
        return rows(table, *[(name, {"corpus": corpus, **said}) for name in samples])

    def own(table: Any, column: str, values: dict[str, str], **said: Any) -> DataFrame:
        return rows(table, *[(n, {"corpus": corpus, column: v, **said}) for n, v in values.items()])

    names = {name: name for name in samples}
    with lake.hold("fill", corpus, "r") as hold:
        hold.append_missing("recordings", every(RECORDINGS, listing_key="1", state="present"))
        hold.append_missing("utterances", own(UTTERANCES, "recording_id", names))
        contents = {name: f"content of {name}" for name in samples}
        hold.append_missing(
            "content_hashes", own(CONTENT_HASHES, "content_sha256", contents, listing_key="1")
        )
        measured = [
            (n, {"corpus": corpus, "content_sha256": contents[n], "fingerprint": "f", "inputs_hash": "",
                 "samples_sha256": s})
            for n, s in samples.items()
        ]  # fmt: skip
        hold.append_missing("signals_audio", rows(SIGNALS_AUDIO, *measured))
        profile = rows(PROFILES, (1, {"extractor": "audio", "fingerprint": "f"}))
        hold.append_missing("profiles", profile)


def rows_out(lake: Lake, run_id: str | None) -> int:
    """What the ledger says a run wrote."""
    return int(lake.read("runs").where(f"run_id = '{run_id}'").collect()[0].rows_out)


@pytest.mark.slow
def test_the_table_follows_the_lake_across_corpora_and_a_run_with_nothing_new_writes_nothing(lake, rows):
    from pyspark.sql import functions as F

    filled(lake, rows, "c", {"u1": A, "u2": A, "u3": B, "u4": B})
    filled(lake, rows, "d", {"v1": A, "v2": "0" * 64})
    report = find_duplicates.run(lake, progress=QUIET)
    assert report.counts == {"utterances": 5, "clusters": 2}
    first = dict.fromkeys(("u1", "u2", "v1"), ("a" * 32, "exact"))
    first |= dict.fromkeys(("u3", "u4"), ("b" * 32, "exact"))
    assert clusters(lake.read("duplicates")) == first

    before = lake.versions()
    assert find_duplicates.run(lake, progress=QUIET).outcome == "nothing to do"
    assert lake.versions() == before

    # u1 leaves a cluster that goes on; u3 leaves one that ends with it.
    with lake.hold("retire", "c", "r2") as hold:
        retired = lake.read("utterances").where("utterance_id IN ('u1', 'u3')")
        hold.merge("utterances", retired.withColumn("retired_in", F.lit("m#2")), corpus="c")
    report = find_duplicates.run(lake, progress=QUIET)
    assert report.outcome == "done"
    assert clusters(lake.read("duplicates")) == dict.fromkeys(("u2", "v1"), ("a" * 32, "exact"))
    # u1, u3 and u4 went; the rows of u2 and v1 are as they were, and are not written again.
    assert rows_out(lake, report.run_id) == 3

    before = lake.versions()
    assert find_duplicates.run(lake, progress=QUIET).outcome == "nothing to do"
    assert lake.versions() == before
