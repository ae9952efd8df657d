"""Foreign text on a page: escaped, isolated, and with nothing in it that cannot be seen.

Bidi controls reorder what a reader sees (Boucher & Anderson 2023, "Trojan Source"), zero-width characters
make two texts look alike, and both are defects of a transcript that an eye should find: they are shown as
⟨U+202E⟩. Escaping is MarkupSafe's; no library was found that makes them visible.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from markupsafe import Markup, escape

# Controls, formats, surrogates, private and unassigned ones, separators of lines. Spaces of other widths are
# left: they are seen as what they are.
UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Letters, marks and symbols without a shape: grapheme joiner, Hangul fillers, inherent vowels of Khmer, blank
# Braille, variation selectors.
UNSEEN = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
JOINERS = frozenset("\u200c\u200d")
# Arabic to Mongolian, the scripts of India between them: there a joiner behind a letter is spelling.
JOINING_SCRIPTS = range(0x0600, 0x1900)
# Tibetan and Vietnamese stack fewer marks on a letter; what stacks more hides the lines above.
MAX_MARKS = 6
MAX_CHARS = 2_000

_MARK_CATEGORIES = frozenset({"Mn", "Me"})


def visible(text: str, *, lines: bool = False) -> str:
    """`text` with every character that cannot be seen as ⟨U+XXXX⟩; `lines` leaves line feeds and tabs alone."""
    # Sounds and pictures are megabytes of such characters.
    if text.isascii() and text.isprintable():
        return text
    return "".join(_code_point(char) if unseen else char for char, unseen in _told(text, lines))


def foreign(text: object, *, lines: bool = False, at_most: int = MAX_CHARS) -> Markup:
    """`text` as HTML: escaped, isolated from the direction of what is around it, unseen characters marked.

    Of more than `at_most` characters the first are shown and the rest is counted. Null is a dash.
    """
    if text is None:
        return Markup('<span class="none">&ndash;</span>')
    whole = str(text)
    shown = Markup("").join(
        Markup('<span class="cp">{}</span>').format(_code_point(char)) if unseen else escape(char)
        for char, unseen in _told(whole[:at_most], lines)
    )
    rest = len(whole) - at_most
    more = Markup(' <span class="more">… {:,} more characters</span>').format(rest) if rest > 0 else Markup()
    return Markup("<bdi>{}</bdi>{}").format(shown, more)


def _code_point(char: str) -> str:
    return f"⟨U+{ord(char):04X}⟩"


def _told(text: str, lines: bool) -> Iterator[tuple[str, bool]]:
    """Each character, and whether it has to be spelled out to be seen."""
    before, marks = "", 0
    for char in text:
        category = unicodedata.category(char)
        marks = marks + 1 if category in _MARK_CATEGORIES else 0
        unseen = category in UNSEEN_CATEGORIES or char in UNSEEN or marks > MAX_MARKS
        spelled = (lines and char in "\n\t") or (char in JOINERS and _takes_joiners(before))
        yield char, unseen and not spelled
        before = char


def _takes_joiners(char: str) -> bool:
    return bool(char) and ord(char) in JOINING_SCRIPTS and unicodedata.category(char)[0] in "LM"
