"""Sampling weights from hours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechlake.splits.policy_balance import Weights
from speechlake.splits.weights import weights

EN, CY = ("en", "c"), ("cy", "c")
# What the policy says -> weights of 90 hours of English and 10 of Welsh.
SAID = [
    ({"temperature": 0}, {EN: 50 / 90, CY: 50 / 10}),  # equal shares
    ({"temperature": 0.5}, {EN: 75 / 90, CY: 25 / 10}),  # shares as 3 to 1, the roots of 9 and 1
    ({"corpora": {"c": 3}}, {EN: 1, CY: 1}),  # all of it is in one corpus
    ({"corpora": {"d": 3}}, {EN: 1, CY: 1}),  # nothing is in that one
]


@pytest.mark.parametrize(("said", "expected"), SAID)
def test_strata_are_balanced_by_temperature(said, expected):
    asked = Weights.model_validate(said)
    assert weights({EN: 90, CY: 10}, asked) == pytest.approx(expected, abs=1e-6)


def test_a_corpus_may_count_more():
    asked = Weights.model_validate({"corpora": {"d": 3}})
    found = weights({("en", "c"): 30, ("en", "d"): 10}, asked)
    assert found == pytest.approx({("en", "c"): 40 / 60, ("en", "d"): 120 / 60}, abs=1e-6)


def test_no_weight_is_nothing():
    asked = Weights.model_validate({"corpora": {"d": 1e-9}})
    found = weights({("en", "c"): 30, ("en", "d"): 10}, asked)
    assert found == {("en", "c"): 1.333333, ("en", "d"): 1.333e-9}


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["en", "de", "cy"]), st.sampled_from(["c", "d"])),
        st.integers(0, 10**12),
    ),
    st.floats(0, 0.99),
    st.floats(0.01, 100),
)
def test_the_mean_weight_by_hours_is_one(ms, temperature, factor):
    asked = Weights.model_validate({"temperature": temperature, "corpora": {"d": factor}})
    found = weights(ms, asked)
    assert found.keys() == {cell for cell in ms if sum(n for c, n in ms.items() if c[0] == cell[0])}
    total = sum(ms.values())
    # Weights are rounded to six places, which can be much of a small one.
    if total:
        assert sum(ms[cell] * weight for cell, weight in found.items()) / total == pytest.approx(1, abs=1e-5)
