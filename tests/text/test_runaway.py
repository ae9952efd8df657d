"""Signs that Whisper ran away: each text with what Python says of it, and the same of Spark."""

from __future__ import annotations

import re
import zlib

import pytest

from speechlake.text.runaway import (
    COUNTED_CHARS,
    COUNTED_WORDS,
    compression_limit,
    has_loop,
    is_runaway,
    known_phrases,
    letters_of,
    plain_of,
    said_again,
)
from speechlake.text.scripts import DENSE, SPARSE

ENGLISH = "The quick brown fox jumps over the lazy dog, and then it goes to sleep under the old oak tree."
GERMAN = "Der Zug nach München fährt heute leider zehn Minuten später von Gleis sieben ab."
RUSSIAN = "Завтра утром мы поедем на дачу, если не будет дождя, и вернёмся только в воскресенье вечером."
HINDI = "आज सुबह मैं बाज़ार गया था और वहाँ से ताज़ी सब्ज़ियाँ, फल और थोड़ा सा दूध लेकर घर वापस आया।"
TAMIL = "நேற்று மாலை நாங்கள் கடற்கரைக்குச் சென்று நண்பர்களுடன் விளையாடிவிட்டு இரவு வீட்டுக்குத் திரும்பினோம்."
CHINESE = "昨天晚上我们去海边散步，看到很多人在那里放风筝，孩子们玩得非常开心。"
JAPANESE = "昨日の夜、友達と一緒に海辺を散歩して、それから小さな店で温かいラーメンを食べました。"
THAI = "เมื่อวานนี้เราไปเดินเล่นที่ชายหาดกับเพื่อนแล้วก็กินข้าวเย็นที่ร้านเล็กๆริมทะเลก่อนกลับบ้าน"
BURMESE = "မနေ့က ကျွန်တော်တို့ သူငယ်ချင်းတွေနဲ့ ပင်လယ်ကမ်းခြေကို သွားခဲ့ပြီး ညနေမှာ အိမ်ပြန်လာခဲ့ကြတယ်။"
HONEST = {
    "English": ENGLISH, "German": GERMAN, "Russian": RUSSIAN, "Hindi": HINDI, "Tamil": TAMIL,
    "Chinese": CHINESE, "Japanese": JAPANESE, "Thai": THAI, "Burmese": BURMESE,
}  # fmt: skip

# text, is it a loop, how often its most repeated unit is said
LOOPS = [
    ("", False, 0),
    (" … ", False, 0),
    ("Yes.", False, 1),
    # a word five times, two words four times, three three times, four twice; one time less is how people talk
    ("No, no, no, no!", False, 4),
    ("No, no, no, no, no!", True, 5),
    ("thank you thank you thank you", False, 3),
    ("Thank you. Thank you. Thank you. Thank you.", True, 4),
    ("I don't know. I don't know.", False, 2),
    ("I don't know. I don’t know. i dont know", True, 3),
    ("so we went home so we went home again", True, 2),
    ("we went home then we went home again", False, 1),
    # a loop in the middle; words that only begin alike
    ("and then he said that it was it was it was it was it was over", True, 5),
    ("a an and any ant", False, 1),
    ("one two one two three one two three one two three one two three", True, 4),
    ("100 100 100 100 100", True, 5),
    # what is said again is longer than what is counted, and than what is looked for
    ("a b c d e f g h i j k l m a b c d e f g h i j k l m", True, 1),
    (" ".join(map(str, [*range(40), *range(40)])), True, 1),
    (" ".join(map(str, [*range(41), *range(41)])), False, 1),
    # Hindi and Tamil put spaces between words
    ("हाँ हाँ हाँ हाँ हाँ", True, 5),
    ("नहीं नहीं मैं नहीं जाऊँगा", False, 2),
    ("சரி சரி சரி சரி சரி", True, 5),
    # scripts without spaces: characters, wherever spaces and commas stand
    ("对对对对对对对", False, 7),
    ("对对对对对对对对", True, 8),
    ("谢谢大家，谢谢大家。", False, 2),
    ("谢谢大家 谢谢大家 谢谢大家 谢谢大家", True, 4),
    ("我知道了，我知道了", False, 2),
    ("ありがとうございました。ありがとうございました。", True, 2),
    ("はいはいはいはい", False, 4),
    ("はいはいはいはいはい", True, 5),
    ("ครับครับครับครับ", False, 4),
    ("ครับครับครับครับครับ", True, 5),
    ("ขอบคุณครับ ขอบคุณครับ", False, 2),
    ("ขอบคุณครับขอบคุณครับขอบคุณครับขอบคุณครับ", True, 4),
    ("5555", False, 1),
    # mixed: most letters decide
    ("OK OK OK OK OK 好", True, 5),
]  # fmt: skip


