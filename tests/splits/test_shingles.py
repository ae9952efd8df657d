"""When two texts count as the same for leak control."""

from __future__ import annotations

import unicodedata

import pytest

from speechlake.splits.shingles import text_keys

NINE = "one two three four five six seven eight nine"
# one text, another, do they share a stretch of speech
PAIRS = [
    ("Yes, it IS so.", "yes it is so", True),
    ("don’t ask me why", "don't ask me why", True),
    ("yes it is so", "yes it is so indeed", False),  # short texts: the whole, not a part
    ("one two three", "one two three", False),  # too short to say anything
    (NINE, f"and then {NINE[4:]}", True),
    (NINE, "one two three four five six seven nine eight", False),
    ("один два три четыре", "Один, два, три, четыре!", True),
    ("今日はとてもいい天気ですね", "今日は、とてもいい天気ですね。", True),
    ("今日は", "今日は", False),  # fewer than eight characters
    ("今日はとてもいい天気ですね散歩に行きましょう", "さて今日はとてもいい天気ですね散歩に", True),
    (f"{NINE} 好", f"{NINE} and then", True),  # one character of another script
    (f"{NINE[:18]} 今日はとてもいい天気ですね散歩に", "さて今日はとてもいい天気ですね散歩に", True),
    ("नमस्ते आप कैसे हैं", "नमस्ते आप कैसे है", False),  # vowel signs spell words
    ("le café était déjà fermé", unicodedata.normalize("NFD", "Le café était déjà fermé"), True),
    ("tiếng Việt rất dễ", unicodedata.normalize("NFD", "tiếng Việt rất dễ"), True),
    ("съел ещё этих йогуртов", unicodedata.normalize("NFD", "съел ещё этих йогуртов"), True),
    ("one two three four", "ｏｎｅ ｔｗｏ ｔｈｒｅｅ ｆｏｕｒ", True),
    ("hospital on the hill", "hos\u00adpital on\u200b the hill\u200e", True),
    (
        "\u0643\u064e\u062a\u064e\u0628 \u0647\u0648 \u0647\u0630\u0627 \u0627\u0644\u064a\u0648\u0645",
        "\u0643\u062a\u0640\u0628 \u0647\u0648 \u0647\u0630\u0627 \u0627\u0644\u064a\u0648\u0645",
        True,
    ),
    ("le café est fermé", "LE  CAFE\test... ferme!", True),
    ("it's 20 to 4, isn't it", "it’s 20 to 4 — isn’t it", True),
    ("one_two three-four", "one two three four…", True),
    ("a b c d", "a b cd", False),
    (None, None, False),
    ("… —", "?!", False),
]


def test_texts_share_a_key_where_they_share_eight_words_or_are_equal(spark):
    from pyspark.sql import functions as F

    frame = spark.createDataFrame(
        [(n, a, b) for n, (a, b, _) in enumerate(PAIRS)], "n int, a string, b string"
    )
    keys = {name: text_keys(F.col(name), 4) for name in ("a", "b")}
    shared = (
        frame.withColumns(keys).select("n", F.arrays_overlap("a", "b").alias("shared")).orderBy("n").collect()
    )
    assert [bool(row["shared"]) for row in shared] == [same for *_, same in PAIRS]


@pytest.mark.parametrize("text", ["", " ?! ", "… —", "'", None])
def test_a_text_without_words_has_no_key(spark, text):
    from pyspark.sql import functions as F

    keys = text_keys(F.lit(text).cast("string"), 1)
    assert spark.range(1).select(keys.alias("keys")).first()["keys"] == []


@pytest.mark.parametrize(("words", "keys"), [(0, 0), (3, 0), (4, 1), (8, 1), (9, 2), (30, 23)])
def test_a_text_has_a_key_per_eight_words_in_a_row(spark, words, keys):
    from pyspark.sql import functions as F

    text = " ".join(f"w{n}" for n in range(words))
    assert spark.range(1).select(F.size(text_keys(F.lit(text), 4)).alias("n")).first()["n"] == keys
