"""Speakers on two sides who sound alike are told, with clips to listen to."""

from __future__ import annotations

import pytest

from speechlake.splits.voices import alike_voices

pytestmark = pytest.mark.slow

ANN, ALMOST_ANN, BOB = [1.0, 0.0, 0.0], [0.98, 0.199, 0.0], [0.0, 1.0, 0.0]
# utterance -> (side, speaker, embedding)
HEARD = {
    "t1": ("test", "ann", ANN), "t2": ("test", "ann", ALMOST_ANN), "d1": ("dev", "anna", ANN),
    "r1": ("train", "ann r.", ALMOST_ANN), "r2": ("train", "bob", BOB), "r3": ("train", None, ANN),
    "r4": ("train", "unheard", None), "d2": ("dev", "one voice", BOB), "r5": ("train", "one voice", BOB),
}  # fmt: skip


def test_pairs_of_speakers_across_sides_are_counted_once_and_the_most_alike_are_named(spark):
    rows = [(name, side, speaker) for name, (side, speaker, _) in HEARD.items()]
    splits = spark.createDataFrame(rows, "utterance_id string, split string, speaker_id string")
    voices = [(name, voice) for name, (*_, voice) in HEARD.items() if voice]
    measured = spark.createDataFrame(voices, "utterance_id string, speaker_embedding array<float>")
    (told,) = alike_voices(measured, splits)
    # ann (test) with ann r. (train) and anna (dev); anna with ann r.; one voice (dev) with bob. A speaker is no
    # stranger to himself, whatever side he is on: that is the gate's business.
    assert told.startswith("4 pairs of speakers on two sides have voices alike")
    assert "r2 (train) and d2 (dev), 1.000" in told


def test_where_no_voice_is_measured_nothing_is_told(spark):
    splits = spark.createDataFrame(
        [("a", "test", "s")], "utterance_id string, split string, speaker_id string"
    )
    measured = spark.createDataFrame([], "utterance_id string, speaker_embedding array<float>")
    assert alike_voices(measured, splits) == []
