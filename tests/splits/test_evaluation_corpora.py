"""What a build says of evaluation corpora whose speakers train too."""

from __future__ import annotations

import pytest
from splits_tables import candidate, candidates, policy, unassigned

from speechlake.splits.build import build
from speechlake.splits.evaluation_corpora import told

pytestmark = pytest.mark.slow

HELD = {"corpus": "bench", "role": "evaluation", "speaker_namespace": "librivox"}
HOUR = 3600.0
ROWS = [
    # Speakers 1 to 4 and 9 are in both; 5 only in the benchmark; 6 only trains.
    *(candidate(f"held {n}", speaker_id=f"librivox:{n}", **HELD) for n in (1, 2, 3, 4, 5, 9)),
    candidate("held by nobody", speaker_id=None, **HELD),
    *(candidate(f"train {n}", speaker_id=f"librivox:{n}", audio_duration_s=HOUR) for n in (1, 2, 3, 4, 6)),
    candidate("again", speaker_id="librivox:4", audio_duration_s=HOUR),
    candidate("by nobody", speaker_id=None),
    # Out, and so nobody who trains.
    candidate("too long", speaker_id="librivox:9", audio_duration_s=2 * HOUR),
    # The same name in a namespace of its own is another person.
    candidate("own", speaker_id="c:5"),
    candidate("other", speaker_id="c:7", corpus="other", role="evaluation"),
]
SHORT = [{"rule": "length", "signal": "audio.duration_s", "at_most": HOUR}]


def warnings(spark, **said):
    built = build(candidates(spark, *ROWS), policy(keep=SHORT, **said), unassigned(spark))
    told = [row["message"] for row in built.warnings.collect()]
    return [message for message in told if "train too" in message]


def test_speakers_that_an_evaluation_corpus_shares_with_train_are_counted_with_examples(spark):
    assert warnings(spark) == [
        "evaluation corpus 'bench': 4 of its 6 speakers train too, in 5 utterances (5.00 h): "
        "librivox:1, librivox:2, librivox:3, …"
    ]


@pytest.mark.long
def test_corpora_that_the_policy_does_not_heed_are_not_told_of(spark):
    assert warnings(spark, decontaminate={"corpora": ["other"]}) == []


@pytest.mark.parametrize(
    "said",
    [{}, {"text": {"prefer": ["manifest"]}, "decontaminate": {"text": False}}],
    ids=["no text", "not by text"],
)
def test_where_the_policy_compares_no_texts_what_has_no_audio_keeps_nothing_clean(spark, said):
    from pyspark.sql import functions as F

    bench = {"role": "evaluation", "evaluation_texts": ["a b c d"]}
    rows = [
        candidate("w", corpus="whole", **bench, audio_samples_sha256="h"), candidate("t", corpus="texts", **bench),
        candidate("p1", corpus="parts", **bench, audio_samples_sha256="h"), candidate("p2", corpus="parts", **bench),
    ]  # fmt: skip
    marked = candidates(spark, *rows).withColumn("decontaminates", F.lit(True))
    assert sorted(row["message"] for row in told(marked, policy(**said)).collect()) == [
        "evaluation corpus 'parts' decontaminates by nothing in 1 of 2 utterances: no audio of it is measured, "
        "and the policy compares no texts",
        "evaluation corpus 'texts' decontaminates by nothing: no audio of it is measured, and the policy compares no texts",
    ]
