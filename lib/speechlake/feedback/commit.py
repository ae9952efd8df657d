"""From staged rows of an import to tables: refusals, values, texts, and last what is current from now on.

Everything here may run again on the same stage after a kill at any point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from speechlake.erasure.honoured import refusals_without_erased
from speechlake.errors import TooManyRejected
from speechlake.feedback.identity import identity_of, text_identity_of
from speechlake.feedback.rows import ACCEPTED, REFUSED, counts
from speechlake.feedback.spec import Import, import_of
from speechlake.hold import Hold
from speechlake.manifests.table_rows import changed_rows
from speechlake.schemas import IMPORT_REFUSALS, SIGNALS_IMPORTED, TRANSCRIPTS
from speechlake.signals.catalogue import numbered, profile, register_identities
from speechlake.signals.extractor import Identity
from speechlake.staging import Stage

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake

# What is kept of a refused row: enough to find it again in its source.
GIVEN_CHARACTERS, SAID_CHARACTERS = 200, 1000
REASONS_TOLD = 5


@dataclass(frozen=True)
class Imported:
    """What one stage came to; `refusal` where too much of it was refused, and nothing but that was written.

    `left_behind` are corpora of which the import told something before, and tells nothing from now on.
    """

    counts: Mapping[str, int]
    refusal: TooManyRejected | None = None
    left_behind: Sequence[str] = ()


def commit_import(hold: Hold, stage: Stage) -> Imported:
    """Commit a staged import. `stage.note` holds the import, its source's sha256 and base name, and `max_reject`."""
    spec, rows = import_of(stage.note["import"]), hold.staging.read(stage)
    found = counts(rows)
    _append_refusals(hold, stage, spec, rows.where(f"outcome = '{REFUSED}'"), found["refused"])
    refusal = _refusal(spec, found, stage.note["max_reject"])
    if refusal is not None:
        return Imported(found, refusal)
    accepted = rows.where(f"outcome = '{ACCEPTED}'")
    about = (stage.note["sha256"], stage.note["base_name"])
    values = [(column.field, identity_of(spec, column, *about)) for column in spec.columns]
    texts = [text_identity_of(spec, *about)] if spec.text else []
    identities = [identity for _, identity in values]
    left = left_behind(hold.lake, spec, identities, accepted)
    register_identities(hold, [*identities, *texts])
    written = _append_values(hold, stage, accepted, values) if values else 0
    changed = _bring_texts(hold, stage, spec, accepted, texts[0].fingerprint) if texts else {}
    _make_current(hold, stage, identities)
    return Imported({**found, "values_written": written, **changed}, left_behind=left)


def left_behind(lake: Lake, spec: Import, identities: Sequence[Identity], accepted: DataFrame) -> list[str]:
    """Corpora of which values or texts of this name are current, and of which the source names no utterance.

    An import is what its last source says: theirs are current no more.
    """
    from pyspark.sql import functions as F

    now = profile(lake)
    current = [fingerprint for each in identities for _, fingerprint in now.get(each.name, ())]
    told = lake.read("signals_imported").where(F.col("fingerprint").isin(current)).select("corpus")
    if spec.text:
        texts = lake.read("transcripts").where(
            (F.col("source") == spec.source) & F.col("retired_in").isNull()
        )
        told = told.unionByName(texts.select("corpus"))
    others = told.distinct().join(accepted.select("corpus"), on="corpus", how="left_anti")
    return sorted(row.corpus for row in others.collect())


def _refusal(spec: Import, found: Mapping[str, int], max_reject: float) -> TooManyRejected | None:
    """Why nothing of an import is taken; null where enough of it is good."""
    rows, refused = found["rows"], found["refused"]
    if found["accepted"] and refused <= max_reject * rows:
        # What is current now would be replaced by nothing.
        if found["values"]:
            return None
        return TooManyRejected(
            f"import {spec.name!r}: none of {rows} rows has a value",
            hint="What was imported before stays.",
        )
    told = {
        name.removeprefix("refused_").upper(): n for name, n in found.items() if name.startswith("refused_")
    }
    most = sorted(told.items(), key=lambda pair: (-pair[1], pair[0]))[:REASONS_TOLD]
    why = ", ".join(f"{n} {reason}" for reason, n in most) or "there are no rows"
    return TooManyRejected(
        f"import {spec.name!r}: {refused} of {rows} rows are refused ({why}), --max-reject allows {max_reject:.0%}",
        hint=f"select * from import_refusals where name = '{spec.name}' lists them. Nothing else was written.",
    )


