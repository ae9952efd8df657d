"""The form of released texts: as written, in lower case, or as a normaliser of the language makes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from speechlake.splits.policy import SIDES, Policy
from speechlake.splits.rules import failure
from speechlake.text.score import normaliser_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.checkpoints import Staged


NORMALISED = "normalised"


def formed(rows: DataFrame, policy: Policy, staged: Staged) -> DataFrame | None:
    """The `normalised` texts of judged rows that are fit for some side; None where the policy wants no such form."""
    if policy.text is None or policy.text.form != NORMALISED:
        return None
    fit = rows.filter(" OR ".join(f"fits_{side}" for side in SIDES))
    return staged("forms", normalised(fit))


def without_unsaid(rows: DataFrame, forms: DataFrame | None, staged: Staged) -> DataFrame:
    """Judged rows, of which those whose text is empty in its form ("[laughter]") are fit for no side.

    They are out before copies are compared, so that none gives way to what will not be kept. `forms` are those of
    `formed`; counts the empty ones, so it runs Spark.
    """
    if forms is None:
        return rows
    unsaid = staged("unsaid", forms.filter("form_text = ''").select("utterance_id"))
    if unsaid.isEmpty():
        return rows
    marked = rows.join(unsaid.withColumn("unsaid", F.lit(True)), "utterance_id", how="left")
    said = F.col("unsaid").isNull()
    return marked.withColumns({f"fits_{side}": F.col(f"fits_{side}") & said for side in SIDES}).drop("unsaid")


def with_forms(decided: DataFrame, policy: Policy, forms: DataFrame | None, staged: Staged) -> DataFrame:
    """Add `form_text` and `text_form` of kept rows: the text in the policy's form, and the form's own name.

    `forms` are those of `formed`. Scores and rules are of the text as it is stored; the form is what trainers
    get. A row whose text is empty in its form is excluded as `no_text` (see `without_unsaid`).
    """
    if policy.text is None:
        nothing = F.lit(None).cast("string")
        return decided.withColumns({"form_text": nothing, "text_form": nothing})
    if forms is None:
        text = F.lower("text") if policy.text.form == "lower" else F.col("text")
        return decided.withColumns({"form_text": text, "text_form": F.lit(policy.text.form)})
    joined = decided.join(forms, "utterance_id", how="left")
    nothing = failure(F.lit("no_text"), F.lit(None), F.col("text"), F.col("text_form"))
    failures = F.when(F.col("form_text") == "", F.array(nothing)).otherwise(F.col("failures"))
    return staged("formed", joined.withColumn("failures", failures))


def normalised(rows: DataFrame) -> DataFrame:
    """(utterance_id, form_text, text_form): texts by the normaliser of their declared language, and its name."""
    named = rows.select("utterance_id", "text", normaliser_of(F.col("language")).alias("text_form"))
    return named.mapInPandas(_normalised, "utterance_id string, form_text string, text_form string")


def _normalised(batches: Iterator[Any]) -> Iterator[Any]:
    from speechlake.text.normalisers import NORMALISERS

    for batch in batches:
        pairs = zip(batch["text_form"], batch["text"], strict=True)
        texts = [NORMALISERS[name].normalise(text) for name, text in pairs]
        yield batch.assign(form_text=texts)[["utterance_id", "form_text", "text_form"]]
