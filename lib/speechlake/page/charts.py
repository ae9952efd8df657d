"""Charts as inline SVG: bars in tables and histograms. Colours are classes of the style sheet.

No charting library: those that draw on a page bring scripts of megabytes, those that draw images bring
matplotlib, and what is needed is rectangles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 18, 24


@dataclass(frozen=True)
class Bar:
    """One column of a histogram: what is kept, with what is removed on top of it; `title` tells it in words."""

    kept: float
    removed: float
    title: str


def histogram(
    bars: Sequence[Bar],
    *,
    label: str,
    unit: str,
    ticks: Sequence[tuple[float, str]],
    marks: Sequence[tuple[float, str]] = (),
) -> Markup:
    """Columns over fixed bins. `ticks` and `marks` (thresholds) stand at positions counted in bins from the left."""
    top, step = _scale(max((bar.kept + bar.removed for bar in bars), default=0.0))
    width = (WIDTH - LEFT - RIGHT) / max(len(bars), 1)
    parts = [
        *(_gridline(i * step, top, unit) for i in range(round(top / step) + 1)),
        *(_column(index, bar, width, top) for index, bar in enumerate(bars)),
        *(_tick(LEFT + position * width, text) for position, text in ticks),
        *(_mark(LEFT + position * width, text) for position, text in marks),
    ]
    frame = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
    return frame.format(WIDTH, HEIGHT, label, Markup("").join(parts))


def _scale(highest: float) -> tuple[float, float]:
    """End of the axis and distance of its lines: 1, 2 or 5 times a power of ten, three to six of them."""
    if highest <= 0:
        return 1.0, 1.0
    rough = highest / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 5, 10) if rough <= power * times)
    return step * math.ceil(highest / step - 1e-9), step


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top


def _gridline(value: float, top: float, unit: str) -> Markup:
    y = _y(value, top)
    text = f"{value:,.10g}" + (f" {unit}" if math.isclose(value, top) else "")
    return Markup(
        '<line class="gridline" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
        '<text class="axis" x="{}" y="{:.1f}" text-anchor="end">{}</text>'
    ).format(LEFT, WIDTH - RIGHT, y, y, LEFT - 6, y + 4, text)


def _column(index: int, bar: Bar, width: float, top: float) -> Markup:
    x, foot = LEFT + index * width, HEIGHT - BOTTOM
    middle, head = _y(bar.kept, top), _y(bar.kept + bar.removed, top)
    return Markup(
        '<g><title>{}</title><rect class="catch" x="{:.1f}" y="{}" width="{:.1f}" height="{}"/>'
        '<rect class="kept" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>'
        '<rect class="removed" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/></g>'
    ).format(
        *(bar.title, x, TOP, width, foot - TOP),
        *(x + 1, middle, width - 2, foot - middle),
        *(x + 1, head, width - 2, middle - head),
    )


def _tick(x: float, text: str) -> Markup:
    return Markup('<text class="axis" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
        x, HEIGHT - BOTTOM + 16, text
    )


def _mark(x: float, text: str) -> Markup:
    return Markup(
        '<line class="mark" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>'
        '<text class="axis marked" x="{:.1f}" y="{}" text-anchor="{}">{}</text>'
    ).format(x, x, TOP - 4, HEIGHT - BOTTOM, x, TOP - 7, "end" if x > WIDTH * 0.8 else "middle", text)


def span(start: float, end: float, kind: str) -> Markup:
    """A bar in a table cell from `start` to `end`, both shares of the cell's width; `kind` is its class."""
    low, high = (min(max(value, 0.0), 1.0) for value in (start, end))
    # A sliver is seen where there is something at all.
    width = max(high - low, 0.003) if end > start else 0.0
    return _cell(
        Markup('<rect class="{}" x="{:.2f}" y="0" width="{:.2f}" height="10"/>').format(
            kind, 100 * min(low, 1 - width), 100 * width
        )
    )


def stack(parts: Sequence[tuple[float, str]], whole: float) -> Markup:
    """Bars one behind the other, (value, class), in a cell whose width is `whole`."""
    drawn, x = [], 0.0
    for value, kind in parts:
        width = 100 * min(value / whole, 1.0) if whole > 0 else 0.0
        drawn.append(
            Markup('<rect class="{}" x="{:.2f}" y="0" width="{:.2f}" height="10"/>').format(kind, x, width)
        )
        x += width
    return _cell(Markup("").join(drawn))


def _cell(inner: Markup) -> Markup:
    return Markup(
        '<svg class="cellbar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" x="0" y="0" width="100" height="10"/>{}</svg>'
    ).format(inner)
