"""What is said of a run over several corpora."""

from __future__ import annotations

from speechlake_airflow.outcome import failures, sentence

NAMES = ["calls", "meetings"]


def ended(task_id, index, state):
    return {"task_id": task_id, "map_index": index, "state": state}


def test_a_failure_is_told_of_the_corpus_it_befell_and_not_of_what_it_kept_from_running():
    seen = [
        ended("corpora", -1, "success"),
        ended("corpus.ingest", 0, "success"),
        ended("corpus.ingest", 1, "failed"),
        ended("corpus.segment", 0, "skipped"),
        ended("corpus.score", 1, "upstream_failed"),
    ]
    told = failures(seen, NAMES, lambda task, index: f"words of {task}[{index}]")
    assert told == {"meetings": "corpus.ingest: words of corpus.ingest[1]"}


def test_a_failure_of_the_whole_lake_is_told_apart():
    told = failures([ended("find_duplicates", -1, "failed")], NAMES, lambda *_: None)
    assert told == {"the whole lake": "find_duplicates: see its log"}


def test_the_sentence_counts_what_is_done_and_names_the_rest():
    assert sentence({"meetings": "corpus.ingest: TooManyRejected"}, NAMES) == (
        "1 of 2 corpora done; no release was cut\nmeetings: corpus.ingest: TooManyRejected"
    )
