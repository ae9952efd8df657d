"""The job on small lakes: exact copies, copies and parts by their keys, what is new meets what was there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest
from key_tools import drawn, noisy
from lake_tools import QUIET

from speechlake.commands import find_duplicates
from speechlake.duplicates.keys import Keys, pack
from speechlake.ids import make_id
from speechlake.schemas import (
    ASSIGNMENTS,
    CONTENT_HASHES,
    PROFILES,
    RECORDINGS,
    SIGNALS_AUDIO,
    SIGNALS_AUDIO_KEYS,
    UTTERANCES,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake

A, B = ("a" * 64, "b" * 64)


def clusters(frame: DataFrame) -> list[tuple[str, str]]:
    """(members, kinds) of each cluster of two or more, sorted."""
    found: dict[str, list[Any]] = {}
    for row in sorted(frame.collect(), key=lambda row: row.utterance_id):
        found.setdefault(row.cluster_id, []).append(row)
    many = [rows for rows in found.values() if len(rows) > 1]
    return sorted((" ".join(r.utterance_id for r in rows), " ".join(r.kind for r in rows)) for rows in many)


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
@pytest.mark.long
def test_the_table_follows_the_lake_across_corpora_and_a_run_with_nothing_new_writes_nothing(lake, rows):
    from pyspark.sql import functions as F

    filled(lake, rows, "c", {"u1": A, "u2": A, "u3": B, "u4": B})
    filled(lake, rows, "d", {"v1": A, "v2": "0" * 64})
    report = find_duplicates.run(lake, progress=QUIET)
    assert report.counts == {"utterances": 5, "clusters": 2, "looked_up": 0, "pairs": 0, "hot_samples": 0}
    first = [("u1 u2 v1", "exact exact exact"), ("u3 u4", "exact exact")]
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
    assert clusters(lake.read("duplicates")) == [("u2 v1", "exact exact")]
    # u1, u3 and u4 went; the rows of u2 and v1 are as they were, and are not written again.
    assert rows_out(lake, report.run_id) == 3

    before = lake.versions()
    assert find_duplicates.run(lake, progress=QUIET).outcome == "nothing to do"
    assert lake.versions() == before


def keyed(lake: Lake, rows: Any, corpus: str, clips: Mapping[str, Keys], **said: Any) -> None:
    """Utterances with audio keys, each a recording of its own unless `said` gives all of them more columns."""
    names = {name: f"{name}{'0' * 30}" for name in clips}

    def of(table: Any, **more: Any) -> DataFrame:
        own = {
            u: {key: value(u) if callable(value) else value for key, value in more.items()}
            for u in names.values()
        }
        return rows(table, *[(u, {"corpus": corpus, **columns}) for u, columns in own.items()])

    packed = {names[name]: pack(each) for name, each in clips.items()}
    place = {"recording_id": lambda u: u, "channel": "mix", "start_ms": 0, **said}
    with lake.hold("fill", corpus, "r") as hold:
        recordings = of(RECORDINGS, listing_key="1", state="present")
        contents = of(CONTENT_HASHES, listing_key="1", content_sha256=lambda u: f"c{u}")
        if "recording_id" not in said:
            hold.append_missing("recordings", recordings)
            hold.append_missing("content_hashes", contents)
        hold.append_missing("utterances", of(UTTERANCES, **place))
        filed = {
            "fingerprint": "k", "inputs_hash": "", "key_version": 1,
            "content_sha256": lambda u: f"c{place['recording_id'](u) if callable(place['recording_id']) else place['recording_id']}",
            "keys": lambda u: packed[u][0], "active": lambda u: packed[u][1], "frames": lambda u: len(packed[u][0]) // 4,
        }  # fmt: skip
        hold.append_missing("signals_audio_keys", of(SIGNALS_AUDIO_KEYS, **filed))
        hold.append_missing("profiles", rows(PROFILES, (1, {"extractor": "audio_keys", "fingerprint": "k"})))


def pairs_of(lake: Lake) -> dict[tuple[str, str], tuple[str, float, float]]:
    """(one, other) -> kind, offset, length of what they share."""
    return {
        (row.utterance_id[:2], row.other_id[:2]): (row.kind, row.offset_s, row.shared_s)
        for row in lake.read("audio_pairs").collect()
    }


def part(one: Keys, start: int, end: int) -> Keys:
    """Frames of a clip."""
    return Keys(one.bits[start:end], one.active[start:end])


@pytest.mark.long
@pytest.mark.slow
def test_new_audio_meets_what_was_there_and_names_last(lake, rows, monkeypatch):
    base = drawn(200, seed=1)
    keyed(lake, rows, "c", {"a1": base, "a2": drawn(200, seed=2), "a3": drawn(400, seed=3)})
    report = find_duplicates.run(lake, progress=QUIET)
    assert report.counts == {"utterances": 0, "clusters": 0, "looked_up": 3, "pairs": 0, "hot_samples": 0}

    keyed(
        lake,
        rows,
        "d",
        {"d1": noisy(part(base, 10, 200), 0.08, seed=4), "d2": part(drawn(400, seed=3), 100, 190)},
    )
    report = find_duplicates.run(lake, progress=QUIET)
    assert (report.counts["looked_up"], report.counts["pairs"]) == (2, 2)
    assert pairs_of(lake) == {
        ("a1", "d1"): ("near", -0.25, 4.75), ("a3", "d2"): ("contained", -2.5, 2.25)
    }  # fmt: skip
    first = {row.utterance_id[:2]: row for row in lake.read("duplicates").collect()}
    assert {name: row.kind for name, row in first.items()} == {
        "a1": "near", "d1": "near", "a3": "contained", "d2": "contained"
    }  # fmt: skip
    assert first["a1"].cluster_id == first["d1"].cluster_id
    assert first["a3"].cluster_id != first["d2"].cluster_id
    assert first["a3"].overlap_id == first["d2"].overlap_id
    assert first["d2"].similarity == 1.0  # all of it is in a3

    before = lake.versions()
    assert find_duplicates.run(lake, progress=QUIET).outcome == "nothing to do"
    assert lake.versions() == before

    # A copy with a lower id joins: the cluster keeps its name.
    keyed(lake, rows, "e", {"0e": noisy(base, 0.05, seed=5)})
    find_duplicates.run(lake, progress=QUIET)
    again = {row.utterance_id[:2]: row.cluster_id for row in lake.read("duplicates").collect()}
    assert again["0e"] == again["a1"] == again["d1"] == first["a1"].cluster_id

    # Where pairs are told by other rules, all is looked up anew, once.
    monkeypatch.setattr(find_duplicates, "VERIFYING_VERSION", 0)
    monkeypatch.setitem(find_duplicates.RULES, "verifying", 0)
    report = find_duplicates.run(lake, progress=QUIET)
    assert (report.counts["looked_up"], report.counts["pairs"]) == (6, 0)
    assert find_duplicates.run(lake, progress=QUIET).outcome == "nothing to do"


@pytest.mark.slow
@pytest.mark.long
def test_a_clip_that_comes_back_meets_what_came_while_it_was_gone(lake, rows):
    from pyspark.sql import functions as F

    base = drawn(200, seed=1)
    keyed(lake, rows, "c", {"a1": base})
    find_duplicates.run(lake, progress=QUIET)

    def retire(when: str | None) -> None:
        with lake.hold("retire", "c", "r2") as hold:
            one = lake.read("utterances").where("utterance_id LIKE 'a1%'")
            hold.merge("utterances", one.withColumn("retired_in", F.lit(when).cast("string")), corpus="c")

    retire("m#2")
    keyed(lake, rows, "d", {"d1": noisy(base, 0.05, seed=4)})
    find_duplicates.run(lake, progress=QUIET)
    assert pairs_of(lake) == {}
    retire(None)
    assert find_duplicates.run(lake, progress=QUIET).counts["looked_up"] == 1
    assert {pair: kind for pair, (kind, _, _) in pairs_of(lake).items()} == {("a1", "d1"): "near"}


@pytest.mark.slow
@pytest.mark.long
def test_new_audio_meets_what_was_published_and_is_retired(lake, rows):
    from pyspark.sql import functions as F

    base, other = drawn(200, seed=1), drawn(200, seed=2)
    keyed(lake, rows, "c", {"a1": base, "a2": other})
    key = make_id("utterance", f"a1{'0' * 30}")
    with lake.hold("publish", "c", "r2") as hold:
        hold.append_missing("assignments", rows(ASSIGNMENTS, ("main", {"link_key": key, "side": "test"})))
        retired = lake.read("utterances").withColumn("retired_in", F.lit("m#2"))
        hold.merge("utterances", retired, corpus="c")
    keyed(lake, rows, "d", {"d1": noisy(base, 0.05, seed=4), "d2": noisy(other, 0.05, seed=5)})
    find_duplicates.run(lake, progress=QUIET)
    assert set(pairs_of(lake)) == {("a1", "d1")}
    told = {row.utterance_id[:2]: row.overlap_id for row in lake.read("duplicates").collect()}
    assert set(told) == {"a1", "d1"}
    assert told["a1"] == told["d1"]


@pytest.mark.slow
@pytest.mark.long
def test_crosstalk_and_overlapping_intervals_of_one_recording_are_no_pairs(lake, rows):
    base = drawn(300, seed=1)
    keyed(lake, rows, "c", {"a0": drawn(50, seed=7)})
    recording = {"recording_id": "a0" + "0" * 30}
    keyed(lake, rows, "c", {"a1": base}, **recording, channel="0", end_ms=7500)
    keyed(lake, rows, "c", {"a2": noisy(base, 0.1, 1)}, **recording, channel="1", end_ms=7500)
    keyed(lake, rows, "c", {"a3": part(base, 100, 300)}, **recording, channel="0", start_ms=2500, end_ms=7500)
    # The same prompt twice in one call is a copy like any other.
    keyed(
        lake, rows, "c", {"a4": noisy(base, 0.05, 2)}, **recording, channel="0", start_ms=8000, end_ms=15500
    )
    find_duplicates.run(lake, progress=QUIET)
    assert {pair: kind for pair, (kind, _, _) in pairs_of(lake).items()} == {
        ("a1", "a4"): "near", ("a3", "a4"): "contained"
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.long
def test_what_was_looked_up_is_remembered_last_and_killed_before_it_nothing_is_found_twice(
    lake, rows, monkeypatch
):
    from speechlake.hold import Hold

    base = drawn(200, seed=1)
    keyed(lake, rows, "c", {"a1": base, "a2": noisy(base, 0.05, seed=2)})
    append = Hold.append_missing

    def dying(self: Hold, name: str, *args: Any, **said: Any) -> int:
        if name == "key_buckets":
            raise KeyboardInterrupt
        return append(self, name, *args, **said)

    monkeypatch.setattr(Hold, "append_missing", dying)
    with pytest.raises(KeyboardInterrupt):
        find_duplicates.run(lake, progress=QUIET)
    monkeypatch.undo()
    assert lake.read("audio_pairs").count() == 1
    # Whoever finds that keys were looked up may trust that the table tells of all copies.
    assert lake.read("duplicates").count() == 2
    assert not lake.exists("key_buckets")
    find_duplicates.run(lake, progress=QUIET)
    assert lake.read("audio_pairs").count() == 1
    assert lake.read("key_buckets").count() == 2
    assert [kinds for _, kinds in clusters(lake.read("duplicates"))] == ["near near"]


def test_what_is_told_counts_clips_of_the_lake_by_kind_beside_the_pairs_of_a_run():
    counted = {"boilerplate": 30, "near": 3, "exact": 5, "contained": 2}
    told = "clips in all: 5 exact copies, 3 near copies, 2 that share a part, 30 boilerplate"
    assert find_duplicates.told_of(counted) == told
    assert find_duplicates.told_of({}) == "clips in all: no copies"
