"""The story of all jobs, played once for all tests of faults, and as far as they ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fault_extractors
import job_extractors
import pytest
from fault_story import FaultStory

from speechlake.lake import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def story(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> FaultStory:
    """Each job over a small corpus, then again after the corpus changed."""
    for module in (job_extractors, fault_extractors):
        spark.sparkContext.addPyFile(str(module.__file__))
    folder = tmp_path_factory.mktemp("faults")
    return FaultStory(Lake(spark, folder / "lake"), folder, lambda: request.getfixturevalue("speech"))