def _append_refusals(hold: Hold, stage: Stage, spec: Import, refused: DataFrame, expected: int) -> int:
    """Refused rows that are alike stand once, with their number."""
    from pyspark.sql import functions as F

    from speechlake.splits.keys import id_of

    def capped(column: Column, characters: int) -> Column:
        return F.substring(column, 1, characters)

    alike = {
        "corpus": F.col("corpus"),
        "given": capped(F.col("given"), GIVEN_CHARACTERS),
        "said": capped(F.to_json("said"), SAID_CHARACTERS),
        "reason": F.col("reason"),
        "detail": F.col("detail"),
    }
    once = (
        refusals_without_erased(hold.lake, refused)
        .select("place", *(column.alias(name) for name, column in alike.items()))
        .groupBy(*alike)
        .agg(F.count("*").alias("times"), F.min("place").alias("place"))
    )
    about = {"name": spec.name, "version": spec.version, "sha256": stage.note["sha256"]}
    whole = {
        **{name: F.lit(value) for name, value in about.items()},
        "row_id": id_of(*(f"coalesce({name}, '')" for name in alike)),
        "run_id": F.lit(stage.run_id),
    }
    rows = once.withColumns(whole).select(*IMPORT_REFUSALS.column_names)
    within = (F.col("name") == spec.name) & (F.col("sha256") == stage.note["sha256"])
    none = 0 if expected == 0 else None
    return hold.append_missing("import_refusals", rows, within=within, digest=stage.digest, expected=none)


def _append_values(
    hold: Hold, stage: Stage, accepted: DataFrame, identities: Sequence[tuple[str, Identity]]
) -> int:
    """Append the values that are new; `identities` are pairs (column of the source, what its values are).

    Nothing is added where the same source was imported for other content of the utterance: it says nothing of
    what the audio has become since.
    """
    from pyspark.sql import functions as F

    filed = [(field, each.name, each.fingerprint) for field, each in identities]
    names = hold.lake.spark.createDataFrame(filed, "field string, extractor string, fingerprint string")
    mine = F.col("fingerprint").isin([each.fingerprint for _, each in identities])
    there = hold.lake.read("signals_imported").where(mine).select("utterance_id", "fingerprint")
    values = accepted.select("corpus", "utterance_id", "content_sha256", F.explode("said").alias("value"))
    filing = {
        "name": F.substring_index("extractor", ".", -2),
        "inputs_hash": F.lit(""),
        "error": F.lit(None).cast("string"),
        "run_id": F.lit(stage.run_id),
    }
    rows = (
        values.select("corpus", "utterance_id", "content_sha256", "value.*")
        .join(F.broadcast(names), on="field", how="inner")
        .join(there, on=["utterance_id", "fingerprint"], how="left_anti")
        .withColumns(filing)
        .select(*SIGNALS_IMPORTED.column_names)
    )
    return hold.append_missing("signals_imported", rows, digest=stage.digest, fresh=True)


def _bring_texts(
    hold: Hold, stage: Stage, spec: Import, accepted: DataFrame, fingerprint: str
) -> dict[str, int]:
    """Bring the texts of this source to what the import says: new ones in, others back, and what it no longer
    says retired; corpus by corpus, because every MERGE names its corpus."""
    from pyspark.sql import functions as F

    said = _transcripts(spec, accepted)
    known = hold.lake.read("transcripts").where(F.col("source") == spec.source)
    corpora = said.select("corpus").unionByName(known.select("corpus")).distinct().collect()
    new = changed = retired = 0
    for corpus in sorted(row.corpus for row in corpora):
        here = F.col("corpus") == corpus
        mine, old = said.where(here), known.where(here)
        unsaid = old.where("retired_in IS NULL").join(mine, on=list(TRANSCRIPTS.key), how="left_anti")
        unsaid = unsaid.withColumn("retired_in", F.lit(f"{spec.source}#{fingerprint}"))
        moved = changed_rows(old, mine, TRANSCRIPTS.column_names)
        columns = TRANSCRIPTS.column_names
        retired += hold.merge("transcripts", unsaid.select(*columns), corpus=corpus, digest=stage.digest)
        changed += hold.merge("transcripts", moved, corpus=corpus, digest=stage.digest)
        new += hold.append_missing("transcripts", mine, within=here, digest=stage.digest)
    return {"texts_written": new, "texts_changed": changed, "texts_retired": retired}


def _transcripts(spec: Import, accepted: DataFrame) -> DataFrame:
    """Rows of `transcripts`; blank texts are texts too, as in manifests, and no policy takes them."""
    from pyspark.sql import functions as F

    texts = accepted.select("corpus", "utterance_id", "language", F.explode("said").alias("value"))
    language = F.lit(spec.language) if spec.language else F.col("language")
    return texts.where(F.col("value.field") == F.lit(spec.text)).select(
        "corpus",
        "utterance_id",
        F.lit(spec.source).alias("source"),
        F.sha2("value.word", 256).alias("text_sha256"),
        F.col("value.word").alias("text"),
        F.lit(spec.kind).alias("kind"),
        language.alias("language"),
        F.lit(None).cast("string").alias("retired_in"),
    )


def _make_current(hold: Hold, stage: Stage, identities: Sequence[Identity]) -> None:
    """Rows of `profiles` for the values that are not current yet: last, when all of them are there."""

    def missing() -> list[dict[str, Any]]:
        now = {name: [fp for _, fp in said] for name, said in profile(hold.lake).items()}
        new = [each for each in identities if now.get(each.name) != [each.fingerprint]]
        return numbered(hold.lake, [(each.name, None, each.fingerprint) for each in new])

    if identities:
        hold.insert_missing("profiles", missing, digest=stage.digest)
