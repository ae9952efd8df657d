"""A pair of texts becomes a row of `scores`; what cannot be said is null, not NaN."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest

from speechlake.commands import score_transcripts
from speechlake.schemas import EXTRACTORS, SCORES, SIGNALS_WHISPER, TRANSCRIPTS, UTTERANCES
from speechlake.text.score import unscored_pairs
from speechlake.text.scoring import GIVEN, error_unit, score, score_frame

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake

ARROW = {"string": pa.string(), "int": pa.int32(), "double": pa.float64(), "boolean": pa.bool_()}


def pair(reference: str | None, hypothesis: str | None, language: str | None) -> dict[str, str | None]:
    return {name: name for name in GIVEN} | {
        "reference": reference,
        "hypothesis": hypothesis,
        "language": language,
    }


def test_words_and_characters_of_a_language_with_spaces() -> None:
    assert score("Guten Morgen, Welt!", "guten Morgen Wald heute", "de") == {
        "normaliser": "basic/2",
        "unit": "word",
        "word_hits": 2,
        "word_substitutions": 1,
        "word_deletions": 0,
        "word_insertions": 1,
        "char_hits": 14,  # gutenmorgenwelt, gutenmorgenwaldheute
        "char_substitutions": 1,
        "char_deletions": 0,
        "char_insertions": 5,
        "wer": 2 / 3,
        "cer": 6 / 15,
        "digits_differ": False,
    }


@pytest.mark.parametrize(
    ("language", "reference", "hypothesis", "hits"),
    [("zh-CN", "你好，世界", "你好 世 界", 4), ("ja", "日本語です", "日本語 です。", 5), ("th", "สวัสดีครับ", "สวัสดี ครับ", 10)],
)  # fmt: skip
def test_languages_without_spaces_are_counted_in_characters_only(
    language: str, reference: str, hypothesis: str, hits: int
) -> None:
    row = score(reference, hypothesis, language)
    assert (row["unit"], row["char_hits"], row["cer"]) == ("char", hits, 0.0)
    assert [row[name] for name in row if name.startswith("word_") or name == "wer"] == [None] * 5


@pytest.mark.parametrize("reference", ["", "[music]", "…"])
def test_an_empty_reference_has_counts_and_no_rates(reference: str) -> None:
    row = score(reference, "hello there", "en")
    assert (row["wer"], row["cer"], row["word_insertions"], row["char_insertions"]) == (None, None, 2, 10)


def test_nothing_heard_is_all_deletions() -> None:
    row = score("hello there", "", "en")
    assert (row["wer"], row["cer"], row["word_deletions"]) == (1.0, 1.0, 2)


@pytest.mark.parametrize(
    ("language", "reference", "hypothesis", "differ"),
    [
        ("de", "zwanzig Leute", "20 Leute", True),
        ("de", "20 Leute", "21 Leute", False),
        ("de", "Leute", "Leute", False),
        ("hi", "२० लोग", "20 लोग", False),
        ("zh", "三个人", "3个人", True),
        ("en", "twenty people", "20 people", False),  # the English normaliser writes digits for both
    ],
)
def test_digits_on_one_side_only_are_marked(
    language: str, reference: str, hypothesis: str, differ: bool
) -> None:
    assert score(reference, hypothesis, language)["digits_differ"] is differ


@pytest.mark.parametrize(
    ("language", "unit"),
    [
        ("en-US", "word"),
        ("ko", "word"),
        ("vi", "word"),
        (None, "word"),
        ("yue-Hant-HK", "char"),
        ("bo", "char"),
    ],
)
def test_the_unit_follows_from_the_primary_subtag(language: str | None, unit: str) -> None:
    assert error_unit(language) == unit


def test_a_frame_of_pairs_becomes_rows_of_scores_with_nulls() -> None:
    pairs = [
        pair("hello world", "hello word", "en"),
        pair("你好", "你好吗", "zh"),
        pair("[noise]", None, None),
    ]
    scored = score_frame(pd.DataFrame(pairs))
    table = pa.Table.from_pandas(scored, preserve_index=False)
    assert table.schema.names == [column.name for column in SCORES.columns]
    assert table.schema.types == [ARROW[column.type] for column in SCORES.columns]
    assert table.select(["word_hits", "char_hits", "wer", "cer", "unit", "normaliser"]).to_pylist() == [
        {"word_hits": 1, "char_hits": 9, "wer": 0.5, "cer": 0.1, "unit": "word", "normaliser": "english/2"},
        {"word_hits": None, "char_hits": 2, "wer": None, "cer": 0.5, "unit": "char", "normaliser": "basic/2"},
        {"word_hits": 0, "char_hits": 0, "wer": None, "cer": None, "unit": "word", "normaliser": "basic/2"},
    ]


def test_nulls_of_pandas_count_as_empty_texts() -> None:
    frame = pd.DataFrame([pair("hello", "hello", "en")] * 3)
    frame["hypothesis"] = [None, float("nan"), pd.NA]
    frame["language"] = [None, float("nan"), pd.NA]
    scored = score_frame(frame)
    assert scored["wer"].tolist() == [1.0, 1.0, 1.0]
    assert set(scored["normaliser"]) == {"basic/2"}


def test_an_empty_frame_keeps_the_columns_and_their_types() -> None:
    scored = score_frame(pd.DataFrame([pair("a", "b", "en")]).iloc[:0])
    schema = pa.Schema.from_pandas(scored, preserve_index=False)
    assert (len(scored), schema.types) == (0, [ARROW[column.type] for column in SCORES.columns])


@pytest.mark.slow
def test_translations_are_not_scored_against_what_was_said(
    lake: Lake, rows: Callable[..., DataFrame]
) -> None:
    tasks = {"said": "transcribe", "english": "translate"}
    with lake.hold("fill", "c", "r") as hold:
        for table, *literal in (
            (UTTERANCES, ("u1", {"corpus": "c", "language": "de"})),
            (TRANSCRIPTS, ("u1", {"corpus": "c", "kind": "human", "text": "Guten Morgen"})),
            (EXTRACTORS, *((fp, {"parameters": f'{{"task": "{task}"}}'}) for fp, task in tasks.items())),
            (SIGNALS_WHISPER, *(("u1", {"corpus": "c", "fingerprint": fp, "text": fp}) for fp in tasks)),
        ):
            hold.append_missing(table.name, rows(table, *literal))
    assert [row.hypothesis for row in unscored_pairs(lake, "c").collect()] == ["said"]


def test_scores_that_a_killed_run_staged_are_counted_by_the_run_that_commits_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def adopt(commit: Callable[[str], int]) -> None:
        commit("left")

    hold: Any = SimpleNamespace(adopt=adopt, versions_written={"scores": 1}, lake=None, scope="c")
    this: Any = SimpleNamespace(reads=lambda *_: None, is_news=lambda _: False, rows_out=0)
    nothing = SimpleNamespace(isEmpty=lambda: True)
    monkeypatch.setattr(score_transcripts, "_commit", lambda _, stage: {"left": 3}[stage])
    monkeypatch.setattr(score_transcripts, "unscored_pairs", lambda *_: nothing)
    assert score_transcripts._score(hold, this) == this.rows_in == this.rows_out == 3
