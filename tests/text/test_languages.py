"""Any spelling of a language ends in one tag, and nonsense in none."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechlake.errors import UsageError
from speechlake.text import languages
from speechlake.text.language_names import NAMES
from speechlake.text.languages import canonical, is_canonical, language_of, to_whisper
from speechlake.text.subtags import primary

SPELLINGS = [
    # BCP 47, POSIX locales, any case and separator
    ("en", "en"), ("EN", "en"), (" en ", "en"), ("en-US", "en-US"), ("en_US", "en-US"), ("EN-us", "en-US"),
    ("en_US.UTF-8", "en-US"), ("de_DE@euro", "de-DE"), ("en-uk", "en-GB"), ("zh-CN", "zh-CN"),
    ("zh_hant_tw", "zh-Hant-TW"), ("pt-br", "pt-BR"), ("es-419", "es-419"), ("de-1996", "de-1996"),
    ("ca-valencia", "ca-valencia"), ("nan-tw", "nan-TW"), ("sr-latn", "sr-Latn"), ("az-Cyrl", "az-Cyrl"),
    # what goes without saying or says nothing of the language
    ("en-Latn", "en"), ("pa-Guru", "pa"), ("en-US-x-mine", "en-US"), ("en-u-nu-latn", "en"),
    # retired and grandfathered tags
    ("iw", "he"), ("in", "id"), ("ji", "yi"), ("mo", "ro"), ("sh", "sr-Latn"), ("tl", "fil"), ("zh-min-nan", "nan"),
    ("i-klingon", "tlh"), ("zh-yue", "yue"), ("prs", "fa-AF"),
    # ISO 639-2 and -3
    ("eng", "en"), ("deu", "de"), ("ger", "de"), ("fre", "fr"), ("fra", "fr"), ("rus", "ru"), ("cmn", "zh"),
    ("zho", "zh"), ("chi", "zh"), ("yue", "yue"), ("tgl", "fil"), ("nob", "nb"), ("swa", "sw"), ("swh", "sw"),
    ("ekk", "et"), ("ory", "or"), ("azj", "az"), ("arb", "ar"), ("ary", "ary"), ("kab", "kab"), ("kmr", "kmr"),
    ("cmn-Hans", "zh-Hans"), ("cmn_hans_cn", "zh-Hans-CN"), ("tok", "tok"),
    # names, in English and in the language itself
    ("English", "en"), ("ENGLISH", "en"), ("  english ", "en"), ("Deutsch", "de"), ("español", "es"),
    ("espanol", "es"), ("Español", "es"), ("Français", "fr"), ("日本語", "ja"), ("中文", "zh"), ("हिन्दी", "hi"),
    ("ไทย", "th"), ("русский", "ru"), ("العربية", "ar"), ("norsk bokmål", "nb"), ("Norwegian Nynorsk", "nn"),
    ("brazilian  portuguese", "pt-BR"), ("Brazilian-Portuguese", "pt-BR"), ("Chinese (Simplified)", "zh-Hans"),
    ("haitian_creole", "ht"), ("O'zbek", "uz"), ("ʻŌlelo Hawaiʻi", "haw"), ("Türkçe", "tr"), ("TÜRKÇE", "tr"),
    # Whisper's names, codes and tokens
    ("castilian", "es"), ("mandarin", "zh"), ("cantonese", "yue"), ("valencian", "ca"), ("flemish", "nl"),
    ("letzeburgesch", "lb"), ("pushto", "ps"), ("moldovan", "ro"), ("burmese", "my"), ("myanmar", "my"),
    ("jw", "jv"), ("<|en|>", "en"), ("<|en", "en"), ("<|jw|>", "jv"), ("nynorsk", "nn"),
]  # fmt: skip

NO_LANGUAGE = [
    None, "", " ", "\t\n", "unknown", "UNKNOWN", "Unknown ", "und", "und-Latn", "undefined", "n/a", "N/A", "na", "NaN",
    "nan", "null", "None", "-", "?", "mul", "mul-Latn", "zxx", "mis", "multilingual", "not applicable", "auto", "C",
    "POSIX", "i-default", "xx", "zz", "xyz", "qaa", "qab-Latn", "x-foo", "a", "english blah", "Englishman", "male",
    "female", "fala", "en,fr", "en/fr", "en fr", "en--us", "-en", "en-", "en\x00", "en1", "123", "0", "😀", "\ud800",
    "é", "../../etc/passwd", "'; drop table utterances", "$(id)", "en" * 100, "a-" * 40, "\u202een", "ＥＮ-",
]  # fmt: skip


@pytest.mark.parametrize(("raw", "tag"), SPELLINGS)
def test_every_spelling_has_one_canonical_tag(raw: str, tag: str) -> None:
    assert canonical(raw) == tag


NOT_TEXT = [float("nan"), 7, b"en", ["en"]]
PLACEHOLDERS_WITH_MORE = ["NA.", "n/a@x", "unk.", "C.UTF-8"]


@pytest.mark.parametrize("raw", [*NO_LANGUAGE, *NOT_TEXT, *PLACEHOLDERS_WITH_MORE])
def test_placeholders_nonsense_and_what_is_not_text_are_no_language(raw: object) -> None:
    assert canonical(raw) is None  # type: ignore[arg-type]


@given(st.one_of(st.text(max_size=100), st.text(alphabet="aenuzx-_.@|<> 019é", max_size=12)))
def test_canonical_never_raises_and_is_stable(raw: str) -> None:
    tag = canonical(raw)
    # The codes of Min Nan and, out of `nau`, of Nauru are placeholders where they stand alone.
    assert tag in (None, "nan", "na") or canonical(tag) == tag


def test_every_name_leads_to_its_language_and_to_no_other() -> None:
    wrong = {
        n: (t, canonical(n)) for t, names in NAMES.items() for n in names.split(";") if canonical(n) != t
    }
    assert wrong == {}


def test_no_placeholder_hides_a_language_with_a_name() -> None:
    hidden = {tag for tag in NAMES if canonical(tag) != tag}
    assert hidden == {"nan"}  # by design: a pandas NaN turned to text is likelier
    assert all(map(is_canonical, NAMES))
    assert not any(map(is_canonical, ("en-us", "eng", "", "null", "none", "klingonese", "-")))


def test_whisper_codes_survive_the_way_there_and_back() -> None:
    assert {to_whisper(canonical(code)) for code in languages.WHISPER_CODES} == languages.WHISPER_CODES


@pytest.mark.slow
def test_whisper_codes_are_those_of_faster_whisper() -> None:
    tokenizer = pytest.importorskip("faster_whisper.tokenizer")
    assert set(tokenizer._LANGUAGE_CODES) == languages.WHISPER_CODES


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("en-GB", "en"), ("jv", "jw"), ("fil", "tl"), ("nb", "no"), ("nn", "nn"), ("no", "no"), ("arz", "ar"),
        ("zh-Hant-TW", "zh"), ("yue", "yue"), ("kab", None), ("nan-TW", None), (None, None),
    ],
)  # fmt: skip
def test_whisper_knows_a_language_by_its_own_code(tag: str | None, code: str | None) -> None:
    assert to_whisper(tag) == code


@pytest.mark.parametrize(
    ("tag", "expected"), [("en-US", "en"), ("zh-Hans-CN", "zh"), ("yue", "yue"), (None, None), ("", None)]
)
def test_the_primary_subtag_names_the_language(tag: str | None, expected: str | None) -> None:
    assert primary(tag) == expected


def test_names_and_tags_need_no_language_data() -> None:
    code = (
        "import sys; sys.modules['language_data'] = None\nfrom speechlake.text.languages import canonical\n"
    )
    tell = "print(canonical('Deutsch'), canonical('eng'), canonical('zz'))"
    done = subprocess.run([sys.executable, "-c", code + tell], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["de", "en", "None"]


def test_a_language_that_is_asked_for_is_its_primary_subtag_or_refused() -> None:
    assert [language_of(said) for said in ("Georgian", "pt-BR", "EN")] == ["ka", "pt", "en"]
    with pytest.raises(UsageError, match="is not a language"):
        language_of("unknown")
