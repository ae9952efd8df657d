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
    inside = packed(clips, keep=("id",), only=clips.columns)
    assert inside.columns == ["id", "packed_0"]
    assert_df_equality(unpacked(inside, clips.columns), clips, ignore_nullable=True)


def test_each_join_is_one_more_struct_and_what_has_no_match_is_null(spark: Any) -> None:
    only = {"seconds", "letters", "nobody has this"}
    clips = packed(spark.createDataFrame(CLIPS, CLIPS_DDL), keep=("id",), only=only)
    texts = spark.createDataFrame([("b", "hello", 5)], "id string, text string, letters int")
    joined = packed(clips.join(texts, "id", how="left"), keep=("id",), only=only)
    assert joined.columns == ["id", "packed_0", "packed_1"]
    found = unpacked(joined, {"id", *only}).orderBy("id")
    assert found.columns == ["id", "seconds", "letters"]
    assert [tuple(row) for row in found.collect()] == [("a", 1.5, None), ("b", None, 5)]


def test_nothing_is_packed_where_all_is_kept(spark: Any) -> None:
    clips = spark.createDataFrame(CLIPS, CLIPS_DDL)
    assert packed(clips, keep=clips.columns, only=clips.columns).columns == clips.columns


def test_structs_stay_whole_below_joins_that_are_planned_at_once(spark: Any) -> None:
    ids = spark.range(10).selectExpr("string(id) AS id", "id AS one", "id AS other")

    def plan() -> str:
        # Less than the struct holds is asked for: Spark moves fields in its place.
        whole = packed(ids, keep=("id",), only=ids.columns).join(ids.select("id").distinct(), "id")
        asked = unpacked(whole, {"id", "one"})
        return str(asked._jdf.queryExecution().optimizedPlan().toString())

    assert "_extract_one" in plan()
    with planned_at_once(spark):
        inside = plan()
    assert "_extract_" not in inside
    assert re.search(r"packed_0#\d+\.one", inside)