def repeated_words(text: str) -> int:
    """`flags.repeated_words`, in Python."""
    plain, letters = plain_of(text), letters_of(text)
    if not letters:
        return 0
    if 2 * len(re.findall(f"[{SPARSE + DENSE}]", letters)) > len(letters):
        return max(times(letters, n, words=False) for n in range(1, COUNTED_CHARS + 1))
    return max(times(f"{plain} ", n, words=True) for n in range(1, COUNTED_WORDS + 1))


def times(text: str, unit: int, *, words: bool) -> int:
    """How often a unit of exactly this length is said in a row, at most; 1 where it is not said again."""
    found = re.finditer(said_again(unit, words=words), text)
    lengths = (match[0].count(" ") if words else len(match[0]) for match in found)
    return max(lengths, default=unit) // unit


def is_known_phrase(text: str) -> bool:
    """`flags.known_phrase`, in Python."""
    return letters_of(text) in known_phrases()


@pytest.mark.parametrize(("text", "loop", "times"), LOOPS)
def test_a_loop_is_told_from_how_people_talk(text, loop, times):
    assert (has_loop(text), repeated_words(text)) == (loop, times)


@pytest.mark.parametrize("name", HONEST)
def test_honest_text_of_every_script_is_no_runaway_at_its_own_compression_ratio(name):
    data = HONEST[name].encode()
    assert not is_runaway(HONEST[name], len(data) / len(zlib.compress(data)), truncated=False)


@pytest.mark.parametrize("name", HONEST)
def test_a_sentence_of_any_script_that_is_said_twice_is_a_loop(name):
    assert has_loop(f"{HONEST[name]} {HONEST[name]}")
    assert not has_loop(HONEST[name])


@pytest.mark.parametrize("name", HONEST)
def test_text_that_is_said_six_times_is_a_runaway_by_its_compression_alone(name):
    data = (HONEST[name] * 6).encode()
    assert len(data) / len(zlib.compress(data)) > compression_limit(HONEST[name])


@pytest.mark.parametrize(
    ("text", "limit"),
    [(ENGLISH, 2.4), (CHINESE, 2.4), (RUSSIAN, 2.6), (HINDI, 3.1), (THAI, 3.1), (TAMIL, 3.5), (BURMESE, 3.5), ("", 2.4),
     ("Das Wort நன்றி heißt danke", 2.4), ("გამარჯობა", 3.5), ("안녕하세요", 2.4), ("Καλημέρα", 2.6), ("مرحبا", 2.6)],
)  # fmt: skip
def test_the_limit_of_the_compression_ratio_is_that_of_most_letters(text, limit):
    assert compression_limit(text) == limit


