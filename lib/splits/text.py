"""Which text an utterance carries: the first source of the policy's preference that has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.config import near
from speechlake.errors import ConfigError
from speechlake.splits.policy import Policy

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# Which kind of text is trusted more, all else being equal.
KINDS: tuple[str, ...] = ("human", "caption", "machine")


def choose_text(transcripts: DataFrame, policy: Policy, models: Mapping[str, str]) -> DataFrame:
    """One row per utterance that has a preferred text: utterance_id, text, text_source, text_kind, text_sha256.

    `transcripts` holds current texts only (utterance_id, source, text, kind, text_sha256), model texts under
    the source `whisper:<fingerprint>`; `models` says which fingerprint a model id of the policy stands for.
    Blank texts are no texts. Several texts of one source are ordered by kind, then by hash.
    """
    sources = preferred_sources(policy, models)
    rank = _position("source", sources)
    order = F.struct(rank, kind_rank(F.col("kind")), "text_sha256", "source", "kind", "text")
    return (
        transcripts.filter(F.col("source").isin(sources) & ~is_blank(F.col("text")))
        .groupBy("utterance_id")
        .agg(F.min(order).alias("chosen"))
        .select(
            "utterance_id",
            F.col("chosen.text").alias("text"),
            F.col("chosen.source").alias("text_source"),
            F.col("chosen.kind").alias("text_kind"),
            F.col("chosen.text_sha256").alias("text_sha256"),
        )
    )


def preferred_sources(policy: Policy, models: Mapping[str, str]) -> list[str]:
    """The policy's preference as sources of transcripts; ConfigError for a model that measured nothing here."""
    prefer = policy.text.prefer if policy.text else ()
    return [_source(entry, models, policy.name) for entry in prefer]


def is_blank(text: Column) -> Column:
    """True where there is nothing to train on: no text, or white space only. Never null."""
    return text.isNull() | ~text.rlike(r"\S")


def kind_rank(kind: Column) -> Column:
    """0 for human text, growing with distrust; unknown kinds and no text last."""
    return F.coalesce(*(F.when(kind == name, F.lit(n)) for n, name in enumerate(KINDS)), F.lit(len(KINDS)))


def _source(entry: str, models: Mapping[str, str], policy: str) -> str:
    if entry == "manifest" or entry.startswith(("manifest:", "import:")):
        return entry
    if entry in models:
        return f"whisper:{models[entry]}"
    raise ConfigError(
        f"policy {policy!r}: text.prefer names {entry!r}, and this lake has no text of such a model",
        hint=near(entry, ["manifest", *models]),
    )


def _position(column: str, values: Sequence[str]) -> Column:
    return F.coalesce(
        *(F.when(F.col(column) == value, F.lit(n)) for n, value in enumerate(values)), F.lit(-1)
    )
