"""Two texts of one clip, word over word, with what differs marked.

Words are shown as written and compared as scores compare them, by the normaliser of the language, so that
case and punctuation make no difference. In languages without spaces, characters take the place of words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from speechlake.page.foreign import foreign, visible
from speechlake.text.alignment import edit_steps
from speechlake.text.normalisers import normaliser_for
from speechlake.text.scoring import error_unit

# A minute of speech has about 1,000 characters; longer texts are cut before they are compared, and say so.
MAX_CHARS = 2_000

SAME, SUBSTITUTED, DELETED, INSERTED = "same", "substituted", "deleted", "inserted"


@dataclass(frozen=True)
class Pair:
    """Words of the reference over words of the hypothesis, as written; null where the other has none."""

    said: str | None
    heard: str | None
    change: str


@dataclass
class _Word:
    """A word as written, and what is compared of it: one unit, or several where a normaliser parts it."""

    text: str
    units: list[str]


def differences(reference: str, hypothesis: str, language: str | None) -> list[Pair]:
    """Both texts as aligned pairs, in order; `language` is a canonical tag or null.

    Texts that are the same once normalised whole are the same in every word, as numbers in words and in digits
    are; where something else differs, such a number shows as different.
    """
    normalise = normaliser_for(language).normalise
    said, heard = _words(reference, language), _words(hypothesis, language)
    alike = normalise(reference) == normalise(hypothesis)
    gap = _gap(language)
    return [_pair(said[i:k], heard[j:m], same or alike, gap) for i, k, j, m, same in _blocks(said, heard)]


def difference_html(reference: str | None, hypothesis: str | None, language: str | None) -> Markup:
    """Both texts as HTML, the reference above, the hypothesis below, cut at `MAX_CHARS` each.

    `class="diff"` holds a `<span class="pair CHANGE">` per word, with the upper word in `<b>` and the lower in
    `<i>`; what is alike stands there once, in `<b>`,
    as the reference writes it, with the other's spelling as its title.
    """
    upper, lower = reference or "", hypothesis or ""
    pairs = differences(upper[:MAX_CHARS], lower[:MAX_CHARS], language)
    cut = max(len(upper), len(lower)) > MAX_CHARS
    note = Markup(' <span class="more">… of each, the first {:,} characters</span>').format(MAX_CHARS)
    return Markup('<span class="diff" dir="auto">{}</span>{}').format(
        Markup(_gap(language)).join(_pair_html(pair) for pair in pairs), note if cut else Markup()
    )


def _pair_html(pair: Pair) -> Markup:
    if pair.change == SAME:
        words, other = pair.said or pair.heard, pair.heard or ""
        title = Markup(' title="{}"').format(visible(other)) if other != words else Markup()
        return Markup('<span class="pair same"{}><b>{}</b></span>').format(title, foreign(words))
    upper, lower = (Markup("&middot;") if text is None else foreign(text) for text in (pair.said, pair.heard))
    return Markup('<span class="pair {}"><b>{}</b><i>{}</i></span>').format(pair.change, upper, lower)


def _words(text: str, language: str | None) -> list[_Word]:
    """The words of a text; one of which nothing is compared (a dash set alone) belongs to the one before."""
    normalise, words, gap = normaliser_for(language).normalise, list[_Word](), _gap(language)
    for written in _parted(text) if gap else _characters(text):
        units = normalise(written).split()
        if words and (not units or not words[-1].units):
            words[-1] = _Word(f"{words[-1].text}{gap}{written}", words[-1].units or units)
        else:
            words.append(_Word(written, units))
    return words


def _gap(language: str | None) -> str:
    """What stands between two words, or characters, of a language."""
    return " " if error_unit(language) == "word" else ""


def _parted(text: str) -> list[str]:
    """Parts between spaces. What else parts lines is not to be seen, and stays, so that a page can tell of it."""
    return [part for part in re.split(r"[ \t\r\n]+", text) if part]


def _characters(text: str) -> list[str]:
    """Letters with their marks, without spaces."""
    found: list[str] = []
    for char in "".join(_parted(text)):
        if found and unicodedata.category(char)[0] == "M":
            found[-1] += char
        else:
            found.append(char)
    return found


def _blocks(said: list[_Word], heard: list[_Word]) -> Iterator[tuple[int, int, int, int, bool]]:
    """Ranges of words that lie over one another (first and end in each text), and whether all of it is alike.

    A word of several units, such as "don't", takes all words that its units lie over into one block.
    """
    left = [(word, unit) for word, each in enumerate(said) for unit in each.units or [""]]
    right = [(word, unit) for word, each in enumerate(heard) for unit in each.units or [""]]
    steps = edit_steps([unit for _, unit in left], [unit for _, unit in right])
    over = [
        (None if a is None else left[a][0], None if b is None else right[b][0], _alike(a, b, left, right))
        for a, b in steps
    ]
    begun = (0, 0)
    for first, last in _whole_words([word for word, _, _ in over], [word for _, word, _ in over]):
        here = over[first:last]
        end = (_end(begun[0], [a for a, _, _ in here]), _end(begun[1], [b for _, b, _ in here]))
        yield begun[0], end[0], begun[1], end[1], all(same for _, _, same in here)
        begun = end


def _alike(a: int | None, b: int | None, left: list[tuple[int, str]], right: list[tuple[int, str]]) -> bool:
    return a is not None and b is not None and left[a][1] == right[b][1]


def _end(begun: int, words: list[int | None]) -> int:
    """One behind the last word, or where it began when there is none."""
    return max((word + 1 for word in words if word is not None), default=begun)


def _whole_words(*texts: list[int | None]) -> Iterator[tuple[int, int]]:
    """Runs of steps, as short as can be, that part no word of any text."""
    # The step at which each word of each text is touched last.
    last = [{word: step for step, word in enumerate(words) if word is not None} for words in texts]
    first = reach = 0
    for step in range(len(texts[0])):
        touched = [words[step] for words in texts]
        reach = max([reach, *(last[i][word] for i, word in enumerate(touched) if word is not None)])
        if reach <= step:
            yield first, step + 1
            first = step + 1


def _pair(said: list[_Word], heard: list[_Word], same: bool, gap: str) -> Pair:
    upper, lower = (gap.join(word.text for word in words) or None for words in (said, heard))
    change = SAME if same else INSERTED if upper is None else DELETED if lower is None else SUBSTITUTED
    return Pair(upper, lower, change)