@pytest.mark.parametrize(
    ("ratio", "truncated", "runaway"),
    [(1.2, False, False), (2.4, False, False), (2.41, False, True), (1.2, True, True), (None, False, False)],
)
def test_a_text_is_a_runaway_by_its_ratio_or_by_being_cut(ratio, truncated, runaway):
    assert is_runaway(ENGLISH, ratio, truncated) is runaway


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("Thanks for watching!", True),
        (" thank you for watching. ", True),
        ("Thank you.", False),  # people say it
        ("Thanks for watching my dog.", False),
        ("Sous-titres réalisés par la communauté d'Amara.org", True),
        ("Untertitel im Auftrag des ZDF für funk, 2017", True),
        ("ご視聴ありがとうございました。", True),
        ("Субтитры сделал DimaTorzok", True),
        ("", False),
    ],
)
def test_a_phrase_is_known_when_it_is_the_whole_text(text, known):
    assert is_known_phrase(text) is known


@pytest.mark.parametrize(
    "text", ["a " * 20_000, "ab" * 40_000, "谢谢" * 20_000, "x" * 100_000, ENGLISH * 400]
)
def test_very_long_texts_take_no_long_time(text):
    import time

    started = time.process_time()
    has_loop(text)
    assert time.process_time() - started < 2


@pytest.mark.slow
def test_spark_says_the_same_of_every_text(spark):
    from pyspark.sql import functions as F

    from speechlake.text import flags

    odd = [
        "İSTANBUL istanbul İstanbul",
        "ΟΔΟΣ οδός",
        "Straße STRASSE",
        "é e\u0301",
        "a\u00a0b\tc\nd",
        "👍👍👍👍👍👍",
        "x" * 3000,
        "𠀀𠀀𠀀𠀀𠀀𠀀𠀀𠀀",
        # Words that only what stands between them, or an apostrophe, tells apart.
        "No.no,NO!no (no)",
        "don't dont DON'T dont don't",
        "one_two-one~two\x1fone\ttwo\x00one@two one`two",
        "no, no, no, yes, yes, yes",
    ]
    honest = [*HONEST.values(), *(f"{text} {text}" for text in HONEST.values())]
    cases = [*(text for text, _, _ in LOOPS), *honest, *odd, "Thanks for watching!", "谢谢观看", "a " * 5000]
    ratios = (None, 1.0, 2.5, 2.9, 3.3, 3.6)
    rows = [(text, ratios[n % 6], n % 11 == 0) for n, text in enumerate(cases * 5)]
    frame = spark.createDataFrame(rows, "text string, ratio double, truncated boolean")
    text, ratio, truncated = F.col("text"), F.col("ratio"), F.col("truncated")
    found = frame.select(
        text,
        ratio,
        truncated,
        flags.repeated_words(text).alias("repeated"),
        flags.known_phrase(text).alias("known"),
        (ratio - flags.compression_excess(text, ratio)).alias("limit"),
        flags.runaway(text, ratio, truncated).alias("runaway"),
    ).collect()
    assert len(found) == len(rows)
    for row in found:
        assert row.repeated == repeated_words(row.text), row.text
        assert row.known == is_known_phrase(row.text), row.text
        assert row.runaway == is_runaway(row.text, row.ratio, row.truncated), row
        assert row.limit is None or row.limit == pytest.approx(compression_limit(row.text)), row


@pytest.mark.slow
def test_flags_of_no_text_are_null_and_rates_need_a_length(spark):
    from pyspark.sql import functions as F

    from speechlake.text import flags

    rows = [(None, 1.0), ("", 0.0), ("four", 2.0), ("four", 0.0), ("four", None)]
    frame = spark.createDataFrame(rows, "text string, seconds double")
    text = F.col("text")
    none = F.lit(None).cast("double")
    found = frame.select(
        flags.repeated_words(text).alias("a"),
        flags.known_phrase(text).alias("b"),
        flags.runaway(text, none, F.lit(None).cast("boolean")).alias("c"),
        flags.chars_per_second(text, F.col("seconds")).alias("d"),
    ).collect()
    inf = float("inf")
    assert [tuple(row) for row in found] == [
        (None, None, None, None),
        (0, False, False, 0.0),
        (1, False, False, 2.0),
        (1, False, False, inf),
        (1, False, False, None),
    ]
