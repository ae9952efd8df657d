"""Foreign text on a page: nothing of it is markup, and nothing of it is unseen."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from speechlake.page.foreign import foreign, visible


class Seen(HTMLParser):
    """Tags, attributes and text of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        '" onerror="alert(1)',
        "</bdi></td>",
        "&lt;b&gt;",
        "{{ 7 * 7 }}",
        "'><img src=x>",
    ],
)
def test_hostile_text_is_shown_and_is_no_markup(hostile):
    seen = Seen(foreign(hostile))
    assert seen.text == hostile
    assert [tag for tag, _ in seen.tags] == ["bdi"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("abc\u202edef", "abc⟨U+202E⟩def"),  # right-to-left override
        ("\u2066x\u2069", "⟨U+2066⟩x⟨U+2069⟩"),
        ("a\u200bb\ufeff", "a⟨U+200B⟩b⟨U+FEFF⟩"),
        ("a\x00\x1b[2J\r", "a⟨U+0000⟩⟨U+001B⟩[2J⟨U+000D⟩"),
        ("a\nb\tc", "a⟨U+000A⟩b⟨U+0009⟩c"),
        ("\U000e0041\u3164\u2800\ufe0f", "⟨U+E0041⟩⟨U+3164⟩⟨U+2800⟩⟨U+FE0F⟩"),
        ("a\u200db", "a⟨U+200D⟩b"),
        ("\ud800", "⟨U+D800⟩"),
    ],
)
def test_what_cannot_be_seen_is_spelled_out(text, shown):
    assert visible(text) == shown
    assert Seen(foreign(text)).text == shown


@pytest.mark.parametrize(
    "text", ["naïve é e\u0301", "می\u200cخواهم", "ക്\u200d", "שלום", "ที่นี่", "日本\u3000語", "5\u202f%"]
)
def test_what_spells_words_is_left_as_it_is(text):
    assert visible(text) == text


def test_a_heap_of_marks_on_one_letter_is_spelled_out():
    assert visible("e" + "\u0301" * 8) == "e" + "\u0301" * 6 + "⟨U+0301⟩" * 2


def test_lines_stay_lines_where_they_are_asked_for():
    assert visible("a:\n\tb\r", lines=True) == "a:\n\tb⟨U+000D⟩"


def test_of_a_long_text_the_beginning_is_shown_and_the_rest_counted():
    assert Seen(foreign("x" * 1500, at_most=10)).text == "x" * 10 + " … 1,490 more characters"


def test_null_is_a_dash_and_other_values_are_their_text():
    assert (Seen(foreign(None)).text, Seen(foreign(0.5)).text) == ("–", "0.5")
