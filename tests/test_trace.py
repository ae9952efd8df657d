"""What explain says of an utterance."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from speechlake import trace
from speechlake.errors import UsageError
from speechlake.lake import Lake
from speechlake.schemas import UTTERANCES

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


def test_a_beginning_that_names_no_utterance_or_several_says_what_to_give(rows: Any) -> None:
    utterances = rows(UTTERANCES, ("abcdef1", {}), ("abcdef2", {}))
    lake: Any = SimpleNamespace(root="my lake", read=lambda _: utterances)
    assert trace.find(lake, "abcdef1").utterance_id == "abcdef1"
    with pytest.raises(UsageError, match="more than one utterance begins with 'abcdef'") as several:
        trace.find(lake, "abcdef")
    assert several.value.hint == "Give more digits."
    with pytest.raises(UsageError, match="no utterance begins with '012345'") as none:
        trace.find(lake, "012345")
    assert "sql --lake 'my lake' 'select utterance_id, path, text from utterances_now" in str(none.value.hint)
