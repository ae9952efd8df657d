"""What a build says of sides that are empty, or short of speakers."""

from __future__ import annotations

import pytest
from splits_tables import policy

from speechlake.splits.outcome import warnings

pytestmark = pytest.mark.slow

DDL = "corpus string, language string, side string, kept boolean, speaker_id string, single_speaker boolean, n bigint"
SIZE = {"hours": 1, "max_share": 0.1}


def test_a_side_that_lacks_a_stratum_or_speakers_of_it_is_told_by_its_name(spark):
    rows = [
        ("c", "en", "train", True, "s1", False, 3),
        ("c", "fr", "train", True, "s2", False, 3),
        ("c", "fr", "dev", True, "s3", False, 3),
        ("c", "fr", "test", True, "s4", False, 3),
        ("c", "en", "dev", False, "s5", False, 3),
    ]
    asked = policy(splits={"dev": SIZE, "test": {**SIZE, "min_speakers": 2}})
    told = warnings(spark.createDataFrame(rows, DDL), asked).collect()
    assert sorted(row.message for row in told) == [
        "dev has nothing of stratum 'en'",
        "test has 1 known speakers of stratum 'fr'; min_speakers asks for 2",
        "test has nothing of stratum 'en'",
    ]
