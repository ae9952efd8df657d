"""What belongs together: duplicates, speakers, recordings."""

from __future__ import annotations

from decided_rows import frame, row, told
from pyspark.sql import functions as F

from speechlake.questions.groups import (
    SPEAKER_BINS,
    duplicates_by_kind,
    held_together,
    largest_clusters,
    speaker_sizes,
    superfluous,
    top_recordings,
    top_speakers,
)


def copy(utterance_id: str, kind: str, cluster: str, overlap: str | None = None, **said):
    return row(utterance_id, duplicate_kind=kind, cluster_id=cluster, overlap_id=overlap or cluster, **said)


def cluster_rows(spark):
    return frame(
        spark,
        copy("a1", "exact", "A"),
        copy("a2", "exact", "A", split=None),
        copy("a3", "near", "A", split=None, duration_s=7.2),
        copy("b1", "contained", "b1", "B"),
        copy("b2", "contained", "b2", "B"),
        copy("j1", "boilerplate", "J"),
        row("alone"),
    )


def test_clusters_are_counted_by_kind(spark):
    assert told(duplicates_by_kind(cluster_rows(spark)), "kind", "clusters", "clips", "hours") == [
        ("boilerplate", 1, 1, 0.001),
        ("contained", 1, 2, 0.002),
        ("exact", 1, 2, 0.002),
        ("near", 1, 1, 0.002),
    ]


def test_what_no_split_parts_is_counted_by_what_links_it(spark):
    rows = cluster_rows(spark).withColumn("content_sha256", F.substring("utterance_id", 1, 1))
    spoken = rows.withColumn("speaker_id", F.when(F.col("utterance_id") != "alone", F.lit("s")))
    assert told(held_together(spoken), "link", "groups", "clips", "largest") == [
        ("audio in common", 2, 5, 3), ("file", 2, 6, 4), ("speaker", 1, 6, 6)
    ]  # fmt: skip


def test_copies_beyond_the_longest_are_superfluous(spark):
    assert told(superfluous(cluster_rows(spark)), "clips", "hours") == [(2, 0.002)]
    assert told(superfluous(frame(spark, row("alone"))), "clips", "hours") == [(0, 0.0)]


def test_the_largest_clusters_tell_what_is_kept_of_them(spark):
    found = largest_clusters(cluster_rows(spark), 2)
    assert told(found, "id", "kinds", "clips", "kept", "recordings", "splits") == [
        ("A", ["exact", "near"], 3, 1, 3, ["train"]),
        ("B", ["contained"], 2, 2, 2, ["train"]),
    ]


def test_speakers_and_recordings_are_ordered_by_kept_hours(spark):
    rows = frame(
        spark,
        row("a", speaker_id="s1", recording_id="r1", duration_s=4.0),
        row("b", speaker_id="s2", recording_id="r1", duration_s=9.0, split="test"),
        row("c", speaker_id="s1", recording_id="r2", duration_s=4.0),
        row("d", None, speaker_id="s3", recording_id="r3", duration_s=99.0),
        row("e", speaker_id=None, recording_id="r2"),
    )
    assert told(top_speakers(rows, 5), "speaker_id", "clips", "splits") == [
        ("s2", 1, ["test"]),
        ("s1", 2, ["train"]),
    ]
    assert told(top_recordings(rows, 1), "recording_id", "clips", "splits") == [("r1", 2, ["test", "train"])]


def test_speakers_fall_into_bins_of_their_kept_speech(spark):
    said_s = {"s1": 59.0, "s2": 60.0, "s3": 3600.0, "s4": 72000.0}
    rows = [row(speaker, speaker_id=speaker, duration_s=s) for speaker, s in said_s.items()]
    found = told(speaker_sizes(frame(spark, *rows)), "bin", "speakers")
    assert [(SPEAKER_BINS[index], n) for index, n in found] == [
        ("under 1 min", 1),
        ("1–10 min", 1),
        ("1–5 h", 1),
        ("over 20 h", 1),
    ]
