"""Scripts, where judging a text depends on them: how well it compresses, whether spaces part its words.

Whisper takes text that zlib shrinks more than 2.4 times for a loop (Radford et al. 2022, section 4.5). The
ratio is of UTF-8 bytes, and in a script of two or three bytes per letter the leading bytes alone compress
well: honest text in Georgian or Tamil lies above 2.4. Measured here on unlike sentences of the translated
messages of a Linux system (`/usr/share/locale`, 500 to 30,000 sentences per language), joined to 450
characters, about what is said in 30 s, 400 times each, 99th percentile:

| limit | scripts | ratio of honest text |
|---|---|---|
| 2.4 | Latin, Han and kana, Hangul, and all that are not named below | 1.7-1.9, 2.0-2.2, 2.1 |
| 2.6 | Cyrillic, Greek, Arabic, Hebrew, Armenian | 2.3-2.6, 2.3, 2.3, 2.3, 2.5 |
| 3.1 | Devanagari, Bengali, Gurmukhi, Gujarati, Odia, Telugu, Kannada, Sinhala, Thai, Lao | 2.8-3.0 |
| 3.5 | Tamil, Malayalam, Myanmar, Khmer, Georgian, Tibetan | 3.3, 3.2, 3.4, 3.3, 3.4, 3.4 |

(Lao was not measured; it is encoded like Thai.) Forty characters said six times have 4.6 at least in every one.
"""

from __future__ import annotations

from collections.abc import Mapping

# Inside of a character class, for `re` and java.util.regex alike.
_GREEK_TO_ARABIC = (
    "\u0370-\u06ff\u0750-\u077f\u08a0-\u08ff\u1f00-\u1fff"  # Cyrillic, Armenian, Hebrew between
)
_INDIC = "\u0900-\u0b7f\u0c00-\u0cff\u0d80-\u0dff"
_THAI_LAO = "\u0e00-\u0eff"
_TAMIL_MALAYALAM = "\u0b80-\u0bff\u0d00-\u0d7f"
_TIBETAN = "\u0f00-\u0fff"
_MYANMAR_GEORGIAN = "\u1000-\u10ff"
_MYANMAR = "\u1000-\u109f"
_KHMER = "\u1780-\u17ff"

# Limit of the compression ratio to the scripts that have it; every other script has the default.
DEFAULT_COMPRESSION_LIMIT = 2.4
COMPRESSION_LIMITS: Mapping[float, str] = {
    2.6: _GREEK_TO_ARABIC,
    3.1: _INDIC + _THAI_LAO,
    3.5: _TAMIL_MALAYALAM + _TIBETAN + _MYANMAR_GEORGIAN + _KHMER,
}

# Written without spaces between words. A word is about two characters of Chinese or Japanese, and about four
# of the others, whose vowels and tones are characters of their own.
DENSE = "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
SPARSE = _THAI_LAO + _TIBETAN + _MYANMAR + _KHMER
