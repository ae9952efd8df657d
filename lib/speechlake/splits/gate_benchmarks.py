"""The part of the gate that asks for what evaluation corpora hold: their audio, files, samples and texts in any side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.splits import gate_texts
from speechlake.splits.gate_lines import each, is_boilerplate, lines

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.checkpoints import Staged
    from speechlake.splits.gate import Asked

_READ = (
    *("utterance_id", "overlap_id", "content_sha256", "duplicate_kind"),
    *("language", "text_tags", "evaluation_texts"),
)


def held(links: DataFrame, asked: Asked, staged: Staged) -> DataFrame | None:
    """Rows of `links` that are of evaluation corpora which the policy heeds; None where there is none."""
    named = asked.decontaminate.corpora
    heeded = F.lit(True) if named is None else F.col("corpus").isin(list(named))
    current = links.filter((F.col("role") == "evaluation") & F.col("retired_in").isNull() & heeded)
    found = staged("gate benchmarks", current.select(*(name for name in _READ if name in links.columns)))
    return None if found.isEmpty() else found


def leaks(
    rows: DataFrame,
    held: DataFrame,
    asked: Asked,
    *,
    heard: DataFrame | None,
    samples: DataFrame | None,
    copies: DataFrame | None,
) -> Iterator[DataFrame]:
    """Frames of (kind, value, sides, utterances): rows by utterance_id.

    `rows`, `heard` and `copies` as in `gate.leaks`, `held` what evaluation corpora hold, `samples` what was decoded of
    `rows`.
    """
    parts = held.select("overlap_id").distinct()
    yield lines(each(rows.join(parts, "overlap_id", how="left_semi")), "evaluation_corpus")
    files = held.filter(~is_boilerplate())
    if "content_sha256" in rows.columns:
        cut = rows.filter(~is_boilerplate())
        cut = cut.join(files.select("content_sha256").distinct(), "content_sha256", how="left_semi")
        yield lines(each(cut), "evaluation_corpus_content")
    if heard is not None and samples is not None:
        yield _samples(samples, held, heard)
    if copies is not None:
        yield _copies(rows, held, copies)
    yield from gate_texts.of_benchmarks(rows, files, asked)


def _samples(samples: DataFrame, held: DataFrame, heard: DataFrame) -> DataFrame:
    """Rows that decode to what an evaluation corpus decodes to."""
    # What a clip held before its file was replaced is no benchmark any more, once somebody has read what it holds now.
    now = held.select("utterance_id", F.col("content_sha256").alias("now"))
    known = F.col("now").startswith("listing:") | (F.col("now") == F.col("content_sha256"))
    theirs = now.join(heard, "utterance_id", how="inner").filter(known).select("samples_sha256").distinct()
    return lines(each(samples.join(theirs, "samples_sha256", how="left_semi")), "evaluation_corpus_samples")


def _copies(rows: DataFrame, held: DataFrame, copies: DataFrame) -> DataFrame:
    """Rows of a pair of copies whose other one an evaluation corpus has, whatever `duplicates` makes of it."""
    turned = copies.select(F.col("other_id").alias("utterance_id"), F.col("utterance_id").alias("other_id"))
    theirs = held.select(F.col("utterance_id").alias("other_id"))
    found = copies.unionByName(turned).join(theirs, "other_id", how="left_semi")
    return lines(each(rows.join(found, "utterance_id", how="left_semi")), "evaluation_corpus_copy")
