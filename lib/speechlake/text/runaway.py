"""Signs that Whisper ran away: loops, text that compresses too well, decoding that hit its limit.

Facts about one text, in plain Python, for use between two decodings; `speechlake.text.flags` says the same
of stored texts as Spark expressions, and a test holds both together. What counts as a word or a letter here
is cruder than in the normalisers of `speechlake.text`: these are tests for nonsense, not measures.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from speechlake.text.phrases import PHRASES
from speechlake.text.scripts import COMPRESSION_LIMITS, DEFAULT_COMPRESSION_LIMIT, DENSE, SPARSE

# Longest unit whose repetitions are counted, in words, and in characters of scripts without spaces.
COUNTED_WORDS = 12
COUNTED_CHARS = 24

# Longest unit that is looked for, about half of what is said in 30 s: bounded, so that a long text takes time
# in proportion to its length.
_LONGEST_WORDS = 40
_LONGEST_CHARS = 160

# A unit of so many words, said so many times in a row, is a loop. Four words twice is the prototype's rule
# (facts of the design); the others cover as much. People do say a word three or four times.
_WORDS_SAID = ((4, 2), (3, 3), (2, 4), (1, 5))
# The same in characters, at two per word of Chinese and Japanese and four of Thai and its like. A single
# character may be said seven times: 对对对对 is how people agree, 5555 how they laugh in Thai.
_DENSE_SAID = ((8, 2), (6, 3), (4, 4), (2, 5), (1, 8))
_SPARSE_SAID = ((16, 2), (11, 3), (8, 4), (3, 5), (1, 8))

APOSTROPHES = "'’ʼ"


def words_loop() -> str:
    """Pattern, for `re` and Java, of a loop in words that single spaces part."""
    loops = "|".join(
        f"([^ ]++(?: [^ ]++){{{least - 1},{most - 1}}})(?: \\{i}){{{times - 1}}}"
        for i, (least, most, times) in enumerate(_units(_WORDS_SAID, _LONGEST_WORDS), start=1)
    )
    return f"(?<![^ ])(?:{loops})(?![^ ])"


def fewest_words_again() -> int:
    """How many words at least a loop in words says that were said before."""
    return min(least * (times - 1) for least, times in _WORDS_SAID)


def chars_loop(*, dense: bool) -> str:
    """Pattern, for `re` and Java, of a loop in characters without spaces."""
    rules = _units(_DENSE_SAID if dense else _SPARSE_SAID, _LONGEST_CHARS)
    return "|".join(
        f"(.{{{least},{most}}})\\{i}{{{times - 1}}}" for i, (least, most, times) in enumerate(rules, start=1)
    )


def _units(said: Sequence[tuple[int, int]], longest: int) -> list[tuple[int, int, int]]:
    """(shortest, longest, times): units as long as those of the rule before are its business already."""
    ends = [longest, *(least - 1 for least, _ in said[:-1])]
    return [(least, most, times) for (least, times), most in zip(said, ends, strict=True)]


def said_again(unit: int, *, words: bool) -> str:
    """Pattern, for `re` and Java, of `unit` words (each with a space after it) or characters, said again at once."""
    return f"(?<![^ ])((?:[^ ]++ ){{{unit}}})\\1+" if words else f"(.{{{unit}}})\\1+"


def is_runaway(text: str, compression_ratio: float | None, truncated: bool) -> bool:
    """Whether a text should not be believed as it is: cut at the token limit, too compressible, or a loop.

    `compression_ratio` is Whisper's own (bytes of UTF-8 over their zlib), the highest of the segments; null
    where there are none. Takes tens of microseconds; never raises.
    """
    if truncated or (compression_ratio is not None and compression_ratio > compression_limit(text)):
        return True
    return has_loop(text)


def compression_limit(text: str) -> float:
    """The ratio above which text in the script of most of its letters compresses too well."""
    letters = letters_of(text)
    for limit, script in COMPRESSION_LIMITS.items():
        if _mostly(letters, script):
            return limit
    return DEFAULT_COMPRESSION_LIMIT


def has_loop(text: str) -> bool:
    """Whether words, or characters in scripts without spaces, are said again and again."""
    plain = plain_of(text)
    letters = plain.replace(" ", "")
    if _mostly(letters, SPARSE):
        return _pattern(chars_loop(dense=False)).search(letters) is not None
    if _mostly(letters, SPARSE + DENSE):
        return _pattern(chars_loop(dense=True)).search(letters) is not None
    return _pattern(words_loop()).search(plain) is not None


@lru_cache(maxsize=1)
def known_phrases() -> frozenset[str]:
    """The letters of every phrase."""
    return frozenset(letters_of(phrase) for phrases in PHRASES.values() for phrase in phrases)


def plain_of(text: str) -> str:
    """Letters, marks and digits in lower case, single spaces for all else, nothing for an apostrophe."""
    return " ".join(text.lower().translate(_PLAIN).split())


def letters_of(text: str) -> str:
    """`plain_of` without spaces."""
    return plain_of(text).replace(" ", "")


class _Plain(dict[int, str]):
    """Code point to what stands for it; filled as characters are met, so bounded by Unicode itself."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        kept = char if unicodedata.category(char)[0] in "LMN" and char not in APOSTROPHES else " "
        self[code] = "" if char in APOSTROPHES else kept
        return self[code]


_PLAIN = _Plain()


@lru_cache(maxsize=64)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _mostly(letters: str, script: str) -> bool:
    """Whether more than half of the letters are of a script."""
    return 2 * len(_pattern(f"[{script}]").findall(letters)) > len(letters)
