"""Which hashes are of audio as it was, and that one corpus is told without reading the others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from speechlake.schemas import CONTENT_HASHES, RECORDINGS
from speechlake.upkeep.sweep import superseded

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

pytestmark = pytest.mark.slow


@pytest.fixture
def lake(rows: Any) -> Any:
    """Two corpora, each with a file that was listed and read anew, and one that is gone.

    What y says of files of x cannot be, because an id holds its corpus: it shows who reads it.
    """
    recordings, hashes = [], []
    for corpus in ("x", "y"):
        for name, state in (("anew", "present"), ("gone", "missing")):
            said = {"corpus": corpus, "listing_key": "2"}
            recordings.append((f"{corpus} {name}", {**said, "state": state}))
            hashes += [(f"{corpus} {name}", {**said, "listing_key": key}) for key in ("1", "2")]
    recordings.append(("x gone", {"corpus": "y", "listing_key": "2", "state": "present"}))
    recordings.append(("x unread", {"corpus": "x", "listing_key": "2", "state": "present"}))
    hashes += [
        ("x unread", {"corpus": corpus, "listing_key": key}) for corpus, key in (("x", "1"), ("y", "2"))
    ]
    made = {"recordings": rows(RECORDINGS, *recordings), "content_hashes": rows(CONTENT_HASHES, *hashes)}
    return SimpleNamespace(read=made.__getitem__)


def found(frame: DataFrame) -> list[tuple[str, str, str]]:
    return sorted((row.corpus, row.recording_id, row.listing_key) for row in frame.collect())


def test_a_hash_of_audio_as_it_was_is_superseded_once_it_was_read_as_it_is(lake: Any) -> None:
    assert {("x", "x anew", "1"), ("y", "y anew", "1")} <= set(found(superseded(lake)))


def test_no_table_is_asked_for_more_than_the_corpus_that_is_named(lake: Any) -> None:
    assert found(superseded(lake, "x")) == [("x", "x anew", "1")]
