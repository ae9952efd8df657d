"""Edit counts by hand, and what must hold for any two texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from speechlake.text import alignment
from speechlake.text.alignment import Counts, edit_counts, edit_steps, error_rate

UNITS = st.lists(st.sampled_from("abcd"), max_size=14)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "counts"),
    [
        #                                             hits, substitutions, deletions, insertions
        ("the cat sat", "the cat sat", Counts(3, 0, 0, 0)),
        ("the cat sat", "the cat", Counts(2, 0, 1, 0)),  # sat was said and not heard
        ("the cat", "the cat sat", Counts(2, 0, 0, 1)),  # sat was heard and not said
        ("the cat sat", "the dog sat", Counts(2, 1, 0, 0)),
        ("the cat sat", "", Counts(0, 0, 3, 0)),
        ("", "the cat", Counts(0, 0, 0, 2)),
        ("", "", Counts(0, 0, 0, 0)),
        ("a b c d", "b c d e", Counts(3, 0, 1, 1)),
        ("a b", "b a", Counts(1, 0, 1, 1)),  # two substitutions cost as much; fewer are preferred
        ("a b c", "x y", Counts(0, 2, 1, 0)),
    ],
)
def test_words_are_counted_as_by_hand(reference: str, hypothesis: str, counts: Counts) -> None:
    assert edit_counts(reference.split(), hypothesis.split()) == counts


def test_text_is_compared_character_by_character() -> None:
    assert edit_counts("kitten", "sitting") == Counts(hits=4, substitutions=2, deletions=0, insertions=1)


@pytest.mark.parametrize(
    ("counts", "rate"),
    [
        (Counts(3, 1, 1, 0), 0.4),
        (Counts(3, 0, 0, 0), 0.0),
        (Counts(1, 0, 0, 3), 3.0),
        (Counts(0, 0, 0, 0), None),
        (Counts(0, 0, 0, 5), None),
    ],
)
def test_the_rate_is_errors_per_unit_of_the_reference(counts: Counts, rate: float | None) -> None:
    assert error_rate(counts) == rate


@given(UNITS, UNITS)
def test_counts_add_up_to_both_lengths_and_to_the_distance(
    reference: list[str], hypothesis: list[str]
) -> None:
    counts = edit_counts(reference, hypothesis)
    assert min(counts) >= 0
    assert counts.reference_length == len(reference)
    assert counts.hits + counts.substitutions + counts.insertions == len(hypothesis)
    assert counts.errors == Levenshtein.distance(reference, hypothesis)


@given(UNITS, UNITS)
def test_exchanging_the_texts_exchanges_deletions_and_insertions(one: list[str], other: list[str]) -> None:
    there, back = edit_counts(one, other), edit_counts(other, one)
    assert back == Counts(there.hits, there.substitutions, there.insertions, there.deletions)


@given(UNITS, UNITS)
def test_among_shortest_alignments_one_with_fewest_substitutions_is_counted(
    a: list[str], b: list[str]
) -> None:
    assert (edit_counts(a, b).errors, edit_counts(a, b).substitutions) == fewest(a, b)


@given(UNITS, UNITS)
def test_texts_above_the_bound_have_the_same_number_of_errors(a: list[str], b: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alignment, "MAX_CELLS", 0)
        counts = edit_counts(a, b)
    assert counts.errors == edit_counts(a, b).errors
    assert (counts.reference_length, counts.hits + counts.substitutions + counts.insertions) == (
        len(a),
        len(b),
    )


def fewest(a: list[str], b: list[str]) -> tuple[int, int]:
    """The textbook table over (errors, substitutions), compared in this order."""
    above = [(j, 0) for j in range(len(b) + 1)]
    for i, x in enumerate(a, 1):
        row = [(i, 0)]
        for j, y in enumerate(b, 1):
            step = int(x != y)
            across = (above[j - 1][0] + step, above[j - 1][1] + step)
            row.append(min(across, (above[j][0] + 1, above[j][1]), (row[-1][0] + 1, row[-1][1])))
        above = row
    return above[-1]


@given(UNITS, UNITS)
def test_the_steps_of_an_alignment_are_those_that_are_counted(
    reference: list[str], hypothesis: list[str]
) -> None:
    steps = edit_steps(reference, hypothesis)
    assert [i for i, _ in steps if i is not None] == list(range(len(reference)))
    assert [j for _, j in steps if j is not None] == list(range(len(hypothesis)))
    both = [reference[i] == hypothesis[j] for i, j in steps if i is not None and j is not None]
    one = [i is not None for i, j in steps if i is None or j is None]
    assert edit_counts(reference, hypothesis) == Counts(
        both.count(True), both.count(False), one.count(True), one.count(False)
    )


def test_texts_too_long_for_the_fewest_substitutions_are_aligned_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alignment, "MAX_STEP_CELLS", 3)
    assert edit_steps("abc", "bc") == [(0, None), (1, 0), (2, 1)]
