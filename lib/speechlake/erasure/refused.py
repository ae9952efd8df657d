"""Who stands in refused lines alone: such a name is no slip, although no row has it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from speechlake.erasure.request import words
from speechlake.erasure.tables import of_any_corpus

if TYPE_CHECKING:
    from speechlake.erasure.found import Meant, Value
    from speechlake.lake import Lake


def in_refused_lines(lake: Lake, said: Meant, values: Collection[Value]) -> set[Value]:
    """Those of `values` whose name is a whole word of a refused line that goes with the request: one of the corpora
    concerned, or of an import that named none."""
    asked = {value: said.spoken_of[value] for value in values if value in said.spoken_of}
    if not asked:
        return set()
    spelled = {word: _spelled(word) for _, word in asked.values()}
    there = _said(lake, sorted({form for forms in spelled.values() for form in forms}), said.concerned)
    return {
        value
        for value, (corpora, word) in asked.items()
        if any(
            (corpus is None or corpus in corpora) and re.search(words(spelled[word]), piece)
            for corpus, piece in there
        )
    }


def _spelled(word: str) -> list[str]:
    """A name as people write it, and as JSON may."""
    return [word, json.dumps(word)[1:-1]]


def _said(lake: Lake, forms: list[str], corpora: Collection[str]) -> set[tuple[str | None, str]]:
    """(corpus, piece) of refused lines in which one of a few names stands: as few as names and corpora."""
    from pyspark.sql import functions as F

    lines = lake.read("quarantine").where(F.col("corpus").isin(list(corpora)))
    imported = lake.read("import_refusals")
    texts = [
        lines.select("corpus", F.concat_ws(" ", F.col("raw_line").cast("string"), "detail").alias("text")),
        imported.where(of_any_corpus()).select("corpus", F.concat_ws(" ", "given", "said", "detail")),
        imported.where(F.col("given").isin(forms)).select("corpus", "given"),
    ]
    each = F.explode(F.regexp_extract_all("text", F.lit(f"(?u)({words(forms)})"))).alias("piece")
    rows = texts[0].union(texts[1]).union(texts[2]).select("corpus", each).distinct().collect()
    return {(row.corpus, row.piece) for row in rows}
