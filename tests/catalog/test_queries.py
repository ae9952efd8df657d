"""The twenty questions of docs/queries.md, each asked of a small lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from documented import PAGE, QUESTIONS, Question

from speechlake.views import register_views

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow

# By number of the question: rows that the sample lake must answer with, in order, where the columns named have
# these values; or how many rows there are.
ANSWERS: dict[int, list[dict[str, Any]]] = {
    1: [
        {"corpus": "books", "language": None, "clips": 1, "clips_kept": 1},
        {"corpus": "books", "language": "en", "clips": 4, "clips_kept": 1},
        {"corpus": "calls", "language": "de", "clips": 2, "clips_kept": 0},
        {"corpus": "calls", "language": "en", "clips": 4, "clips_kept": 2},
    ],
    2: [{"corpus": "books", "generation": 1, "lines": 5}, {"corpus": "calls", "generation": 2, "quarantined": 2}],
    3: [{"reason": "BAD_JSON", "lines": 1}, {"reason": "OUTSIDE_ROOT", "lines": 1}],
    4: [
        {"corpus": "books", "why": "CORRUPT", "clips": 1},
        {"corpus": "books", "why": "file is missing", "clips": 1},
        {"corpus": "calls", "why": "TIME_OUT", "clips": 1},
    ],
    5: [
        {"release": "second", "utterance_id": "c3", "failed": ["error_rate", "same_language"], "value": "0.5"}
    ],
    6: [
        {"rule": "missing:audio", "corpus": "calls", "clips": 2, "clips_by_this_alone": 2},
        {"rule": "audio_missing", "corpus": "books", "clips": 1},
        {"rule": "decodes", "corpus": "books", "clips": 1},
        {"rule": "duplicate_of_kept", "corpus": "books", "clips": 1},
        {"rule": "error_rate", "corpus": "calls", "clips": 1, "clips_by_this_alone": 0},
        {"rule": "missing:whisper", "corpus": "calls", "clips": 1},
    ],
    7: [
        {"release": "second", "rule": "error_rate", "hours_alone": 0.0014},
        {"release": "second", "rule": "decodes", "hours_alone": 0.0},
        {"release": "first", "rule": "error_rate"},
        {"release": "first", "rule": "decodes"},
    ],
    8: [
        {"release": "second", "split": "dev", "clips": 1, "speakers": 1},
        {"release": "second", "split": "test", "clips": 1, "speakers": 1},
        {"release": "second", "split": "train", "clips": 2, "speakers": 1},
        {"release": "first", "split": "test", "clips": 1},
        {"release": "first", "split": "train", "clips": 3, "speakers": 2},
    ],
    9: [
        {"was": None, "becomes": "missing:audio", "clips": 2},
        {"was": None, "becomes": "audio_missing", "clips": 1},
        {"was": "same_language", "becomes": "dev", "clips": 1},
        {"was": "too_short", "becomes": "missing:whisper", "clips": 1},
        {"was": "train", "becomes": "error_rate", "clips": 1},
    ],
    10: [
        {"corpus": "books", "language": None, "percent_from": 30, "clips": 1},
        {"corpus": "books", "language": "en", "percent_from": 0, "clips": 2},
        {"corpus": "calls", "language": "de", "percent_from": 50, "clips": 1},
        {"corpus": "calls", "language": "en", "percent_from": 0, "clips": 2},
    ],
    11: [
        {"utterance_id": "c3", "wer": 0.5, "text": "guten tag", "whisper_text": "guten morgen", "path": "c3.wav"},
        {"utterance_id": "b3", "wer": 0.333},
    ],
    12: [
        {"language": None, "clips": 1, "texts_differ": 1, "better": 0, "worse": 1},
        {"language": "de", "clips": 1, "texts_differ": 1, "better": 0, "worse": 1},
        {"language": "en", "clips": 4, "texts_differ": 2, "better": 2, "worse": 0, "wer_before": 0.333},
    ],
    13: [{"corpus": "calls", "declared": "de", "heard": "nl", "clips": 1}],
    14: [{"corpus": "calls", "utterance_id": "c2", "declared_duration_s": 9.0, "difference_s": -3.0}],
    15: [{"corpus": "books", "other_corpus": "calls", "kind": "exact", "clusters": 1}],
    16: [{"cluster_id": "K1", "clips": 2, "corpora": 2, "kept": 1}, {"cluster_id": "K2", "corpora": 1}],
    17: [
        {"corpus": "books", "unmeasured": 1, "stale": 0, "measured": 3},
        {"corpus": "calls", "unmeasured": 2, "stale": 1, "measured": 3},
    ],
    18: [
        {"corpus": "books", "run_id": "killed", "chunk": 0, "cpu_s_per_audio_s": 4.5, "started_at": None},
        {"corpus": "calls", "run_id": "r2", "chunk": 0, "cpu_s_per_audio_s": 2.0},
        {"corpus": "books", "run_id": "r3", "chunk": 0, "cpu_s_per_audio_s": 2.0},
        {"corpus": "calls", "run_id": "r2", "chunk": 1, "cpu_s_per_audio_s": 0.5},
    ],
    19: [{"release": "second", "hours_kept": 0.0111, "device_hours": 0.0378}, {"release": "first", "hours_kept": 0.0097}],
    20: [
        {"scope": "main", "job": "build-splits", "outcome": "done", "seconds": 30.0},
        {"scope": "calls", "job": "score-transcripts"},
        {"scope": "books", "job": "extract-signals"},
        {"scope": "calls", "job": "extract-signals"},
        {"scope": "calls", "job": "ingest-manifests"},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def views(sample) -> SparkSession:
    """A session with the sample's views, whatever other tests left under their names."""
    register_views(sample)
    return sample.spark


def test_there_are_twenty_questions_in_order_and_none_is_left_out():
    assert [question.number for question in QUESTIONS] == list(range(1, 21))
    assert PAGE.count("```sql") == len(QUESTIONS) == len(ANSWERS)


def _one_in_four(question: Question) -> Any:
    return question if question.number % 4 == 1 else pytest.param(question, marks=pytest.mark.long)


@pytest.mark.parametrize("question", map(_one_in_four, QUESTIONS), ids=[f"{q.number}" for q in QUESTIONS])
def test_a_documented_query_gives_the_columns_it_promises_and_the_lakes_answer(views, question: Question):
    frame = views.sql(question.sql)
    assert tuple(frame.columns) == question.columns
    rows = [row.asDict(recursive=True) for row in frame.collect()]
    expected = ANSWERS[question.number]
    assert [
        {name: row[name] for name in wanted} for row, wanted in zip(rows, expected, strict=True)
    ] == expected
