"""What each character of a transcript becomes before words are compared, by its script.

Whisper's own normaliser for languages other than English turns every combining mark into a space. That
is right for a stress mark and wrong for most scripts of Asia, where marks are the vowels: हिन्दी becomes
ह न द. Here a mark goes only where writers leave it out at will.

| script | marks |
|---|---|
| Indic (Mc and Mn), Thai, Lao, Khmer, Myanmar, Tibetan, Sinhala, Thaana | kept: vowels, tones, viramas |
| Arabic | short vowels, tanwin, shadda, sukun, Koranic signs and tatweel go; hamza and madda stay |
| Hebrew | niqqud and cantillation go (in Yiddish too, where they are written as often as not) |
| Latin, Greek | kept, composed: é, ñ, ẹ́ |
| Cyrillic | й, ё, ѓ stay; acute and grave on other letters (stress for learners) go |
| Japanese | dakuten kept, composed |
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cache

APOSTROPHE = "'"

# Patterns and what each match becomes, in order.
Respelling = tuple[tuple[re.Pattern[str], str], ...]

# Quotes, primes and accents that stand for an apostrophe, and modifier letters that look like one (Ukrainian
# м’ята, Uzbek oʻzbek, Hebrew geresh): writers and models use them for each other.
_APOSTROPHES = "'’‘‛ʼʻʹʽˈ′‵`´ʾʿ＇׳"

# Short vowels and signs that Arabic and Hebrew are read without.
_OPTIONAL_MARKS = re.compile(
    "[\u0610-\u061a\u064b-\u0652\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u08d3-\u08ff"
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7]"
)
_TATWEEL = "\u0640"
_ZERO_WIDTH_SPACE = "\u200b"  # a word boundary in Khmer, Thai, Lao and Myanmar; other format characters join
_GRAPHEME_JOINER = "\u034f"
_VARIATION_SELECTORS = re.compile("[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")

# Two ways to type one letter that Unicode does not unify.
# Chillus of Malayalam and khanda ta of Bengali, as letter + virama + joiner:
_JOINED: Mapping[str, str] = {
    "ണ്\u200d": "ൺ", "ന്\u200d": "ൻ", "ര്\u200d": "ർ", "ല്\u200d": "ൽ", "ള്\u200d": "ൾ", "ക്\u200d": "ൿ",
    "ত্\u200d": "ৎ",
}  # fmt: skip
# Thai and Lao AM, which NFKC takes apart, with or without a tone mark inside; SARA E typed twice for SARA AE;
# the dot that casefold leaves of İ outside Turkic languages.
_RESPELLED: Respelling = (
    (re.compile("\u0e4d([\u0e48-\u0e4b]*)\u0e32"), "\\1\u0e33"),
    (re.compile("\u0ecd([\u0ec8-\u0ecb]*)\u0eb2"), "\\1\u0eb3"),
    (re.compile("เเ"), "แ"),
    (re.compile("i\u0307+"), "i"),
)

_MARKED_CYRILLIC = re.compile("([\u0400-\u052f])([\u0300-\u036f]+)")
_STRESS = str.maketrans("", "", "\u0300\u0301")

# Gershayim, or a quote, inside a Hebrew acronym (צה״ל): part of the word, not a break.
_HEBREW_ACRONYM = re.compile('(?<=[א-ת])[״"](?=[א-ת])')


# More marks on one letter than this no writing has: UAX #15, Stream-Safe Text Format.
_MARKS = 30
# No letters, or half-width dakuten, which are: told fast, and of hardly any text.
_PERHAPS_ENDLESS = re.compile(f"[\\W\uff9e\uff9f]{{{_MARKS + 1}}}")
# Beyond lie ideographs, private letters and tags: none is a mark that is moved.
_LAST_MARK = 0x1FFFF


def stream_safe(text: str) -> str:
    """`text` with at most 30 marks in a run: to sort a longer one, `unicodedata.normalize` takes quadratic time."""
    return _endless_marks().sub(r"\1", text) if _PERHAPS_ENDLESS.search(text) else text


@cache
def _endless_marks() -> re.Pattern[str]:
    """Marks that normalising may move, in runs too long; built once per process, from 130,000 characters."""
    marks = filter(_is_moved, map(chr, range(0x300, _LAST_MARK + 1)))
    one = f"[{''.join(marks)}]"
    return re.compile(f"({one}{{{_MARKS}}}){one}+")


def _is_moved(char: str) -> bool:
    """True for a mark, and for what becomes one: a half-width dakuten, vowel signs of Tibetan."""
    return unicodedata.combining(unicodedata.normalize("NFKD", char)[0]) != 0


class _Kept(dict[int, str]):
    """Code point to what stands for it; filled as characters are met, so bounded by Unicode itself."""

    def __missing__(self, code: int) -> str:
        kept = self[code] = _kept(chr(code))
        return kept


def _kept(char: str) -> str:
    """The character, a digit 0-9 for any decimal digit, a space for what separates, or nothing."""
    if char in _APOSTROPHES:
        return APOSTROPHE
    if (
        char in (_TATWEEL, _GRAPHEME_JOINER)
        or _OPTIONAL_MARKS.match(char)
        or _VARIATION_SELECTORS.match(char)
    ):
        return ""
    category = unicodedata.category(char)
    if category == "Nd":
        return str(unicodedata.decimal(char))
    if category in ("Cf", "Me"):
        return " " if char == _ZERO_WIDTH_SPACE else ""
    return " " if category[0] in "CPSZ" else char


_KEPT = _Kept()


def cleaned(text: str, apostrophe: str = APOSTROPHE, letters: Respelling = ()) -> str:
    """Letters, marks that spell, ASCII digits and single spaces, composed; takes casefolded NFKC text.

    `apostrophe` is what one inside a word becomes; `letters` are a language's own respellings.
    """
    text = _HEBREW_ACRONYM.sub("", text)
    for joined, letter in _JOINED.items():
        text = text.replace(joined, letter)
    # What joined two runs of marks may be gone now.
    text = stream_safe(text.translate(_KEPT).replace(APOSTROPHE, apostrophe))
    text = unicodedata.normalize("NFC", _respelled(text, _RESPELLED))
    text = _respelled(_MARKED_CYRILLIC.sub(_without_stress, text), letters)
    return " ".join(filter(None, map(_bare_word, unicodedata.normalize("NFC", text).split())))


def _respelled(text: str, spellings: Respelling) -> str:
    for pattern, spelled in spellings:
        text = pattern.sub(spelled, text)
    return text


def _without_stress(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFC", match[1] + match[2].translate(_STRESS))


def _bare_word(word: str) -> str:
    """A word without quotes around it, nor marks before its first letter (they belong to nothing)."""
    start = 0
    while start < len(word) and (word[start] == APOSTROPHE or unicodedata.category(word[start])[0] == "M"):
        start += 1
    return word[start:].rstrip(APOSTROPHE)
