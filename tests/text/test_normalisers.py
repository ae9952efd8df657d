"""Normalising takes away what honest writers differ in, and never what spells a word."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechlake.text.languages import canonical
from speechlake.text.normalisers import (
    DEFAULT_NORMALISER,
    NORMALISER_BY_PRIMARY,
    NORMALISERS,
    normaliser_for,
    normaliser_name,
)

SENTENCES = [
    ("hi", "हिन्दी में २५ क़लम हैं, ज़रा देखो।", "हिन्दी में 25 क़लम हैं ज़रा देखो"),
    ("ta", "தமிழ் மொழி, உலகின் மூத்த மொழி!", "தமிழ் மொழி உலகின் மூத்த மொழி"),
    ("ml", "അവന്‍ വീട്ടില്‍ പോയി.", "അവൻ വീട്ടിൽ പോയി"),
    ("bn", "উত্‍সব শুরু হয়েছে।", "উৎসব শুরু হয়েছে"),
    ("th", "น้ำใส ๒๕ แก้ว และภาษาไทย", "น้ำใส 25 แก้ว และภาษาไทย"),
    ("lo", "ນ້ຳ ພາສາລາວ", "ນ້ຳ ພາສາລາວ"),
    ("km", "ភាសាខ្មែរ។", "ភាសាខ្មែរ"),
    ("my", "မြန်မာဘာသာ၊", "မြန်မာဘာသာ"),
    ("bo", "བོད་སྐད།", "བོད སྐད"),
    ("ar", "مُحَمَّدٌ رَسُولٌ، الـعـربية؛ آمن بالأمل", "محمد رسول العربية آمن بالأمل"),
    ("fa", "می‌خواهم كتاب علي را بخوانم.", "میخواهم کتاب علی را بخوانم"),
    ("he", "שָׁלוֹם עוֹלָם, צה״ל וג׳ירפה", "שלום עולם צהל וג'ירפה"),
    ("ru", "Ещё за́мок, мой Йод — ёлка!", "еще замок мой йод елка"),
    ("be", "Ёсць сям'я і ўсё", "ёсць сям'я і ўсё"),
    ("uk", "М’ята й сімʼя: їжак, ґанок.", "м'ята й сім'я їжак ґанок"),
    ("de", "Die Straße — größer “als” Öl; geht’s?", "die strasse grösser als öl geht's"),
    ("fr", "L’été, qu'il a déjà vécu… (rires) cœur naïf", "l été qu il a déjà vécu cœur naïf"),
    ("it", "Perché l'acqua dell’università è così?", "perché l acqua dell università è così"),
    ("es", "¿Qué pasó, señor Peña?", "qué pasó señor peña"),
    ("tr", "İSTANBUL'da ILIK bir ışık", "istanbulda ılık bir ışık"),
    ("de", "İstanbul ist groß", "istanbul ist gross"),
    ("ja", "ｶﾞｷﾞ、日本語！「スーパー」は１０個。", "ガギ 日本語 スーパー は10個"),
    ("zh", "你好，世界。１２３！", "你好 世界 123"),
    ("ko", "안녕하세요, 세계 여러분!", "안녕하세요 세계 여러분"),
    ("vi", "Tiếng Việt, đường phố Hà Nội", "tiếng việt đường phố hà nội"),
    ("yo", "Èdè Yorùbá: ẹ̀kọ́", "èdè yorùbá ẹ̀kọ́"),
    ("el", "Καλημέρα, ο ΟΔΟΣ", "καλημέρα ο οδοσ"),
    ("en", "Don’t you think it's twenty-one [noise] colours, Mr. Smith?", "do not you think it is 21 colors mister smith"),
    ("en", "Well… I, um, paid $5.50...", "well i paid $5.50"),
    (None, "Naïve café—ÉTÉ", "naïve café été"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "expected"), SENTENCES)
def test_a_sentence_keeps_its_words(language: str | None, text: str, expected: str) -> None:
    assert normaliser_for(language).normalise(text) == unicodedata.normalize("NFC", expected)


@pytest.mark.parametrize(("language", "text", "expected"), SENTENCES)
def test_composed_and_decomposed_text_are_alike(language: str | None, text: str, expected: str) -> None:
    normaliser = normaliser_for(language)
    forms = {normaliser.normalise(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
    assert len(forms) == 1


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("th", "น้ำ", "นํ้า"),  # SARA AM in one piece; NIKHAHIT, tone, SARA AA
        ("th", "แล้ว", "เเล้ว"),  # SARA AE; SARA E twice
        ("ru", "ещё", "еще"),
        ("uk", "м'ята", "м`ята"),
        ("fr", "l'homme", "l’ homme"),
        ("fa", "علی", "علي"),
        ("ja", "カタカナ", "ｶﾀｶﾅ"),
        ("hi", "१२", "12"),
        ("de", "a\u00adb", "ab"),  # soft hyphen
        ("en", "can’t", "cannot"),
        ("en", "colour", "color"),
    ],
)
def test_two_spellings_of_one_word_are_alike(language: str, one: str, other: str) -> None:
    normalise = normaliser_for(language).normalise
    assert normalise(one).replace("can not", "cannot") == normalise(other).replace("can not", "cannot")


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("hi", "कि", "की"),
        ("th", "ใกล้", "ไกล"),
        ("th", "มา", "ม้า"),
        ("be", "ёсць", "есць"),
        ("uk", "й", "и"),
        ("es", "año", "ano"),
        ("tr", "ılık", "ilik"),
        ("ja", "か", "が"),
        ("vi", "ma", "má"),
    ],
)
def test_two_words_stay_two(language: str, one: str, other: str) -> None:
    normalise = normaliser_for(language).normalise
    assert normalise(one) != normalise(other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a [laughter] b", "a b"),
        ("a <unk> b (coughs) c", "a b c"),
        ("a (b (c) d) e", "a e"),
        ("a （笑） b", "a b"),
        ("a < b ] c ( d", "a b c d"),
        ("(all of it)", ""),
        ("… — !?", ""),
        ("\u0301\u200b'", ""),
        ("", ""),
    ],
)
def test_what_was_not_said_is_left_out(text: str, expected: str) -> None:
    assert normaliser_for("de").normalise(text) == expected


@pytest.mark.parametrize("name", [n for n in NORMALISERS if n != "english/2"])
@given(
    text=st.one_of(
        st.text(max_size=20),
        st.text(alphabet="aiI'’İ\u0301\u0307\u0308еёи\u0306\u200d\u200b ()[]<>\u0e4d\u0e32\u0e48เनത്ת״ש\u0651يᾳΣß½", max_size=10),
    )
)  # fmt: skip
def test_normalising_again_changes_nothing(name: str, text: str) -> None:
    once = NORMALISERS[name].normalise(text)
    assert NORMALISERS[name].normalise(once) == once
    assert re.fullmatch(r"(\S+( \S+)*)?", once)


@given(
    st.text(alphabet="abcdefgiklmnoprstuvw ,.!?", max_size=40).filter(
        lambda t: not re.search("one|two|six|ten|o", t)
    )
)
def test_english_without_numbers_is_stable(text: str) -> None:
    normalise = NORMALISERS["english/2"].normalise
    twice = normalise(normalise(text))
    assert normalise(twice) == twice


NUMBER_WORDS = [
    "one",
    "twenty",
    "hundred",
    "oh",
    "point",
    "$5",
    "50%",
    "and a half",
    "3.5",
    "١٢",
    "½",
    "double",
    "'s",
]


@given(st.lists(st.one_of(st.sampled_from(NUMBER_WORDS), st.text(max_size=4)), max_size=12))
def test_english_never_raises(words: list[str]) -> None:
    normalised = NORMALISERS["english/2"].normalise(" ".join(words))
    assert normalised == normalised.strip()


@pytest.mark.parametrize(
    "text", ["9" * 5000, "decillion " * 300, "<" * 19_000, "((" * 9_000, "one " * 20_000]
)
def test_hostile_english_ends_in_some_text(text: str) -> None:
    assert isinstance(NORMALISERS["english/2"].normalise(text), str)


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("en", "english/2"), ("en-GB", "english/2"), ("fr-CA", "elision/2"), ("tr", "turkic/2"), ("ru", "russian/2"),
        ("ur", "persian/2"), ("de", "basic/2"), ("zh-Hant", "basic/2"), ("", "basic/2"), (None, "basic/2"),
    ],
)  # fmt: skip
def test_the_name_of_a_normaliser_follows_from_the_language(language: str | None, name: str) -> None:
    assert normaliser_name(language) == name
    assert normaliser_for(language).name == name


def test_the_table_for_column_expressions_names_languages_and_normalisers_that_exist() -> None:
    assert {*NORMALISER_BY_PRIMARY.values(), DEFAULT_NORMALISER} == NORMALISERS.keys()
    assert {tag for tag in NORMALISER_BY_PRIMARY if canonical(tag) != tag} == set()


@pytest.mark.parametrize(
    "marks",
    ["\u0300\u0316", "\u0f73\uff9e", "\u0300\u200d\u0316", "\u0300\u034f\u0316", "\u064b\u0300\u064b\u0316"],
    ids=ascii,
)  # fmt: skip
@pytest.mark.parametrize("name", NORMALISERS)
def test_marks_without_end_take_no_time(name: str, marks: str) -> None:
    """Sorted by Unicode's rules, so many take minutes."""
    normalised = NORMALISERS[name].normalise("a" + marks * 100_000 + " b")
    assert normalised[0] != " "
    assert len(normalised) < 100
    assert normalised.endswith(" b")


def test_as_many_marks_as_a_writing_has_are_kept() -> None:
    assert normaliser_for("de").normalise("q" + "\u0323" * 30) == "q" + "\u0323" * 30
