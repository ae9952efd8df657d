"""What explain says of an utterance."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from speechlake import trace
from speechlake.lake import Lake

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

pytestmark = pytest.mark.slow


def test_every_release_has_a_line_and_each_table_is_read_once(
    sample: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    utterance: Any = sample.read("utterances").where("utterance_id = 'c3'").first()
    reads: Counter[str] = Counter()
    read = Lake.read

    def counted(lake: Lake, name: str) -> DataFrame:
        reads[name] += 1
        return read(lake, name)

    monkeypatch.setattr(Lake, "read", counted)
    _, _, lines = next(trace._releases(sample, utterance))
    assert [line[:3] for line in lines] == [
        ["first", "train", None],
        ["second", "excluded", "error_rate, same_language"],
    ]
    assert (reads["splits"], reads["decisions"]) == (1, 1)
