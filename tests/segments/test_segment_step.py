"""The pipeline segments between ingest and extraction, and only where a corpus asks for it."""

from __future__ import annotations

from typing import Any

from lake_tools import QUIET

from speechlake.corpora import make_corpus
from speechlake.jobs import pipeline
from speechlake.jobs.pipeline import Flow


def test_only_corpora_that_ask_for_it_are_segmented() -> None:
    corpora = [
        make_corpus(name="clips", sources=["x"]),
        make_corpus(name="meetings", sources=["y"], segment=True),
    ]
    nowhere: Any = None
    calls = [(name, corpus) for name, corpus, _ in pipeline._calls(nowhere, Flow(corpora, []), QUIET)]
    assert calls == [
        ("ingest-manifests", "clips"),
        ("ingest-manifests", "meetings"),
        ("segment-recordings", "meetings"),
        ("extract-signals", "clips"),
        ("extract-signals", "meetings"),
        ("score-transcripts", "clips"),
        ("score-transcripts", "meetings"),
        ("find-duplicates", None),
    ]
