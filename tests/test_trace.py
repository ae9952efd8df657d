"""What explain says of an utterance."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from speechlake import trace
from speechlake.errors import UsageError
from speechlake.lake import Lake
from speechlake.schemas import AUDIO_PAIRS, UTTERANCES

if TYPE_CHECKING:
    from collections.abc import Callable

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


def test_all_that_share_audio_are_counted_beside_the_copies(sample: Lake) -> None:
    utterance: Any = sample.read("utterances").where("utterance_id = 'c2'").first()
    _, _, lines = trace._links(sample, utterance)
    assert [(line[0], line[2]) for line in lines[-2:]] == [("near duplicates", 2), ("shares audio", 2)]


def test_a_pair_is_told_from_either_end(rows: Callable[..., DataFrame]) -> None:
    said = {"kind": "near", "bit_error_rate": 0.1, "shared_s": 2.0}
    pairs = rows(AUDIO_PAIRS, ("a", {**said, "other_id": "b"}), ("b", {**said, "other_id": "c"}))
    _, _, lines = trace._shared_audio(Mock(read=lambda _: pairs), Mock(utterance_id="b"))
    assert lines == [["a", "near", 0.1, 2.0], ["c", "near", 0.1, 2.0]]
