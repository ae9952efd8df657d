"""Which text an utterance carries: the first source of the policy's preference that has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.config import near
from speechlake.errors import ConfigError
from speechlake.splits.medoid import medoids
from speechlake.splits.policy import MEDOID, Policy

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# Which kind of text is trusted more, all else being equal.
KINDS: tuple[str, ...] = ("human", "caption", "machine")


def choose_text(transcripts: DataFrame, policy: Policy, models: Mapping[str, str]) -> DataFrame:
    """One row per utterance that has a preferred text: utterance_id, text, text_source, text_kind, text_sha256,
    text_agreement.

    `transcripts` holds current texts only (utterance_id, source, text, kind, text_sha256), model texts under
    the source `whisper:<fingerprint>`; `models` says which fingerprint a model id of the policy stands for.
    Blank texts are no texts. Several texts of one source are ordered by kind, then by hash. `text_agreement`
    is how far the models agree on a medoid, which also needs `language`; null for any other text.
    """
    sources = preferred_sources(policy, models)
    texts = _with_medoids(transcripts, policy, models)
    rank = _position(_preferred_as(), sources)
    order = F.struct(rank, kind_rank(F.col("kind")), "text_sha256", "source", "kind", "text", "agreement")
    return (
        texts.filter(_preferred_as().isin(sources) & ~is_blank(F.col("text")))
        .groupBy("utterance_id")
        .agg(F.min(order).alias("chosen"))
        .select(
            "utterance_id",
            F.col("chosen.text").alias("text"),
            F.col("chosen.source").alias("text_source"),
            F.col("chosen.kind").alias("text_kind"),
            F.col("chosen.text_sha256").alias("text_sha256"),
            F.col("chosen.agreement").alias("text_agreement"),
        )
    )


def preferred_sources(policy: Policy, models: Mapping[str, str]) -> list[str]:
    """The policy's preference as sources of transcripts; ConfigError for a model that measured nothing here."""
    prefer = policy.text.prefer if policy.text else ()
    return [_source(entry, models, policy.name) for entry in prefer]


def asks_models(policy: Policy, models: Mapping[str, str]) -> bool:
    """True where a text that a model of this lake heard may be preferred: else none of them need be read."""
    return any(each == MEDOID or each.startswith("whisper:") for each in preferred_sources(policy, models))


def is_blank(text: Column) -> Column:
    """True where there is nothing to train on: no text, or white space only. Never null."""
    return text.isNull() | ~text.rlike(r"\S")


def kind_rank(kind: Column) -> Column:
    """0 for human text, growing with distrust; unknown kinds and no text last."""
    return F.coalesce(*(F.when(kind == name, F.lit(n)) for n, name in enumerate(KINDS)), F.lit(len(KINDS)))


def _with_medoids(transcripts: DataFrame, policy: Policy, models: Mapping[str, str]) -> DataFrame:
    """The transcripts, and the medoids that the policy asks for among them, with their `agreement`."""
    columns = ("utterance_id", "source", "text", "kind", "text_sha256")
    plain = transcripts.select(*columns, F.lit(None).cast("double").alias("agreement"))
    asked = policy.text.medoid if policy.text else None
    if asked is None:
        return plain
    voting = [_source(entry, models, policy.name) for entry in asked.of]
    return plain.unionByName(medoids(transcripts, voting, asked.min_agreement))


def _preferred_as() -> Column:
    """The source as a preference names it: `medoid` for each `medoid:<source>`."""
    return F.when(F.col("source").startswith(f"{MEDOID}:"), MEDOID).otherwise(F.col("source"))


def _source(entry: str, models: Mapping[str, str], policy: str) -> str:
    if entry in ("manifest", MEDOID) or entry.startswith(("manifest:", "import:")):
        return entry
    if entry in models:
        return f"whisper:{models[entry]}"
    raise ConfigError(
        f"policy {policy!r}: text.prefer names {entry!r}, and this lake has no text of such a model",
        hint=near(entry, ["manifest", *models]),
    )


def _position(column: Column, values: Sequence[str]) -> Column:
    return F.coalesce(*(F.when(column == value, F.lit(n)) for n, value in enumerate(values)), F.lit(-1))
