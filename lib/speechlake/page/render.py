"""Templates filled with data: escaping is on, a name that is missing is an error, nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from speechlake.errors import UsageError
from speechlake.outputs import whole_file
from speechlake.page.differences import difference_html
from speechlake.page.foreign import foreign, visible

TEMPLATES = "templates"


def rendered(template: str, **said: Any) -> str:
    """The template of that name in `lib/speechlake/page/templates`, filled; every value is escaped."""
    return _environment().get_template(template).render(**said)


def page_path(said: str) -> Path:
    """The file of a `--html`; UsageError where its folder is not there, before anything is computed."""
    path = Path(said)
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else "its folder does not exist"
        raise UsageError(f"--html {said}: {what}", hint="Name a file in a folder that exists.")
    return path


def write_page(path: Path, html: str) -> None:
    """Put a page into a file, whole or not at all; UsageError where that cannot be."""
    # Lone surrogates have no UTF-8; `foreign` has spelled out those of texts.
    with whole_file(path, "--html", errors="replace") as out:
        out.write(html)


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_seen,
        loader=jinja2.FunctionLoader(_template),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= FILTERS
    # A style sheet is ours, and its characters are not HTML's.
    made.globals["style"] = lambda name: Markup(_template(name))
    return made


def _seen(value: Any) -> Any:
    """Every text that a template puts out: even one that it forgot to call foreign hides nothing."""
    return visible(value) if type(value) is str else value


def _template(name: str) -> str:
    # By importlib: the library may be imported from a zip.
    return (files("speechlake.page") / TEMPLATES / name).read_text(encoding="utf-8")


# No zeros before the first digit: those make a name of it, such as 007.
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?")


def hours(value: float | None) -> str:
    """Hours with as many digits as say something: 1,234 h, 12.3 h, 0.05 h; shorter ones in minutes or seconds."""
    if value is None:
        return "–"
    if value < 1:
        seconds = value * 3600
        if seconds < 9.95:
            return f"{seconds:.1f} s" if seconds else "0"
        return f"{seconds:.0f} s" if seconds < 59.5 else f"{seconds / 60:.1f} min"
    return f"{value:,.0f} h" if value >= 100 else f"{value:.1f} h" if value >= 10 else f"{value:.2f} h"


def share(value: float | None) -> str:
    """A share as per cent; what is not nothing or all is never shown as that."""
    if value is None:
        return "–"
    if 0 < value < 0.0005:
        return "<0.1 %"
    if 0.9995 <= value < 1:
        return ">99.9 %"
    return f"{100 * value:.0f} %" if value in (0, 1) else f"{100 * value:.1f} %"


def exact(value: object) -> Markup:
    """What a script reads and gives back: escaped, and otherwise as it is, with what cannot be seen.

    Not for what is shown.
    """
    # Of a carriage return a browser makes a line feed.
    return escape(str(value)).replace("\r", Markup("&#13;"))


def count(value: int | None) -> str:
    """A whole number with thousands set apart."""
    return "–" if value is None else f"{value:,}"


def number(value: str | None, threshold: str | None = None) -> str | None:
    """What a rule saw: a number with four digits that say something, or as many more as tell it from a limit that
    `threshold` names; any other text as it is."""
    if value is None or not _NUMBER.fullmatch(value):
        return value
    limits = {float(limit) for limit in _NUMBER.findall(threshold or "")} - {float(value)}
    written = (f"{float(value):.{digits}g}" for digits in range(4, 17))
    return next((text for text in written if float(text) not in limits), value)


def asked(threshold: str | None) -> str | None:
    """What a rule asks, with the signs of print."""
    return threshold and threshold.replace("<= ", "≤ ").replace(">= ", "≥ ").replace(" .. ", " – ")


FILTERS: Mapping[str, Callable[..., Any]] = {
    "foreign": foreign,
    "visible": visible,
    "difference": difference_html,
    "hours": hours,
    "share": share,
    "count": count,
    "exact": exact,
    "number": number,
    "asked": asked,
}
