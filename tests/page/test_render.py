"""Templates: numbers as people read them, pages that are whole or not there, and nothing that is fetched."""

from __future__ import annotations

import pytest

from speechlake.errors import UsageError
from speechlake.page.render import count, hours, number, page_path, rendered, share, write_page


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"), (0.0, "0"), (0.0005, "1.8 s"), (0.004, "14 s"), (0.5, "30.0 min"), (0.0166, "1.0 min"), (1.5, "1.50 h"),
        (12.34, "12.3 h"), (12345.6, "12,346 h"),
    ],
)  # fmt: skip
def test_hours_have_the_digits_that_say_something(value, shown):
    assert hours(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0, "0 %"), (1.0, "100 %"), (0.123, "12.3 %"), (0.00001, "<0.1 %"), (0.99999, ">99.9 %"), (1.5, "150.0 %")],
)  # fmt: skip
def test_a_share_is_nothing_or_all_only_where_it_is(value, shown):
    assert share(value) == shown


@pytest.mark.parametrize(
    ("value", "threshold", "shown"),
    [
        ("30.000512", "0.4 .. 30", "30.001"), ("0.30004", "<= 0.3", "0.30004"), ("0.3", "<= 0.3", "0.3"), ("12.345678", "<= 30", "12.35"),
        ("0.300000", "<= 0.3", "0.3"), ("007", None, "007"), ("de", "en", "de"), ("true", "false", "true"), (None, None, None),
    ],
)  # fmt: skip
def test_a_number_is_told_from_the_limit_it_misses(value, threshold, shown):
    assert number(value, threshold) == shown


def test_counts_have_their_thousands_set_apart():
    assert (count(1234567), count(None)) == ("1,234,567", "–")


def test_every_page_forbids_itself_the_network():
    assert "default-src 'none'" in rendered("base.html")
    assert "script-src 'none'" in rendered("base.html")


def test_a_page_replaces_the_one_before_and_leaves_nothing_else(tmp_path):
    write_page(tmp_path / "p.html", "one")
    write_page(tmp_path / "p.html", "two \ud800")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("p.html", "two ?")]


def test_a_place_where_no_page_can_be_is_refused_before_anything_is_computed(tmp_path):
    assert page_path(str(tmp_path / "p.html")) == tmp_path / "p.html"
    for said in (tmp_path / "none" / "p.html", tmp_path):
        with pytest.raises(UsageError, match="--html"):
            page_path(str(said))
