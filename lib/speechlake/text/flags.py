"""Flags of hallucination as Spark expressions over stored texts and signals: no audio, no Python per row.

The same answers as `speechlake.text.runaway` gives one text at a time. Regular expressions are Java's, which
has the Unicode of its own version: letters that are younger than it are spaces to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechlake.text.runaway import (
    APOSTROPHES,
    COUNTED_CHARS,
    COUNTED_WORDS,
    chars_loop,
    fewest_words_again,
    known_phrases,
    said_again,
    words_loop,
)
from speechlake.text.scripts import COMPRESSION_LIMITS, DEFAULT_COMPRESSION_LIMIT, DENSE, SPARSE

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import Column


def plain(text: Column) -> Column:
    """Letters, marks and digits in lower case, single spaces for all else, nothing for an apostrophe."""
    from pyspark.sql import functions as F

    joined = F.translate(F.lower(text), APOSTROPHES, "")
    return F.trim(F.regexp_replace(joined, r"[^\p{L}\p{M}\p{N}]+", " "))


def letters(text: Column) -> Column:
    """`plain` without spaces."""
    from pyspark.sql import functions as F

    return F.replace(plain(text), F.lit(" "), F.lit(""))


def repeated_words(text: Column) -> Column:
    """How often the most repeated unit of up to 12 words (24 characters without spaces) is said in a row."""
    from pyspark.sql import functions as F

    def of(said: Column, characters: Column) -> Column:
        by_words = _most_times(F.concat(said, F.lit(" ")), COUNTED_WORDS, words=True)
        by_chars = _most_times(characters, COUNTED_CHARS, words=False)
        spoken = F.when(_mostly(characters, SPARSE + DENSE), by_chars).otherwise(by_words)
        return F.when(characters == "", F.lit(0)).otherwise(spoken).cast("int")

    return _of_plain(text, of)


def known_phrase(text: Column) -> Column:
    """Whether the whole text is one of the phrases that Whisper is known to say in silence."""
    return letters(text).isin(sorted(known_phrases()))


def chars_per_second(text: Column, seconds: Column) -> Column:
    """Letters, marks and digits per second; infinite for text in no time, 0 for no text."""
    from pyspark.sql import functions as F

    count = F.length(letters(text)).cast("double")
    endless = F.when(seconds == 0, F.lit(float("inf")))
    return F.when(count == 0, F.lit(0.0)).otherwise(F.when(seconds > 0, count / seconds).otherwise(endless))


def compression_excess(text: Column, ratio: Column) -> Column:
    """Whisper's compression ratio minus the limit of the text's script: above 0, text compresses too well."""
    return ratio - _of_plain(text, lambda _, characters: _compression_limit(characters))


def _compression_limit(characters: Column) -> Column:
    from pyspark.sql import functions as F

    limits = COMPRESSION_LIMITS.items()
    fitting = [F.when(_mostly(characters, script), F.lit(limit)) for limit, script in limits]
    return F.coalesce(*fitting, F.lit(DEFAULT_COMPRESSION_LIMIT))


def runaway(text: Column, ratio: Column, truncated: Column) -> Column:
    """Whether the text should not be believed as it is, as `is_runaway` says; null for no text."""
    from pyspark.sql import functions as F

    def of(said: Column, characters: Column) -> Column:
        squeezed = F.coalesce(ratio > _compression_limit(characters), F.lit(False))
        return F.coalesce(truncated, F.lit(False)) | squeezed | _has_loop(said, characters)

    suspect = F.coalesce(truncated, F.lit(False)) | F.coalesce(
        ratio > DEFAULT_COMPRESSION_LIMIT, F.lit(False)
    )
    # Most texts in ASCII are seen to be fine without a regular expression, in a third of the time.
    return F.when(~suspect & _says_little_again(text), F.lit(False)).otherwise(_of_plain(text, of))


def bound(value: Column, body: Callable[[Column], Column]) -> Column:
    """`body` of a value that it may name several times. Transforming an array of one binds the value to a name: it
    would be computed again each time else, and by a lambda inside for every item."""
    from pyspark.sql import functions as F

    return F.transform(F.array(value), body)[0]


def is_ascii(text: Column) -> Column:
    """Whether the text is in ASCII: what is asked of it then takes no regular expression."""
    from pyspark.sql import functions as F

    return F.octet_length(text) == F.length(text)


def ascii_words(lowered: Column) -> Column:
    """Array of the words of `plain`, of a text that `is_ascii` and in lower case, in a third of the time."""
    from pyspark.sql import functions as F

    apart = "".join(chr(n) for n in range(128) if not chr(n).isalnum() and chr(n) not in APOSTROPHES)
    return F.array_remove(F.split(F.translate(lowered, apart + APOSTROPHES, " " * len(apart)), " "), "")


def _says_little_again(text: Column) -> Column:
    """Whether a text in ASCII says too few words again to be a loop; false for others, null for no text."""
    from pyspark.sql import functions as F

    words = ascii_words(F.lower(text))
    again = F.size(words) - F.size(F.array_distinct(words))
    return is_ascii(text) & (again < fewest_words_again())


def _has_loop(said: Column, characters: Column) -> Column:
    from pyspark.sql import functions as F

    # The pattern tries forty lengths at each word; most texts say too few words again for any of them.
    words = F.split(said, " ")
    said_again_words = F.size(words) - F.size(F.array_distinct(words))
    return (
        F.when(_mostly(characters, SPARSE), characters.rlike(chars_loop(dense=False)))
        .when(_mostly(characters, SPARSE + DENSE), characters.rlike(chars_loop(dense=True)))
        .otherwise((said_again_words >= fewest_words_again()) & said.rlike(words_loop()))
    )


def _of_plain(text: Column, body: Callable[[Column, Column], Column]) -> Column:
    """`body(plain, letters)`, which are computed once however often it names them; null for no text."""
    from pyspark.sql import functions as F

    done = bound(
        plain(text),
        lambda said: bound(F.replace(said, F.lit(" "), F.lit("")), lambda characters: body(said, characters)),
    )
    return F.when(text.isNotNull(), done)


def _mostly(characters: Column, script: str) -> Column:
    """Whether more than half is of a script, none of which is written in ASCII: that is seen at once."""
    from pyspark.sql import functions as F

    inside = F.length(F.regexp_replace(characters, f"[^{script}]+", ""))
    return ~is_ascii(characters) & (2 * inside > F.length(characters))


def _most_times(said: Column, longest: int, *, words: bool) -> Column:
    """The highest number of times that a unit of 1 to `longest` words or characters is said in a row; 1 for none."""
    from pyspark.sql import functions as F

    found = F.array(*[
        F.struct(
            F.regexp_extract_all(said, F.lit(said_again(n, words=words)), F.lit(0)).alias("runs"),
            F.lit(n).alias("unit"),
        )
        for n in range(1, longest + 1)
    ])  # fmt: skip

    def length(run: Column) -> Column:
        return F.length(run) - F.length(F.replace(run, F.lit(" "), F.lit(""))) if words else F.length(run)

    most = F.transform(found, lambda each: F.array_max(F.transform(each["runs"], length)) / each["unit"])
    return F.floor(F.coalesce(F.array_max(most), F.lit(1.0)))
