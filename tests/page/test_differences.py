"""Two texts, word over word."""

from __future__ import annotations

import pytest

from speechlake.page.differences import MAX_CHARS, Pair, difference_html, differences


def pairs(
    reference: str, hypothesis: str, language: str | None = None
) -> list[tuple[str | None, str | None, str]]:
    return [(pair.said, pair.heard, pair.change) for pair in differences(reference, hypothesis, language)]


def test_words_are_compared_without_case_and_punctuation_and_shown_as_written():
    assert differences("Hello, World!", "hello world", "en") == [
        Pair("Hello,", "hello", "same"),
        Pair("World!", "world", "same"),
    ]


def test_each_word_is_the_same_substituted_deleted_or_inserted():
    assert pairs("one two three", "one too three four") == [
        ("one", "one", "same"),
        ("two", "too", "substituted"),
        ("three", "three", "same"),
        (None, "four", "inserted"),
    ]
    assert pairs("one two", "two") == [("one", None, "deleted"), ("two", "two", "same")]


def test_a_word_that_a_normaliser_parts_lies_over_all_its_words():
    assert pairs("I don't know", "i do not no", "en") == [
        ("I", "i", "same"),
        ("don't", "do not", "same"),
        ("know", "no", "substituted"),
    ]


def test_numbers_in_words_and_digits_are_alike_where_nothing_else_differs():
    assert {change for _, _, change in pairs("twenty one cats", "21 cats", "en")} == {"same"}


def test_punctuation_set_alone_belongs_to_the_word_before():
    assert pairs("well - yes", "well yes") == [("well -", "well", "same"), ("yes", "yes", "same")]


def test_languages_without_spaces_are_compared_by_character():
    assert pairs("你好 世界", "你们世界", "zh") == [
        ("你", "你", "same"),
        ("好", "们", "substituted"),
        ("世", "世", "same"),
        ("界", "界", "same"),
    ]


def test_no_space_is_shown_that_nobody_wrote():
    assert pairs("你。好", "你好", "zh") == [("你。", "你", "same"), ("好", "好", "same")]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("unseen", ["\u2028", "\u0085", "\x1c", "\x1f"])
def test_what_parts_lines_and_is_not_seen_is_spelled_out(language, unseen):
    told = f"⟨U+{ord(unseen):04X}⟩"
    assert told in difference_html(f"one{unseen}two", "one two", language)


def test_a_missing_text_is_an_empty_one():
    assert pairs("", "a") == [(None, "a", "inserted")]
    assert difference_html(None, None, None) == '<span class="diff" dir="auto"></span>'


@pytest.mark.parametrize("side", [0, 1])
def test_no_text_becomes_markup(side):
    texts = ["a", "a"]
    texts[side] = "<script>\u202e"
    html = difference_html(*texts, "en")
    assert "<script" not in html
    assert "⟨U+202E⟩" in html


def test_long_texts_are_cut_and_it_is_said():
    html = difference_html("a " * MAX_CHARS, "b", None)
    assert "the first 2,000 characters" in html
    assert html.count("<b>") == MAX_CHARS // 2
