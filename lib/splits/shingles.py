"""What makes two texts the same for leak control: equal, or with eight words in a row in common.

Column expressions alone, so that a build needs no Python per row. Spark has no Unicode normalisation: letters
are lowered, everything but letters, marks and digits parts words, apostrophes vanish. That is coarser than the
normalisers of `speechlake.text`, and it need not be finer: it decides what to leave out, never what is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.text.flags import plain

if TYPE_CHECKING:
    from pyspark.sql import Column

# Short enough to survive an edit, too long to be chance: the least that GPT-3's search for contamination took
# (8 to 13 words: Brown et al. 2020, appendix C).
WORDS = 8
# In scripts without spaces two characters stand for a word.
CHARACTERS_PER_WORD = 2

# Java's names of the scripts whose languages count characters (`CHARACTER_LANGUAGES` of speechlake.text).
_UNSPACED = r"[\p{IsHan}\p{IsHiragana}\p{IsKatakana}\p{IsThai}\p{IsLao}\p{IsKhmer}\p{IsMyanmar}\p{IsTibetan}]"


def text_keys(text: Column, min_words: int) -> Column:
    """Array of 64-bit hashes, one per eight words in a row; texts that share one share a stretch of speech.

    A text of fewer words has one hash, of all of it; of fewer than `min_words`, none. Null has none. In
    scripts without spaces characters are counted, two for a word. Two different stretches have the same hash
    once in 10^19 pairs.
    """
    # Transforming an array of one binds a value to a name: a lambda would compute it again for every window.
    return F.transform(F.array(plain(text)), lambda said: _keys(said, min_words))[0]


def _keys(said: Column, min_words: int) -> Column:
    unspaced = F.coalesce(said.rlike(_UNSPACED), F.lit(False))
    characters = F.regexp_extract_all(said, F.lit(r"\S"), F.lit(0))
    units = F.when(unspaced, characters).otherwise(F.split(said, " "))
    hashes = F.array(F.transform(units, lambda unit: F.xxhash64(unit)))
    per_word = CHARACTERS_PER_WORD
    return F.when(
        unspaced, F.transform(hashes, lambda h: _windows(h, WORDS * per_word, min_words * per_word))[0]
    ).otherwise(F.transform(hashes, lambda h: _windows(h, WORDS, min_words))[0])


def _windows(units: Column, width: int, least: int) -> Column:
    """Hashes of all windows of `width` units, or of all units where there are fewer."""
    starts = F.sequence(F.lit(1), F.size(units) - width + 1)
    windows = F.transform(starts, lambda start: F.xxhash64(F.slice(units, start, width)))
    whole = F.array(F.xxhash64(units))
    none = F.array().cast("array<bigint>")
    return (
        F.when(units.isNull() | (F.size(units) < least), none)
        .when(F.size(units) <= width, whole)
        .otherwise(F.array_distinct(windows))
    )
