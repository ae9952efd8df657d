"""The medoid of several machine texts: the one that the others are nearest to, and how much they agree.

Where three models or more have heard a clip, a text in the middle is more often right than any one model's
(as ROVER votes word by word; Fiscus 1997). Whole texts are chosen here, never mixed: what is trained on is
what some model said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FEWEST = 3
SCHEMA = "utterance_id string, source string, text string, kind string, text_sha256 string, agreement double"


def medoids(transcripts: DataFrame, sources: Sequence[str], min_agreement: float) -> DataFrame:
    """One row of `SCHEMA` per utterance with machine texts of three `sources` or more that agree enough.

    `source` is `medoid:<the source of the text>`. One text of each source votes, the one with the lowest
    hash; an empty text votes too, and where it wins there is no medoid. Needs Python, once per utterance.
    """
    vote = [F.col("source"), *(F.col(f"said.{name}").alias(name) for name in _VOTE[1:])]
    votes = (
        transcripts.filter((F.col("kind") == "machine") & F.col("source").isin(list(sources)))
        .groupBy("utterance_id", "source")
        .agg(F.min(F.struct("text_sha256", "text", "language")).alias("said"))
        .groupBy("utterance_id")
        .agg(F.array_sort(F.collect_list(F.struct(*vote))).alias("votes"))
        .filter(F.size("votes") >= FEWEST)
    )
    parts = [F.col(f"votes.{name}").alias(name) for name in _VOTE]
    found = votes.select("utterance_id", *parts).mapInPandas(_medoid_batches, SCHEMA)
    return found.filter((F.col("agreement") >= min_agreement) & F.col("text").rlike(r"\S"))


_VOTE = ("source", "text_sha256", "text", "language")


def medoid(texts: Sequence[str], languages: Sequence[str | None]) -> tuple[int, float]:
    """(number of the text with the smallest mean distance to the others, its agreement: 1 - that distance).

    Distances are edits of normalised texts over the length of the longer, 0 to 1, in words, or in
    characters for languages without spaces; the language is the one that most texts are in. The first of
    several medoids is taken.
    """
    from rapidfuzz.distance import Levenshtein

    from speechlake.text.normalisers import normaliser_for
    from speechlake.text.scoring import error_unit

    language = _most_common(languages)
    normaliser, unit = normaliser_for(language), error_unit(language)
    plain = [normaliser.normalise(text) for text in texts]
    units: list[Sequence[str]] = [text.replace(" ", "") if unit == "char" else text.split() for text in plain]
    distances = [
        sum(Levenshtein.normalized_distance(one, other) for other in units) / (len(units) - 1)
        for one in units
    ]
    best = min(range(len(units)), key=lambda n: (distances[n], n))
    return best, round(1 - distances[best], 6)


def _most_common(languages: Sequence[str | None]) -> str | None:
    counted = Counter(language for language in languages if language)
    return min(counted, key=lambda language: (-counted[language], language)) if counted else None


def _medoid_batches(batches: Iterator[Any]) -> Iterator[Any]:
    import pandas as pd

    for batch in batches:
        rows = []
        for row in batch.itertuples(index=False):
            best, agreement = medoid(list(row.text), list(row.language))
            source, said = f"medoid:{row.source[best]}", row.text[best]
            rows.append((row.utterance_id, source, said, "machine", row.text_sha256[best], agreement))
        yield pd.DataFrame(rows, columns=[part.split()[0] for part in SCHEMA.split(", ")])
