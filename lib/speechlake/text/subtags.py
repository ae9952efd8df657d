"""The primary subtag of a language, by which texts and models are told apart.

Apart from `languages`, whose names and registry take a moment to load, in every worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column


def primary(tag: str | None) -> str | None:
    """The primary subtag of a canonical tag (zh of zh-Hant-TW); null of null."""
    return tag.split("-", 1)[0].lower() if tag else None


def primary_of(language: Column) -> Column:
    """The same of a column of canonical tags."""
    from pyspark.sql import functions as F

    return F.substring_index(F.lower(language), "-", 1)
