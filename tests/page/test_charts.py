"""Charts as SVG: heights and widths by hand, and nothing foreign in them that is not escaped."""

from __future__ import annotations

import pytest
from html_seen import Seen

from speechlake.page.charts import BOTTOM, HEIGHT, TOP, Bar, histogram, span, stack


def drawn(svg: str, kind: str) -> list[tuple[float, float]]:
    """(x, width) of the rectangles of a class."""
    rects = [rect for rect in Seen(svg).named("rect") if rect["class"] == kind]
    return [(float(rect["x"] or 0), float(rect["width"] or 0)) for rect in rects]


def test_a_bar_in_a_cell_goes_from_share_to_share():
    assert drawn(span(0.25, 0.75, "removed"), "removed") == [(25.0, 50.0)]


@pytest.mark.parametrize(
    ("start", "end", "bar"), [(0.5, 0.50001, (50.0, 0.3)), (1.0, 1.00001, (99.7, 0.3)), (0, 0, (0, 0))]
)
def test_what_is_there_is_seen_and_what_is_not_is_not(start, end, bar):
    assert drawn(span(start, end, "kept"), "kept") == [bar]


def test_stacked_bars_follow_each_other_in_shares_of_the_whole():
    svg = stack([(1.0, "substituted"), (2.0, "deleted")], 4.0)
    assert drawn(svg, "substituted") == [(0.0, 25.0)]
    assert drawn(svg, "deleted") == [(25.0, 50.0)]


def test_a_stack_of_nothing_is_empty():
    assert drawn(stack([(1.0, "kept")], 0.0), "kept") == [(0.0, 0.0)]


def test_a_histogram_is_as_high_as_its_highest_column_needs():
    svg = histogram([Bar(3.0, 1.0, "a"), Bar(0.0, 2.0, "b")], label="Hours", unit="h", ticks=[(0, "0")])
    heights = {
        kind: [float(rect["height"] or 0) for rect in Seen(svg).named("rect") if rect["class"] == kind]
        for kind in ("kept", "removed")
    }
    whole = HEIGHT - TOP - BOTTOM  # the axis ends at 4
    assert heights == {"kept": [whole * 3 / 4, 0.0], "removed": [whole / 4, whole / 2]}
    assert [text for text in ("4 h", "3", "2", "1", "0") if f">{text}<" not in svg] == []


def test_an_empty_histogram_has_an_axis():
    assert ">1 h<" in histogram([Bar(0, 0, "")], label="x", unit="h", ticks=[])


def test_labels_are_escaped():
    svg = histogram(
        [Bar(1, 0, "<b>")], label='"><script>', unit="h", ticks=[(0, "<i>")], marks=[(1, "</svg>")]
    )
    assert {tag for tag, _ in Seen(svg).tags} == {"svg", "g", "title", "rect", "line", "text"}


def test_the_axis_tells_large_numbers_in_digits():
    svg = histogram([Bar(10_000.0, 2345.0, "a")], label="Clips", unit="", ticks=[(0, "0")])
    assert ">10,000<" in svg
