"""What a scheme promises whatever comes in: rows never move, nothing leaks, nothing is lost, order does not count."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from splits_tables import assigned, candidate, candidates, drawn_examples, policy, unassigned

from speechlake.splits.build import build
from speechlake.splits.digest import rows_digest
from speechlake.splits.gate import Asked, leaks

SIZED = {
    "text": {"prefer": ["manifest"]},
    "keep": [
        {"rule": "length", "signal": "audio.duration_s", "between": [0.4, 30]},
        {"rule": "clean", "signal": "audio.clipped_ratio", "at_most": 0.1, "on": "train"},
    ],
    "splits": {"test": {"hours": 9, "max_share": 0.4}, "dev": {"hours": 9, "max_share": 0.2}},
}
POLICY = policy(
    **SIZED,
    duplicates={"kinds": ["exact", "contained"]},
    links={
        "text": {"mode": "exclude_from_train", "max_evicted_share": 1.0},
        "columns": {"extras.book": "together"},
    },
    decontaminate={"max_evicted_share": 1.0},
    lists={"dev": {"file": "dev.txt", "sha256": "0"}},
)
ASKED = Asked(POLICY.links, POLICY.decontaminate)
TOGETHER = ("speaker_id", "recording_id", "content_sha256", "session_id", "book", "overlap_id")
KINDS = ("exact", "near", "contained")


def drawn(rng: random.Random, n: int) -> dict[str, Any]:
    """A row that shares speaker, recording, session, book, audio or text with some others."""
    audio = f"o{rng.randrange(6)}" if rng.random() < 0.2 else None
    book = {"book": f"b{rng.randrange(15)}"} if rng.random() < 0.3 else {}
    bench = rng.random() < 0.05
    text = f"sentence {rng.randrange(40)} of some words"
    return candidate(
        f"u{n}",
        corpus="bench" if bench else "c",
        role="evaluation" if bench else "training",
        evaluation_texts=[text] if bench else None,
        speaker_id=rng.choice([None, *(f"s{k}" for k in range(25))]),
        recording_id=f"r{rng.randrange(50)}" if rng.random() < 0.5 else f"own {n}",
        content_sha256=f"f{rng.randrange(30)}" if rng.random() < 0.3 else f"bytes of {n}",
        start_ms=rng.choice([0, 2000, 40_000]),
        session_id=f"c:{rng.randrange(20)}" if rng.random() < 0.2 else None,
        extras=book,
        overlap_id=audio,
        cluster_id=audio and f"{audio}.{rng.randrange(2)}",
        duplicate_kind=audio and rng.choice(KINDS),
        audio_duration_s=rng.uniform(0.3, 6),
        audio_clipped_ratio=rng.choice([0.0, 0.0, 0.5]),
        language=rng.choice(["en", "fr"]),
        text=text,
        listed="dev" if rng.random() < 0.03 else None,
    )


def broken_in_batches(spark: Any, rng: random.Random, sizes: Sequence[int]) -> list[Any]:
    """Build after each batch, all rows seen so far in any order: every promise of a scheme that is not kept."""
    rows = [drawn(rng, n) for n in range(sum(sizes))]
    rng.shuffle(rows)
    keys: dict[str, str] = {}
    sides: dict[str, str] = {}
    found: list[Any] = []
    for size in (sum(sizes[: n + 1]) for n in range(len(sizes))):
        seen = rng.sample(rows[:size], size)
        frame = candidates(spark, *seen, partitions=rng.choice([1, 3]))
        known = assigned(spark, keys)
        result = build(frame, POLICY, known)
        kept = {row["utterance_id"]: row["split"] for row in result.splits.collect()}
        excluded = {row["utterance_id"]: row["rule"] for row in result.decisions.collect()}
        found += [("twice", name) for name in kept.keys() & excluded.keys()]
        there = {row["utterance_id"] for row in seen}
        found += [("lost or made up", name) for name in (kept.keys() | excluded.keys()) ^ there]
        found += [("without a reason", name) for name, rule in excluded.items() if not rule]
        found += [("moved", name) for name, side in kept.items() if sides.get(name, side) != side]
        found += leaks(result.splits, frame, known, ASKED, result.listed).collect()
        found += [("on two sides", *key) for key in on_two_sides(kept, seen)]
        sides |= kept
        keys |= {row["link_key"]: row["side"] for row in result.assignments.collect()}
    return found


def on_two_sides(kept: dict[str, str], seen: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Kinds and values that are kept together, and are not."""
    found = defaultdict(set)
    for row in seen:
        values = {**row, "book": row["extras"].get("book")}
        for kind in TOGETHER:
            if row["utterance_id"] in kept and values[kind]:
                found[kind, values[kind]].add(kept[row["utterance_id"]])
    return [key for key, on in found.items() if len(on) > 1]


@pytest.mark.slow
def test_rows_that_come_in_two_batches_never_move_never_leak_and_are_never_lost(spark):
    assert broken_in_batches(spark, random.Random(2), [50, 30]) == []


@pytest.mark.long
@drawn_examples(15)
@given(seed=st.integers(0, 10**9), sizes=st.lists(st.integers(1, 40), min_size=2, max_size=4))
def test_rows_that_come_in_any_batches_never_move_never_leak_and_are_never_lost(spark, seed, sizes):
    assert broken_in_batches(spark, random.Random(seed), sizes) == []


@pytest.mark.long
@drawn_examples(8)
@given(seed=st.integers(0, 10**9), partitions=st.integers(1, 8))
def test_order_and_partitions_change_no_digest(spark, seed, partitions):
    rng = random.Random(seed)
    rows = [drawn(rng, n) for n in range(60)]
    one = build(candidates(spark, *rows), POLICY, unassigned(spark))
    shuffled = rng.sample(rows, len(rows))
    other = build(candidates(spark, *shuffled, partitions=partitions), POLICY, unassigned(spark))
    assert rows_digest(one.splits, one.decisions) == rows_digest(other.splits, other.decisions)
