"""What becomes of each parsed line: an utterance, a counted repeat of one, or a refusal.

Lines with one utterance id are compared in speaker, language and texts. The line already in the lake
wins, else the lower (manifest, byte offset); a line that says the same is a repeat, one that says
something else is refused `SAME_INTERVAL`. An older version of its own manifest is not compared: it is
replaced.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from speechlake.manifests.record import ERASED, UNREADABLE

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

SAME_INTERVAL = "SAME_INTERVAL"
# Begins the detail of a line that was refused as that; the manifest and byte offset of the other line follow.
DIFFERS = "speaker or text differ from "


@dataclass(frozen=True)
class Verdict:
    """Counts of one manifest version."""

    uri: str
    lines: int
    utterances: int
    repeats: int
    quarantined: int
    speaker_placeholders: int = 0
    # Quarantined too, but no fault of the manifest.
    erased: int = 0
    # The file breaks off there, and nobody knows what came behind.
    unreadable: int = 0
    rows: int = field(default=0, compare=False)
    """Utterances: a line of `channels: each` may be several."""

    def acceptable(self, max_reject: float) -> bool:
        """True when something was accepted and not more than `max_reject` of the lines was refused.

        Lines of what was erased are told apart: they are good lines that nobody may read. A file that breaks off,
        as a .gz that is still being written, is no version: all that it does not show yet would be retired.
        """
        good = self.utterances + self.repeats + self.erased
        refused, lines = self.quarantined - self.erased, self.lines - self.erased
        return good > 0 and not self.unreadable and refused <= may_be_refused(lines, max_reject)


def may_be_refused(lines: int, max_reject: float) -> Decimal:
    """How many of `lines`, exactly: in binary, 0.29 of 100 are less than 29."""
    return Decimal(str(max_reject)) * lines


def what_it_says() -> Column:
    """Hash of speaker, language and texts: equal for two lines that say the same of one interval."""
    from pyspark.sql import functions as F

    texts = F.array_sort(F.transform("texts", lambda t: F.concat_ws("=", t.source, t.text_sha256)))
    return F.xxhash64(F.col("speaker_id"), F.col("language"), F.concat_ws("|", texts))


def first_of_several(lines: DataFrame, owners: DataFrame | None = None) -> DataFrame:
    """(utterance_id, first): of ids that several lines have, the place of the first line and what it says.

    `owners` (utterance_id, owner_uri) says which manifests had the say before, where versions that landed are
    read once more: their lines come first. Such ids are rare, so this is small, and the join with it cheap.
    """
    from pyspark.sql import functions as F

    said = lines.where("reason IS NULL")
    others = F.lit(False)
    if owners is not None:
        said = said.join(owners, on="utterance_id", how="left")
        others = F.coalesce(F.col("owner_uri") != F.col("manifest_uri"), F.lit(False))
    place = F.struct(others.alias("others"), "manifest_uri", "byte_offset", what_it_says().alias("says"))
    counted = said.groupBy("utterance_id").agg(F.count("*").alias("n"), F.min(place).alias("first"))
    first = F.struct("first.manifest_uri", "first.byte_offset", "first.says")
    return counted.where("n > 1").select("utterance_id", first.alias("first"))


def with_class(lines: DataFrame, first: DataFrame, current: DataFrame | None) -> DataFrame:
    """Add `class` (utterance, repeat or refused), with reason and detail of those refused here.

    `lines` has a row per parsed line, `first` is that of `first_of_several`; `current` (utterance_id,
    owner, says) the utterances that other current manifests own, None when there are none.
    """
    from pyspark.sql import functions as F

    place = F.struct("manifest_uri", "byte_offset")
    lines = lines.withColumn("says", F.when(F.col("reason").isNull(), what_it_says()))
    lines = lines.join(first, on="utterance_id", how="left")
    if current is None:
        lines = lines.withColumn("owner", F.lit(None).cast("string")).withColumn(
            "owner_says", F.lit(None).cast("bigint")
        )
    else:
        lines = lines.join(current.withColumnRenamed("says", "owner_says"), on="utterance_id", how="left")
    wins = F.col("first").isNull() | (place == F.struct("first.manifest_uri", "first.byte_offset"))
    winner_says = F.coalesce("owner_says", "first.says")
    kind = (
        F.when(F.col("reason").isNotNull(), "refused")
        .when(F.col("owner").isNull() & wins, "utterance")
        .when(F.col("says") == winner_says, "repeat")
        .otherwise("refused")
    )
    clash = F.col("reason").isNull() & (F.col("class") == "refused")
    winner = F.coalesce("owner", F.concat_ws("@", "first.manifest_uri", "first.byte_offset"))
    return (
        lines.withColumn("class", kind)
        .withColumn(
            "detail",
            F.when(clash, F.concat(F.lit(DIFFERS), winner)).otherwise(F.col("detail")),
        )
        .withColumn("reason", F.when(clash, SAME_INTERVAL).otherwise(F.col("reason")))
        .drop("first", "owner", "owner_says", "says")
    )


def verdicts(classified: DataFrame, uris: Iterable[str], *, several: bool = False) -> list[Verdict]:
    """Counts of lines per manifest version; a manifest without lines counts zero.

    `several`: a line may be several rows, and counts as the best of them.
    """
    from pyspark.sql import functions as F

    made = F.count_if(F.col("class") == "utterance")
    told = {"is_erased": ERASED, "is_unreadable": UNREADABLE}
    classified = classified.withColumns(
        {name: F.coalesce(F.col("reason") == reason, F.lit(False)) for name, reason in told.items()}
    )
    if several:
        # By luck of the alphabet: refused, repeat, utterance.
        best = [F.max(name).alias(name) for name in ("class", "speaker_placeholder")]
        best += [F.bool_and(name).alias(name) for name in told]
        classified = classified.groupBy("manifest_uri", "byte_offset").agg(*best, made.alias("rows"))
        made = F.sum("rows")

    def count(kind: str) -> Column:
        return F.count_if(F.col("class") == kind).alias(kind)

    placeholders = F.count_if("speaker_placeholder").alias("placeholders")
    erased = F.count_if("is_erased").alias("erased")
    unreadable = F.count_if("is_unreadable").alias("unreadable")
    counted = classified.groupBy("manifest_uri").agg(
        *(count("utterance"), count("repeat"), count("refused")),
        *(placeholders, erased, unreadable, made.alias("rows")),
    )
    found = {
        row.manifest_uri: Verdict(
            row.manifest_uri,
            lines=row.utterance + row.repeat + row.refused,
            utterances=row.utterance,
            repeats=row.repeat,
            quarantined=row.refused,
            speaker_placeholders=row.placeholders,
            rows=row.rows,
            erased=row.erased,
            unreadable=row.unreadable,
        )
        for row in counted.collect()
    }
    return [found.get(uri, Verdict(uri, 0, 0, 0, 0)) for uri in uris]
