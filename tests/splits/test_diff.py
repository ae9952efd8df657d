from types import SimpleNamespace

import pytest
from chispa import assert_df_equality

from speechlake.splits.diff import changes, counted

pytestmark = pytest.mark.slow

SPLITS = (
    "build_id string, utterance_id string, split string, corpus string, language string, duration_s double, "
    "content_sha256 string, text string"
)


def test_each_release_counts_a_row_with_the_length_and_language_that_it_has_there(spark):
    tables = {
        "splits": spark.createDataFrame(
            [
                ("b1", "u1", "train", "books", "nl", 7200.0, "s1", "ja"),
                ("b2", "u1", "train", "books", "de", 3600.0, "s2", "ja"),
                ("b1", "u2", "train", "books", "nl", 7200.0, "s4", "ja"),
                ("b2", "u2", "train", "books", None, 7200.0, "s4", "ja"),
                ("b1", "gone", "dev", "books", "nl", 1800.0, "s3", "nee"),
            ],
            SPLITS,
        ),
        "decisions": spark.createDataFrame(
            [("b2", "gone", "length")], "build_id string, utterance_id string, rule string"
        ),
    }
    found = changes(SimpleNamespace(read=tables.__getitem__), "b1", "b2")
    expected = spark.createDataFrame(
        [
            ("audio changed", "train", "train", None, "de", "nl", 1, 1.0, 2.0),
            ("removed", "dev", None, "length", "nl", "nl", 1, 0.5, 0.5),
            ("same", "train", "train", None, None, "nl", 1, 2.0, 2.0),
        ],
        "change string, before string, after string, reason string, language string, language_before string, "
        "clips long, hours double, hours_before double",
    )
    assert_df_equality(counted(found), expected, ignore_nullable=True)
