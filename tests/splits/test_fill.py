"""Filling sides and connecting keys, as pure functions."""

from __future__ import annotations

import random
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechlake.splits.components import label_batches
from speechlake.splits.fill import fill

GROUPS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=40)


def test_groups_go_to_test_else_dev_if_they_fit_else_nowhere():
    groups = [("a", 4, 4), ("too long", 9, 9), ("b", 1, 1), ("c", 3, 3), ("d", 2, 2), ("e", 1, 1)]
    assert dict(fill(groups, room_test=5, room_dev=4)) == {"a": "test", "b": "test", "c": "dev", "e": "dev"}


def test_a_group_without_a_row_that_is_fit_for_a_side_never_goes_there():
    assert dict(fill([("machine text", 0, 0), ("fit for dev", 0, 2)], 9, 9)) == {"fit for dev": "dev"}


@given(GROUPS, st.integers(0, 100), st.integers(0, 100))
def test_sides_never_exceed_their_room_and_nothing_that_fits_is_left(sizes, room_test, room_dev):
    groups = [(str(n), test, dev) for n, (test, dev) in enumerate(sizes)]
    sides = dict(fill(groups, room_test, room_dev))
    left_test = room_test - sum(t for g, t, _ in groups if sides.get(g) == "test")
    left_dev = room_dev - sum(d for g, _, d in groups if sides.get(g) == "dev")
    assert left_test >= 0
    assert left_dev >= 0
    assert not [g for g, t, d in groups if g not in sides and (0 < t <= left_test or 0 < d <= left_dev)]


def labels_of(edges):
    """What the one-task way says, from batches of two edges."""
    table = pa.table({"low": [low for low, _ in edges], "high": [high for _, high in edges]}, schema=SCHEMA)
    batches = label_batches(iter(table.to_batches(max_chunksize=2)))
    return {key: label for batch in batches for key, label in zip(*batch.to_pydict().values(), strict=True)}


SCHEMA = pa.schema({"low": pa.string(), "high": pa.string()})


def naive_labels(edges):
    """Components by flooding: slow and plain."""
    labels = {key: key for edge in edges for key in edge}
    for _ in labels:
        for low, high in edges:
            labels[low] = labels[high] = min(labels[low], labels[high])
    return labels


def test_keys_on_one_path_have_the_smallest_of_them_as_label():
    assert labels_of([("b", "c"), ("c", "d"), ("a", "d"), ("x", "y")]) == {
        "a": "a", "b": "a", "c": "a", "d": "a", "x": "x", "y": "x",
    }  # fmt: skip


def test_no_edges_have_no_labels():
    assert labels_of([]) == {}


KEYS = st.sampled_from("abcdefghijklmnop")
EDGES = st.lists(st.tuples(KEYS, KEYS).map(sorted).map(tuple).filter(lambda e: e[0] != e[1]), max_size=25)


@given(EDGES)
def test_components_agree_with_flooding(edges):
    assert labels_of(edges) == naive_labels(edges)


@pytest.mark.parametrize("shape", ["a path in no order", "a star around the largest", "a tree"])
def test_one_component_of_many_rounds_has_one_label(shape):
    names = [f"{n:04}" for n in range(300)]
    turned = random.Random(shape).sample(names, len(names))
    edges = {
        "a path in no order": list(pairwise(turned)),
        "a star around the largest": [(name, names[-1]) for name in names[:-1]],
        "a tree": [(turned[n], turned[n // 2]) for n in range(1, len(turned))],
    }[shape]
    assert labels_of(edges) == dict.fromkeys(names, "0000")
