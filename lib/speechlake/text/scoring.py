"""Scores: a reference against a hypothesis, as rows of `scores`."""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from speechlake.schemas import SCORES
from speechlake.text.alignment import Counts, edit_counts, error_rate
from speechlake.text.languages import CHARACTER_LANGUAGES
from speechlake.text.normalisers import normaliser_for
from speechlake.text.subtags import primary

if TYPE_CHECKING:
    import pandas as pd

# Columns of `scores` that the caller brings along.
GIVEN = (
    "corpus",
    "utterance_id",
    "hypothesis_source",
    "hypothesis_sha256",
    "reference_source",
    "reference_sha256",
)

# pandas types that hold nulls and that Arrow turns into the contract's; NaN would stay NaN.
_PANDAS_TYPES = {"int": "Int32", "double": "Float64", "boolean": "boolean", "string": "string"}


def error_unit(language: str | None) -> str:
    """What the error rate of a language counts: `char` for languages without spaces, else `word`."""
    return "char" if primary(language) in CHARACTER_LANGUAGES else "word"


def score(reference: str, hypothesis: str, language: str | None) -> dict[str, object]:
    """The measured columns of `scores` for one pair of texts and a canonical language tag or null.

    Characters are counted without spaces: where a space belongs is a question of spelling (and, without
    spaces between words, of taste), which words already count. Words are null for `CHARACTER_LANGUAGES`.
    A reference that is empty once normalised has counts, and null for rates.
    """
    normaliser = normaliser_for(language)
    said, heard = normaliser.normalise(reference), normaliser.normalise(hypothesis)
    unit = error_unit(language)
    words = edit_counts(said.split(), heard.split()) if unit == "word" else None
    chars = edit_counts(said.replace(" ", ""), heard.replace(" ", ""))
    return {
        "normaliser": normaliser.name,
        "unit": unit,
        **_columns("word", words),
        **_columns("char", chars),
        "wer": error_rate(words) if words else None,
        "cer": error_rate(chars),
        "digits_differ": _has_digits(said) != _has_digits(heard),
    }


def _columns(unit: str, counts: Counts | None) -> dict[str, int | None]:
    return {f"{unit}_{field}": getattr(counts, field, None) for field in Counts._fields}


def _has_digits(text: str) -> bool:
    """Whether a decimal digit of any script is there; of normalised text, where twenty may be 20 already."""
    return any(unicodedata.category(char) == "Nd" for char in text)


def score_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Score pairs of texts, for use in mapInPandas: one row of `scores` per row, in order.

    Takes the columns `GIVEN`, `reference`, `hypothesis` and `language`. A missing text counts as an empty
    one: it says nothing. Nulls come out as nulls of pandas' nullable types.
    """
    import pandas as pd

    rows = [_row(record) for record in frame.to_dict("records")]
    columns = {
        c.name: pd.Series([row[c.name] for row in rows], dtype=_PANDAS_TYPES[c.type]) for c in SCORES.columns
    }
    return pd.DataFrame(columns)


def _row(record: dict[Hashable, Any]) -> dict[str, object]:
    text = {name: _text(record[name]) for name in ("reference", "hypothesis", "language")}
    measured = score(text["reference"] or "", text["hypothesis"] or "", text["language"])
    return {name: record[name] for name in GIVEN} | measured


def _text(value: object) -> str | None:
    """Null of pandas (None, NaN, NA) as None."""
    return value if isinstance(value, str) else None
