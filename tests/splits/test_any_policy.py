"""Any policy at all: every utterance ends once, caps hold, weights weigh, and order changes nothing."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest
from splits_tables import candidate, candidates, policy, unassigned

from speechlake.splits.build import build
from speechlake.splits.digest import rows_digest

pytestmark = pytest.mark.long

HALF = {"hours": 9, "max_share": 0.5}
# Parts of policies, to be put together at random.
RULES = [
    {"rule": "decodes", "signal": "audio.error", "is": None},
    {"rule": "length", "signal": "audio.duration_s", "between": {"fr": [1, 5], "default": [0.4, 30]}},
    {"rule": "clean", "signal": "audio.clipped_ratio", "at_most": 0.5, "on": "train", "if_missing": "pass"},
    {"rule": "tags", "column": "text_tags", "none_of": ["prompts"]},
    {"rule": "votes", "column": "extras.votes", "at_least": 2, "when": {"column": "corpus", "equals": "d"}},
    {
        "rule": "any",
        "any_of": [{"column": "corpus", "matches": "[ce]"}, {"column": "speaker_known", "is": True}],
    },
]
CAPS = [{"per": "speaker", "hours": 0.003}, {"per": "text", "hours": 0.01}, {"per": "corpus", "hours": 0.02}]
WEIGHTS = [None, {"temperature": 0.3}, {"per": ["language", "corpus"], "temperature": 0, "corpora": {"d": 2}}]


def any_policy(rng):
    rules = [rule for rule in RULES if rng.random() < 0.6]
    dropped = [rule["rule"] for rule in rules if rng.random() < 0.4]
    overrides = [{"languages": ["fr"], "corpora": ["d"], "drop_rules": dropped}] if dropped else []
    return policy(
        text={"prefer": ["manifest"], "form": rng.choice(["verbatim", "lower", "normalised"])},
        keep=rules,
        overrides=overrides,
        caps=rng.sample(CAPS, rng.randrange(4)),
        weights=rng.choice(WEIGHTS),
        splits={"test": HALF, "dev": HALF, "per": rng.choice([["language"], ["corpus", "language"]])},
    )


def any_candidate(rng, n):
    return candidate(
        f"u{n}",
        corpus=rng.choice("cde"),
        language=rng.choice(["en", "fr-CA", None]),
        speaker_id=rng.choice([None, "s1", "s2", "s3", f"own {n}"]),
        text=rng.choice(["one", "One!", "two", " ", None, "[noise]", f"text {n}"]),
        text_kind=rng.choice(["human", "machine", None]),
        text_tags=rng.choice([[], ["prompts"], ["read", "prompts"]]),
        extras=rng.choice([{}, {"votes": "1"}, {"votes": "3"}, {"votes": "?"}]),
        audio_duration_s=rng.choice([None, 0.2, 3.6, 9.0]),
        audio_clipped_ratio=rng.choice([None, 0.1, 0.9, float("nan")]),
        audio_fingerprint=rng.choice([None, "audio-1", "audio-1"]),
    )


@pytest.mark.parametrize("seed", range(6))
def test_under_any_policy_every_utterance_ends_once_and_caps_hold(spark, seed):
    rng = random.Random(seed)
    asked, rows = any_policy(rng), [any_candidate(rng, n) for n in range(80)]
    digests = set()
    for partitions in (1, 4):
        result = build(candidates(spark, *rows, partitions=partitions), asked, unassigned(spark))
        kept = {row["utterance_id"]: row for row in result.splits.collect()}
        out = {row["utterance_id"]: row for row in result.decisions.collect()}
        assert not kept.keys() & out.keys()
        assert kept.keys() | out.keys() == {row["utterance_id"] for row in rows}
        assert all(row["rule"] and row["failed"] for row in out.values())
        assert all(row["text"].strip() and row["weight"] > 0 for row in kept.values())
        digests.add(rows_digest(result.splits, result.decisions))
        rng.shuffle(rows)
    assert len(digests) == 1
    column = {"speaker": "speaker_id", "corpus": "corpus"}
    for cap in asked.caps:
        hours = defaultdict(float)
        for row in kept.values():
            if row["split"] == "train" and cap.per in column and row[column[cap.per]] is not None:
                hours[row[column[cap.per]]] += row["duration_s"] / 3600
        assert all(n <= cap.hours + 1e-9 for n in hours.values())
    train = [row for row in kept.values() if row["split"] == "train"]
    if train:
        seconds = sum(row["duration_s"] for row in train)
        assert sum(row["duration_s"] * row["weight"] for row in train) / seconds == pytest.approx(1, abs=1e-4)
