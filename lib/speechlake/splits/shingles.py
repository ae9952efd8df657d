"""What makes two texts the same for leak control: equal, or with eight words in a row in common.

Column expressions alone, so that a build needs no Python per row. Spark has no Unicode normalisation: letters
are lowered and lose their accents, however these are written, wide and narrow letters are one, everything but
letters, marks and digits parts words, apostrophes vanish. Coarse, for it decides what to leave out, never what is
written.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.text.flags import ascii_words, bound, is_ascii, plain

if TYPE_CHECKING:
    from pyspark.sql import Column

# Short enough to survive an edit, too long to be chance: the least that GPT-3's search for contamination took
# (8 to 13 words: Brown et al. 2020, appendix C).
WORDS = 8
# In scripts without spaces two characters stand for a word.
CHARACTERS_PER_WORD = 2

# Java's names of the scripts whose languages count characters (`CHARACTER_LANGUAGES` of speechlake.text).
_SCRIPTS = r"\p{IsHan}\p{IsHiragana}\p{IsKatakana}\p{IsThai}\p{IsLao}\p{IsKhmer}\p{IsMyanmar}\p{IsTibetan}"
_UNSPACED = f"[{_SCRIPTS}]"
_SPACED = rf"[\p{{L}}&&[^{_SCRIPTS}]]"

# What is written or not for the same words: accents that stand apart from their letter ("Combining Diacritical Marks"),
# points of Hebrew and Arabic vowels, the dash that draws Arabic words out, and what nobody sees (soft hyphens, joiners,
# zero-width spaces, marks of direction). Signs that spell words lie elsewhere.
_UNSTEADY = r"[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed\p{Cf}]"


def text_keys(text: Column, min_words: int) -> Column:
    """Array of 64-bit hashes, one per eight words in a row; texts that share one share a stretch of speech.

    A text of fewer words has one hash, of all of it; of fewer than `min_words`, none. Null has none. In
    scripts without spaces characters are counted, two for a word; where they stand beside others, a text has the
    keys of both. Two different stretches have the same hash once in 10^19 pairs.
    """
    folded = F.when(is_ascii(text), F.lower(text)).otherwise(_folded(text))
    return bound(folded, lambda said: _keys(said, min_words))


def _folded(text: Column) -> Column:
    """The text in lower case, composed letters as their base: one key for NFC, NFD and full-width spelling, with vowel
    marks and without.

    Korean syllables that are spelled in parts stay apart from whole ones.
    """
    composed, base = _composed()
    return F.regexp_replace(F.translate(F.lower(text), composed, base), _UNSTEADY, "")


@lru_cache(maxsize=1)
def _composed() -> tuple[str, str]:
    """Lower-case letters that are one base letter and accents by Unicode's decomposition, and their bases."""
    found: dict[str, str] = {}
    for char in map(chr, range(0x80, 0x10000)):
        parts = unicodedata.normalize("NFKD", char)
        bare = "".join(part for part in parts if not "\u0300" <= part <= "\u036f")
        if char == char.lower() and len(bare) == 1 and bare != char and bare.isalnum():
            found[char] = bare.lower()
    return "".join(found), "".join(found.values())


def _keys(folded: Column, min_words: int) -> Column:
    """Keys of a folded text: what is in ASCII by then takes no regular expression, a third to a fifth of the time."""
    words = bound(ascii_words(folded), lambda words: _windows(words, WORDS, min_words))
    others = bound(plain(folded), lambda said: _keys_of_plain(said, min_words))
    return F.when(is_ascii(folded), words).otherwise(others)


def _keys_of_plain(said: Column, min_words: int) -> Column:
    words = bound(F.array_remove(F.split(said, " "), ""), lambda words: _windows(words, WORDS, min_words))
    per_word = CHARACTERS_PER_WORD
    characters = bound(
        F.regexp_extract_all(said, F.lit(r"\S"), F.lit(0)),
        lambda units: _windows(units, WORDS * per_word, min_words * per_word),
    )
    unspaced = F.coalesce(said.rlike(_UNSPACED), F.lit(False))
    beside = F.when(said.rlike(_SPACED), words).otherwise(_none())
    return F.when(unspaced, F.concat(characters, beside)).otherwise(words)


def _none() -> Column:
    return F.array().cast("array<bigint>")


def _windows(units: Column, width: int, least: int) -> Column:
    """Hashes of all windows of `width` units, or of all units where there are fewer; none where `least` are not there."""
    starts = F.sequence(F.lit(1), F.size(units) - width + 1)
    windows = F.transform(starts, lambda start: F.xxhash64(F.slice(units, start, width)))
    whole = F.array(F.xxhash64(units))
    return (
        F.when(units.isNull() | (F.size(units) < least), _none())
        .when(F.size(units) <= width, whole)
        .otherwise(F.array_distinct(windows))
    )
