"""Two hypotheses over the same references: rates, parts, interval, whatever the partitions."""

from __future__ import annotations

import numpy as np
import pytest

from speechlake.text.alignment import Counts
from speechlake.text.paired import REPLICATES, compared, weighted_sums, weights

# utterance, A's counts, B's counts
CLIPS = [
    ("u1", (8, 2, 0, 0), (9, 1, 0, 0)),
    ("u2", (5, 0, 5, 1), (9, 0, 1, 0)),
    ("u3", (10, 0, 0, 0), (10, 0, 0, 0)),
    ("u4", (7, 2, 1, 0), (7, 1, 2, 4)),
]


def judged(clips):
    """The comparison in plain Python."""
    ids, counts = [clip[0] for clip in clips], np.array([[*a, *b] for _, a, b in clips])
    changed = sum(a != b for _, a, b in clips)
    return compared(counts.sum(axis=0), weighted_sums(ids, counts), utterances=len(ids), changed=changed)


def synthetic(n: int = 600) -> list[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """Utterances of 3 to 19 words; A makes 20 % errors, B about 17 %, on the same hard ones."""
    draw = np.random.default_rng(7)
    clips = []
    for i in range(n):
        length = int(draw.integers(3, 20))
        hard = draw.beta(1, 4)
        a, b = int(draw.binomial(length, hard)), int(draw.binomial(length, hard * 0.85))
        clips.append((f"utterance-{i}", (length - a, a, 0, 0), (length - b, b, 0, 0)))
    return clips


def test_rates_and_parts_are_ratios_of_sums_over_utterances():
    found = judged(CLIPS)
    assert (found.a, found.b) == (Counts(30, 4, 6, 1), Counts(35, 2, 3, 4))
    assert (found.utterances, found.changed) == (4, 3)
    assert (found.rate_a, found.rate_b) == (11 / 40, 9 / 40)
    assert found.difference == pytest.approx(-2 / 40)
    assert found.substitutions == pytest.approx(-2 / 40)
    assert found.deletions == pytest.approx(-3 / 40)
    assert found.insertions == pytest.approx(3 / 40)
    assert found.low < found.difference < found.high


def test_equal_hypotheses_differ_by_nothing_and_either_is_as_good():
    found = judged([(name, a, a) for name, a, _ in CLIPS])
    assert (found.difference, found.low, found.high, found.improvement) == (0, 0, 0, 0.5)
    assert found.changed == 0


def test_the_interval_contains_zero_where_gains_and_losses_are_alike():
    clips = [(f"u{i}", (9, 1, 0, 0), (10, 0, 0, 0)) for i in range(20)]
    clips += [(f"v{i}", (10, 0, 0, 0), (9, 1, 0, 0)) for i in range(20)]
    found = judged(clips)
    assert found.difference == 0
    assert found.low < 0 < found.high
    assert 0.3 < found.improvement < 0.7


def test_a_gain_everywhere_is_sure():
    found = judged([(f"u{i}", (8, 2, 0, 0), (9, 1, 0, 0)) for i in range(20)])
    assert (found.difference, found.low, found.high) == (pytest.approx(-0.1),) * 3
    assert found.improvement == 1


def test_exchanging_the_hypotheses_turns_the_result_round():
    one, other = judged(synthetic(80)), judged([(name, b, a) for name, a, b in synthetic(80)])
    assert (other.difference, other.low, other.high) == pytest.approx((-one.difference, -one.high, -one.low))
    assert other.improvement == pytest.approx(1 - one.improvement)


def test_the_interval_is_that_of_drawing_utterances_with_replacement():
    clips = synthetic()
    found = judged(clips)
    counts = np.array([[*a, *b] for _, a, b in clips])
    n, draw = len(clips), np.random.default_rng(1)
    sums = draw.multinomial(n, np.full(n, 1 / n), size=4000) @ counts
    exact = sums[:, 5] / (sums[:, 4] + sums[:, 5]) - sums[:, 1] / (sums[:, 0] + sums[:, 1])
    low, high = np.quantile(exact, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.1 * (high - low))
    assert found.improvement == pytest.approx(np.mean(exact < 0), abs=0.02)


def test_weights_are_those_of_the_utterance_and_poisson():
    drawn = weights([f"u{i}" for i in range(400)])
    assert drawn.shape == (400, REPLICATES)
    assert np.array_equal(drawn[7], weights(["u7"])[0])
    assert not np.array_equal(drawn[7], weights(["u7"], seed=1)[0])
    assert drawn.mean() == pytest.approx(1, abs=0.01)
    assert drawn.var() == pytest.approx(1, abs=0.01)
    assert (drawn == 0).mean() == pytest.approx(np.exp(-1), abs=0.005)


def test_weights_never_change_from_version_to_version():
    drawn = weights(["00000000000000000000000000000001"], replicates=12)
    assert drawn.tolist() == [[0, 4, 0, 1, 2, 0, 1, 1, 2, 1, 1, 0]]


def test_without_a_reference_there_are_counts_and_no_rates():
    found = judged([("u1", (0, 0, 0, 3), (0, 0, 0, 0))])
    assert (found.utterances, found.changed, found.a.insertions) == (1, 1, 3)
    assert (found.rate_a, found.rate_b, found.difference, found.low, found.improvement) == (None,) * 5


@pytest.mark.slow
def test_spark_gives_the_same_for_any_partitions_and_the_whole_beside_the_groups(spark):
    from speechlake.text.paired_frames import COUNT_COLUMNS, paired_by

    clips = [(name, "de" if i % 3 else "fr", *a, *b) for i, (name, a, b) in enumerate(synthetic(200))]
    ddl = "utterance_id string, language string, " + ", ".join(f"{name} int" for name in COUNT_COLUMNS)
    frames = [spark.createDataFrame(spark.sparkContext.parallelize(clips, n), ddl) for n in (1, 7)]
    one, seven = (paired_by(frame, "language") for frame in frames)
    assert one == seven
    assert one[""] == judged(synthetic(200))
    german = [clip for i, clip in enumerate(synthetic(200)) if i % 3]
    assert one["de"] == judged(german)
    assert sorted(one) == ["", "de", "fr"]
    assert paired_by(frames[0].limit(0), "language") == {}
