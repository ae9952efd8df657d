"""What a job staged: computed once, freed when the job is done, planned as asked."""

from __future__ import annotations

from typing import Any

import pytest

from speechlake.checkpoints import APART, checkpointed, freeing, planned_at_once


def _held(spark: Any) -> set[int]:
    return set(spark.sparkContext._jsc.getPersistentRDDs().keySet())


def test_a_checkpoint_is_computed_once(spark: Any) -> None:
    counted = spark.sparkContext.accumulator(0)

    def count(batches: Any) -> Any:
        for batch in batches:
            counted.add(batch.num_rows)
            yield batch

    with freeing():
        staged = checkpointed("numbers", spark.range(10).mapInArrow(count, "id long"))
        assert (staged.count(), staged.where("id > 3").count()) == (10, 6)
    assert counted.value == 10


def test_what_was_staged_is_freed_at_the_end(spark: Any) -> None:
    before = _held(spark)
    with freeing():
        checkpointed("numbers", spark.range(10))
        checkpointed("others", spark.range(3))
        assert len(_held(spark) - before) == 2
    assert _held(spark) <= before


def test_it_is_freed_where_the_job_fails(spark: Any) -> None:
    def job() -> None:
        with freeing():
            checkpointed("numbers", spark.range(10))
            raise ValueError("as a job may end")

    before = _held(spark)
    with pytest.raises(ValueError, match="may end"):
        job()
    assert _held(spark) <= before


def test_a_job_inside_of_another_frees_its_own_alone(spark: Any) -> None:
    with freeing():
        kept = checkpointed("kept", spark.range(10))
        with freeing():
            checkpointed("freed", spark.range(3))
            inner = _held(spark)
        assert len(inner - _held(spark)) == 1
        assert kept.count() == 10


def test_outside_of_any_job_nothing_is_freed(spark: Any) -> None:
    before = _held(spark)
    staged = checkpointed("numbers", spark.range(10))
    with freeing():
        pass
    assert len(_held(spark) - before) == 1
    assert staged.count() == 10
    staged._jdf.queryExecution().analyzed().rdd().unpersist(False)


def test_a_setting_of_the_session_is_as_before_when_planned_at_once(spark: Any) -> None:
    names = ("spark.sql.adaptive.enabled", APART)
    before = [spark.conf.get(name) for name in names]
    with planned_at_once(spark):
        assert {spark.conf.get(name) for name in names} == {"false"}
    assert [spark.conf.get(name) for name in names] == before
