"""Languages: one canonical BCP 47 tag for the many spellings that manifests and models use.

`language_raw` stays verbatim in the lake; `language` is `canonical(language_raw)`. Comparisons use the
primary subtag (`subtags.primary`), with what cannot be told apart by ear (`HEARD_AS`) taken together.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

import langcodes

from speechlake.errors import UsageError
from speechlake.text.language_names import NAMES
from speechlake.text.subtags import primary

# Written without spaces between words: the error rate counts characters.
CHARACTER_LANGUAGES: frozenset[str] = frozenset({"zh", "yue", "ja", "th", "lo", "km", "my", "bo"})

# Longer than any name or tag; a hostile megabyte is neither parsed nor kept in the cache.
MAX_CHARS = 80

# What manifests write where they know nothing. Some are codes of small languages (na Nauru, nan Min Nan,
# nil Nila, unk Enawené-Nawé, all Allar, mix Mixtepec, tbd Kaki Ae); a placeholder, or a pandas NaN turned
# to text, is far likelier. Min Nan is still known as nan-TW, zh-min-nan and Hokkien.
PLACEHOLDERS: frozenset[str] = frozenset({
    "", "-", "?", ".", "*", "0", "all", "any", "auto", "automatic", "c", "default", "foreign",
    "i default", "language", "mis", "misc", "missing", "mix", "mixed", "mul", "multi", "multiple",
    "multilingual", "n/a", "n.a", "n.a.", "na", "nan", "nil", "no speech", "nolang", "none",
    "not applicable", "not specified", "null", "other", "posix", "tbd", "un", "undefined", "undetermined",
    "und", "unk", "unknown", "unspecified", "various", "x", "xx", "xxx", "zxx",
})  # fmt: skip

# CLDR counts these codes of single languages as the macrolanguage they are the standard form of; langcodes
# keeps them. FLEURS and MMS write them (cmn_hans_cn, azj, ory).
STANDARD_MEMBERS: Mapping[str, str] = {
    "als": "sq", "arb": "ar", "azj": "az", "cmn": "zh", "ekk": "et", "gug": "gn", "khk": "mn", "lvs": "lv",
    "npi": "ne", "ory": "or", "pbu": "ps", "pes": "fa", "plt": "mg", "quz": "qu", "swh": "sw", "twi": "ak",
    "tw": "ak", "uzn": "uz", "ydd": "yi", "zlm": "ms", "zsm": "ms",
}  # fmt: skip

# The codes of Whisper's tokenizer (openai-whisper, faster-whisper 1.2.1), in its spelling.
_WHISPER = """
    af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht
    hu hy id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps
    pt ro ru sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo yue zh
"""
WHISPER_CODES: frozenset[str] = frozenset(_WHISPER.split())

# Whisper's odd codes: jw was never ISO 639; tl is what CLDR calls fil.
WHISPER_SPELLING: Mapping[str, str] = {"jv": "jw", "fil": "tl"}

# Primary subtags that no ear and no language detector tells apart, and the one that stands for them. Bokmål
# and Nynorsk are two ways to write spoken Norwegian; spoken Arabic is `ar` to every detector at hand.
# Cantonese is not here: it is another spoken language than Mandarin, and Whisper knows both.
# Nor are bs, hr, sr, or id and ms: close, but written by different norms, so that texts differ.
_ARABIC = "abv acm acq acw acx acy adf aeb aec afb apc apd ars ary arz auz avl ayh ayl ayn ayp shu ssh"
HEARD_AS: Mapping[str, str] = {"nb": "no", "nn": "no", **dict.fromkeys(_ARABIC.split(), "ar")}


def canonical(raw: str | None) -> str | None:
    """The canonical BCP 47 tag of any spelling, or null where none is meant or none is known.

    Takes BCP 47 in any case and with underscores, POSIX locales, ISO 639-1, -2 and -3 codes, names in
    English and in the language itself, Whisper's codes, names and tokens (`<|jw|>`). Macrolanguages stand
    for their standard member (cmn is zh); a script that goes without saying is left out (en-Latn is en).
    Null for placeholders, private use, two languages at once and nonsense. Never raises.
    """
    if not isinstance(raw, str) or len(raw) > MAX_CHARS:
        return None
    return _canonical(raw)


def is_canonical(tag: str) -> bool:
    """Whether tables may hold the tag: it is canonical, or one of those that alone look like a placeholder (nan, na)."""
    return tag in (canonical(tag), canonical(f"{tag}-x-a"))


@lru_cache(maxsize=4096)
def _canonical(raw: str) -> str | None:
    said = raw.strip().removeprefix("<|").removesuffix("|>")
    name = _folded(said)
    if name in PLACEHOLDERS:
        return None
    return _BY_NAME.get(name) or _from_tag(said)


def _folded(name: str) -> str:
    """A name without case, accents, and differences of spacing, hyphens and apostrophes."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    letters = "".join(c for c in plain if unicodedata.category(c) != "Mn" and c not in "'’‘ʻ()")
    return " ".join(re.split(r"[\s_\-]+", letters)).strip()


_BY_NAME: Mapping[str, str] = {
    _folded(name): tag for tag, names in NAMES.items() for name in names.split(";")
}


def _from_tag(said: str) -> str | None:
    """The tag of a code or locale (en_US.UTF-8, de_DE@euro), or null if the registry does not know it."""
    code = re.split(r"[.@]", said, maxsplit=1)[0].replace("_", "-")
    if _folded(code) in PLACEHOLDERS:
        return None
    try:
        tag = langcodes.Language.get(langcodes.standardize_tag(code))
    except (ValueError, AttributeError):
        return None
    if not _is_known(tag):
        return None
    # Extensions and private use (-u-nu-latn, -x-mine) say nothing of the language.
    language = STANDARD_MEMBERS.get(tag.language or "", tag.language)
    plain = langcodes.Language.make(language, None, tag.script, tag.territory, tag.variants)
    return str(plain.simplify_script().to_tag())


def _is_known(tag: langcodes.Language) -> bool:
    """Whether a registered language is named; langcodes' registry lacks the newest codes (tok)."""
    language = tag.language
    if not language or language in ("und", "mul", "mis", "zxx"):
        return False
    if language.startswith("x-") or "qaa" <= language <= "qtz":
        return False
    return tag.is_valid() or tag.to_tag() in NAMES


def language_of(said: str) -> str:
    """The primary subtag of a `--language` in any spelling; UsageError for what is none."""
    found = primary(canonical(said))
    if found is None:
        raise UsageError(f"--language {said!r} is not a language", hint="Give a tag such as ka, or a name.")
    return found


def to_whisper(tag: str | None) -> str | None:
    """The code by which Whisper knows the language of a canonical tag; null if it does not."""
    language = primary(tag)
    if language is None:
        return None
    for known in (language, HEARD_AS.get(language, language)):
        code = WHISPER_SPELLING.get(known, known)
        if code in WHISPER_CODES:
            return code
    return None
