"""Which text an utterance carries: the first source of the policy's preference that has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from speechlake.config import near
from speechlake.errors import ConfigError
from speechlake.joins import lying_together
from speechlake.signals.catalogue import Entries, current_fingerprint
from speechlake.splits.columns import TEXT_KINDS
from speechlake.splits.medoid import medoids
from speechlake.splits.policy import MEDOID, Policy

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# What is known of a text here.
TEXT_COLUMNS = ("utterance_id", "source", "text", "kind", "text_sha256", "language")


def choose_text(transcripts: DataFrame, policy: Policy, ways: Mapping[str, Entries]) -> DataFrame:
    """One row per utterance that has a preferred text: utterance_id, text, text_source, text_kind, text_sha256,
    text_agreement.

    `transcripts` holds current texts only (utterance_id, source, text, kind, text_sha256), model texts under
    the source `whisper:<fingerprint>`; `ways` says which fingerprints a model id of the policy stands for.
    Blank texts are no texts. Several texts of one source are ordered by kind, then by hash. `text_agreement`
    is how far the models agree on a medoid, which also needs `language`; null for any other text.
    """
    sources = preferred_sources(policy, ways)
    texts = _with_medoids(transcripts, policy, ways)
    rank = _position(_preferred_as(), sources)
    order = F.struct(rank, kind_rank(F.col("kind")), "text_sha256", "source", "kind", "text", "agreement")
    told = texts.filter(_preferred_as().isin(sources) & ~is_blank(F.col("text")))
    return (
        lying_together(told, "utterance_id")
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


def preferred_sources(policy: Policy, ways: Mapping[str, Entries]) -> list[str]:
    """The policy's preference as sources of transcripts; ConfigError for a model that measured nothing here."""
    prefer = policy.text.prefer if policy.text else ()
    return [source for entry in prefer for source in _sources(entry, ways, policy.name)]


def heard_texts(
    utterances: DataFrame, heard: DataFrame, policy: Policy, ways: Mapping[str, Entries]
) -> DataFrame | None:
    """Transcripts of the models that `policy` asks for; null where it asks for none.

    `utterances` says of each its language, content_key and inputs_hash: what was heard in other audio, or under
    another declared language, is not what the utterance says. `heard` is `signals_whisper`. One text per
    utterance and model, of the fingerprint that the model stands for in the utterance's language.
    """
    asked = policy.text.sources if policy.text else ()
    named = {entry: ways[entry] for entry in asked if not _is_written(entry) and entry in ways}
    if not named:
        return None
    fingerprints = F.array(*(current_fingerprint(said, F.col("language")) for said in named.values()))
    wanted = utterances.select(
        "utterance_id",
        F.col("content_key").alias("content_sha256"),
        "inputs_hash",
        F.explode(F.array_distinct(fingerprints)).alias("fingerprint"),
    )
    said = heard.where("error IS NULL").select(
        *("utterance_id", "content_sha256", "inputs_hash", "fingerprint"),
        F.concat(F.lit("whisper:"), "fingerprint").alias("source"),
        *("text", F.lit("machine").alias("kind"), "text_sha256"),
        F.col("decoded_language").alias("language"),
    )
    key = ["utterance_id", "content_sha256", "inputs_hash", "fingerprint"]
    return wanted.join(said, on=key, how="inner").select(*TEXT_COLUMNS)


def is_blank(text: Column) -> Column:
    """True where there is nothing to train on: no text, or white space only. Never null."""
    return text.isNull() | ~text.rlike(r"\S")


def kind_rank(kind: Column) -> Column:
    """0 for human text, growing with distrust; unknown kinds and no text last."""
    return F.coalesce(
        *(F.when(kind == name, F.lit(n)) for n, name in enumerate(TEXT_KINDS)), F.lit(len(TEXT_KINDS))
    )


def _with_medoids(transcripts: DataFrame, policy: Policy, ways: Mapping[str, Entries]) -> DataFrame:
    """The transcripts, and the medoids that the policy asks for among them, with their `agreement`."""
    columns = [name for name in TEXT_COLUMNS if name != "language"]
    plain = transcripts.select(*columns, F.lit(None).cast("double").alias("agreement"))
    asked = policy.text.medoid if policy.text else None
    if asked is None:
        return plain
    voting = [source for entry in asked.of for source in _sources(entry, ways, policy.name)]
    return plain.unionByName(medoids(transcripts, voting, asked.min_agreement))


def _preferred_as() -> Column:
    """The source as a preference names it: `medoid` for each `medoid:<source>`."""
    return F.when(F.col("source").startswith(f"{MEDOID}:"), MEDOID).otherwise(F.col("source"))


def _is_written(entry: str) -> bool:
    """A source that is no model of this lake."""
    return entry in ("manifest", MEDOID) or entry.startswith(("manifest:", "import:"))


def _sources(entry: str, ways: Mapping[str, Entries], policy: str) -> list[str]:
    if _is_written(entry):
        return [entry]
    if entry not in ways:
        raise ConfigError(
            f"policy {policy!r}: its 'text' names {entry!r}, and this lake has no text of such a model",
            hint=near(entry, ["manifest", *ways]),
        )
    if not ways[entry]:
        raise ConfigError(
            f"policy {policy!r}: the model {entry!r} ran here in several ways of which the profile names none",
            hint="Name the fingerprint that is meant (`speechlake profile` tells them apart).",
        )
    return [f"whisper:{fingerprint}" for _, fingerprint in ways[entry]]


def _position(column: Column, values: Sequence[str]) -> Column:
    return F.coalesce(*(F.when(column == value, F.lit(n)) for n, value in enumerate(values)), F.lit(-1))
