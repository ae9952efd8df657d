"""Columns that joins move in structs come out of them as they went in."""

from __future__ import annotations

import re
from typing import Any

from chispa import assert_df_equality

from speechlake.checkpoints import planned_at_once
from speechlake.joins import packed, unpacked

CLIPS = [("a", "en", 1.5, None), ("b", None, None, "x")]
CLIPS_DDL = "id string, language string, seconds double, channel string"


def test_what_is_packed_comes_out_as_it_was(spark: Any) -> None:
    clips = spark.createDataFrame(CLIPS, CLIPS_DDL)
    inside = packed(clips, keep=("id",))
    assert inside.columns == ["id", "packed_0"]
    assert_df_equality(unpacked(inside, clips.columns), clips, ignore_nullable=True)


def test_each_join_is_one_more_struct_and_what_has_no_match_is_null(spark: Any) -> None:
    clips = packed(spark.createDataFrame(CLIPS, CLIPS_DDL), keep=("id",))
    texts = spark.createDataFrame([("b", "hello", 5)], "id string, text string, letters int")
    joined = packed(clips.join(texts, "id", how="left"), keep=("id",))
    assert joined.columns == ["id", "packed_0", "packed_1"]
    found = unpacked(joined, {"id", "seconds", "letters", "nobody has this"}).orderBy("id").collect()
    assert [tuple(row) for row in found] == [("a", 1.5, None), ("b", None, 5)]


def test_nothing_is_packed_where_all_is_kept(spark: Any) -> None:
    clips = spark.createDataFrame(CLIPS, CLIPS_DDL)
    assert packed(clips, keep=clips.columns) is clips


def test_structs_stay_whole_below_joins_that_are_planned_at_once(spark: Any) -> None:
    ids = spark.range(10).selectExpr("string(id) AS id", "id AS one", "id AS other")
    # Less than the struct holds is asked for: Spark would move fields in its place.
    asked = unpacked(packed(ids, keep=("id",)).join(ids.select("id").distinct(), "id"), {"id", "one"})
    with planned_at_once(spark):
        plan = asked._jdf.queryExecution().optimizedPlan().toString()
    assert "_extract_" not in plan
    assert re.search(r"packed_0#\d+\.one", plan)
