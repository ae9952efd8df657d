"""Normalisers: what of a text counts when a reference and a hypothesis are compared.

Text itself is stored verbatim; a normaliser takes away what two honest writers of the same speech differ
in: case, punctuation, width and digit shapes, optional marks, annotations in brackets. It never spells
numbers out (`scores.digits_differ` marks where that matters) and never maps Traditional to Simplified
Chinese. The name is stored with each score; raise its version whenever results change.

English goes through Whisper's own EnglishTextNormalizer (whisper-normalizer), as published error rates do.
The other normalisers of whisper-normalizer 0.1.15 are not used: its basic one breaks words at combining
marks or, asked to, keeps them all, Arabic's optional vowels too; the Indic ones turn digits into words and
keep punctuation, and the Hindi one raises KeyError on २५; the French, Spanish and Chinese ones turn number
words into digits.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from speechlake.text.characters import APOSTROPHE, Respelling, cleaned, stream_safe
from speechlake.text.subtags import primary

# What stands in brackets was not said: [laughter], <unk>, (coughs). Whisper's normalisers drop the same.
_BRACKETED = re.compile(r"<[^<>]*>|\[[^\[\]]*\]|\([^()]*\)")
_BRACKETS = re.compile(r"[<>\[\]()]")
_NESTING = 3

_DOTS = re.compile(r"\.{2,}")
_TYPEWRITTEN = str.maketrans("’‘ʼ", "'''")

# Whisper's number rules take quadratic time on endless number words; half a minute of speech has 1,000.
_MAX_ENGLISH_CHARS = 20_000


@dataclass(frozen=True)
class Normaliser:
    """How texts of some languages are made comparable; `name` holds its version.

    `capitals` are exchanged before case is folded, `letters` after; `apostrophe` is what one inside a word
    becomes.
    """

    name: str
    capitals: Mapping[int, str] = field(default_factory=dict, hash=False)
    letters: Respelling = ()
    apostrophe: str = APOSTROPHE

    def normalise(self, text: str) -> str:
        """Words parted by single spaces, maybe none; normalising again changes nothing. Never raises."""
        spoken = _without_brackets(_composed(text)).translate(self.capitals)
        return cleaned(_casefolded(spoken), self.apostrophe, self.letters)


@dataclass(frozen=True)
class English(Normaliser):
    """Whisper's English normaliser: also contractions, numbers as digits, American spelling."""

    def normalise(self, text: str) -> str:
        """As Whisper's, but for typographic apostrophes, unpaired brackets and runs of dots ("well..." is not
        the words "well ."), which it does not know.

        Not idempotent on odd sequences of number words ("oh five" is 05, then 5). Where Whisper's raises
        (numbers of more than 4300 digits) or would take minutes, the general rules apply instead.
        """
        plain = _without_brackets(_composed(text)).translate(_TYPEWRITTEN)
        if len(plain) > _MAX_ENGLISH_CHARS:
            return BASIC.normalise(text)
        try:
            words = _whisper_english()(" ".join(_DOTS.sub(" ", plain).split())).split()
        except (AssertionError, ValueError):
            return BASIC.normalise(text)
        return " ".join(word for word in words if any(map(str.isalnum, word)))


def _composed(text: str) -> str:
    return unicodedata.normalize("NFKC", stream_safe(text))


def _without_brackets(text: str) -> str:
    """`text` without what stands in brackets; unpaired ones become spaces. Takes linear time."""
    for _ in range(_NESTING):
        text = _BRACKETED.sub(" ", text)
    return _BRACKETS.sub(" ", text)


def _casefolded(text: str) -> str:
    """Unicode's NFKC_Casefold: twice, since folding can take letters apart that fold again."""
    for _ in range(2):
        text = unicodedata.normalize("NFKC", text.casefold())
    return text


@lru_cache(maxsize=1)
def _whisper_english() -> Callable[[str], str]:
    """Built once per process: its spelling table takes 60 ms to load."""
    from whisper_normalizer.english import EnglishTextNormalizer

    normaliser: Callable[[str], str] = EnglishTextNormalizer()
    return normaliser


BASIC = Normaliser("basic/2")
NORMALISERS: Mapping[str, Normaliser] = {
    n.name: n
    for n in (
        BASIC,
        English("english/2"),
        # l'homme, dell'arte, l' homme: an article and a word, however they are set.
        Normaliser("elision/2", apostrophe=" "),
        # ё may always be written е in Russian; in Belarusian or Mongolian it is a letter of its own.
        Normaliser("russian/2", letters=((re.compile("\u0308"), ""), (re.compile("ё"), "е"))),
        # I is the capital of ı and İ that of i. The apostrophe before a suffix (Ankara'da) is not heard.
        Normaliser("turkic/2", capitals=str.maketrans({"I": "ı", "İ": "i"}), apostrophe=""),
        # Yeh and kaf typed on an Arabic keyboard look the same and are other characters.
        Normaliser("persian/2", letters=((re.compile("[يى]"), "ی"), (re.compile("ك"), "ک"))),
    )
}
DEFAULT_NORMALISER: str = BASIC.name

# Primary subtag to the name of its normaliser; every other language takes DEFAULT_NORMALISER.
NORMALISER_BY_PRIMARY: Mapping[str, str] = {
    "en": "english/2",
    **dict.fromkeys(("ca", "co", "fr", "fur", "it", "lij", "oc", "scn", "vec"), "elision/2"),
    "ru": "russian/2",
    **dict.fromkeys(("az", "crh", "gag", "tr"), "turkic/2"),
    **dict.fromkeys(("fa", "glk", "mzn", "pnb", "skr", "ur"), "persian/2"),
}


def normaliser_name(language: str | None) -> str:
    """The name of the normaliser of a canonical tag; of null, the default's."""
    return NORMALISER_BY_PRIMARY.get(primary(language) or "", DEFAULT_NORMALISER)


def normaliser_for(language: str | None) -> Normaliser:
    """The normaliser of a canonical tag; of null, the default one."""
    return NORMALISERS[normaliser_name(language)]
