"""How Spark is asked to work: no step of a build, of the gate or of duplicates compares every row with every other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from splits_tables import candidates, policy
from test_planted_leaks import ROWS

from speechlake.duplicates.clusters import duplicates, those_sharing
from speechlake.duplicates.search import verified, who_met
from speechlake.schemas import AUDIO_PAIRS, DUPLICATES
from speechlake.splits.build import build
from speechlake.splits.gate import Asked, leaks

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

pytestmark = pytest.mark.slow

EVERYTHING = policy(
    text={"prefer": ["manifest"], "form": "normalised"},
    duplicates={"kinds": ["exact", "near", "contained"]},
    links={
        "text": {"mode": "exclude_from_train", "max_evicted_share": 1.0},
        "columns": {
            "extras.book": "together",
            "manifest_uri": {"mode": "exclude_from_train", "max_evicted_share": 1.0},
        },
    },
    decontaminate={"max_evicted_share": 1.0},
    caps=[{"per": "speaker", "hours": 10}, {"per": "text", "hours": 1}],
    weights={"per": "language", "temperature": 0.5},
    splits={"test": {"hours": 1, "max_share": 0.2}, "dev": {"hours": 1, "max_share": 0.2}},
)
# One row of totals beside one row per reason.
OF_A_FEW = {"build.refusals"}


class Plans:
    """Every plan that was made, by the step that made it."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def look(self, name: str, frame: DataFrame) -> None:
        query = frame._jdf.queryExecution()
        self.found[name] = query.executedPlan().toString()

    def staged(self, name: str, frame: DataFrame) -> DataFrame:
        """A `Staged` that looks at the plan before it computes it."""
        self.look(name, frame)
        return frame.localCheckpoint()

    def every_with_every(self) -> set[str]:
        asked = re.compile("NestedLoopJoin|CartesianProduct")
        return {name for name, plan in self.found.items() if asked.search(plan)}


@pytest.fixture
def plans(spark):
    """Plans of tables that are too large to be sent to every task."""
    spark.conf.set("spark.sql.autoBroadcastJoinThreshold", "-1")
    yield Plans()
    spark.conf.unset("spark.sql.autoBroadcastJoinThreshold")


def test_a_build_and_its_gate_join_by_keys(spark, plans):
    frame = candidates(spark, *ROWS)
    published = spark.createDataFrame([("k", "test")], "link_key string, side string")
    made = build(frame, EVERYTHING, published, staged=plans.staged)
    for name in vars(made):
        plans.look(f"build.{name}", getattr(made, name))
    asked = Asked.by(EVERYTHING)
    splits = made.splits.localCheckpoint()
    plans.look("gate found", leaks(splits, frame, published, asked, made.listed, plans.staged))
    steps = {"judged", "forms", "text keys", "evicted", "decided", "build.splits", "gate", "gate found"}
    assert steps <= set(plans.found)
    assert plans.every_with_every() <= OF_A_FEW


def test_duplicates_join_by_keys(spark, rows, plans):
    current = spark.createDataFrame(
        [("a", "r", "c1", "s", 2.0), ("b", "q", "c2", "s", 2.0)],
        "utterance_id string, recording_id string, content_sha256 string, audio_samples_sha256 string, duration_s double",
    ).selectExpr("'c' AS corpus", "false AS is_retired", "*")
    pairs = rows(AUDIO_PAIRS, ("a", {"other_id": "b", "kind": "near"}))
    here = those_sharing(current, pairs, plans.staged)
    plans.look("duplicates", duplicates(here, pairs, rows(DUPLICATES), plans.staged))
    keyed = spark.createDataFrame(
        [("c", "0" * 32, "r", "mix", 0, None, "c1", "f", b"", b"")],
        "corpus string, utterance_id string, recording_id string, channel string, start_ms bigint, "
        "end_ms bigint, content_sha256 string, fingerprint string, keys binary, active binary",
    )
    met = spark.createDataFrame([(1, 2, 0, 1)], "one bigint, other bigint, offset int, votes bigint")
    clips = who_met(met, keyed)
    plans.look("who met", clips)
    plans.look("verified", verified(met, clips))
    assert {"sharing", "here", "exact", "overlaps", "duplicates", "who met", "verified"} <= set(plans.found)
    assert plans.every_with_every() == set()
