"""What a policy reads of imports: which of their values and texts it asks for, and what is current of those."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from speechlake.config import near
from speechlake.errors import ConfigError
from speechlake.feedback.spec import PREFIX, SPARK_TYPES, STORED, sentence, split_name
from speechlake.signals.catalogue import Profile, profile

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake
    from speechlake.splits.policy import Policy
    from speechlake.splits.signals import Signal


def asked_values(policy: Policy) -> dict[str, Signal]:
    """The imported values that rules of a policy read, by name: `imported.<import>.<column>`."""
    return {signal.name: signal for signal in _signals(policy)}


def refuse_unknown(lake: Lake, policy: Policy) -> None:
    """ConfigError where a policy reads a value or text that was never imported here, or compares another type."""
    # Each, not one of a name: a rule may leave the type open that the next one compares.
    preferred = policy.text.sources if policy.text else ()
    asked, texts = [*_signals(policy)], [t for t in preferred if t.startswith("import:")]
    if not asked and not texts:
        return
    known = _imported(lake)
    types = {name: row["type"] for name, row in known.items() if name.startswith(PREFIX)}
    for signal in asked:
        name = signal.name
        if name not in types:
            raise _never_imported(lake, policy, name, [*types])
        if signal.type not in (types[name], "unknown"):
            raise ConfigError(
                f"policy {policy.name!r}: a rule compares {name} as {signal.type}, it was imported as {types[name]}"
            )
    for text in texts:
        if text not in known:
            raise _never_imported(lake, policy, text, [name for name in known if name.startswith("import:")])


def without_unasked(current: Profile, policy: Policy) -> Profile:
    """A profile without the imported values that the policy does not read: they decide nothing."""
    asked = asked_values(policy)
    return {name: said for name, said in current.items() if not name.startswith(PREFIX) or name in asked}


def with_imported(utterances: DataFrame, lake: Lake, policy: Policy) -> DataFrame:
    """Add the imported values that the policy reads, as imported for the current content: one join for all.

    Each is `<prefix>_value`, with `<prefix>_fingerprint` (null where there is none), `_error` and
    `_attempt_code` (always null), as extractors have them. Keeps every row; nothing is added or joined
    where the policy reads none.
    """
    from pyspark.sql import functions as F

    asked = asked_values(policy)
    if not asked:
        return utterances
    types, now = _imported(lake), profile(lake)
    columns = []
    for name, signal in asked.items():
        fingerprint = now[name][0][1]
        mine = F.col("fingerprint") == fingerprint
        stored = STORED[types[name]["stored"]]
        columns.append(F.max(F.when(mine, F.col(stored))).alias(f"{signal.extractor}_value"))
        columns.append(F.max(F.when(mine, F.col("fingerprint"))).alias(f"{signal.extractor}_fingerprint"))
    fingerprints = [now[name][0][1] for name in asked]
    rows = lake.read("signals_imported").where(F.col("fingerprint").isin(fingerprints))
    # One value per utterance, content and fingerprint: max picks it.
    values = rows.groupBy("utterance_id", "content_sha256").agg(*columns)
    nothing = {
        f"{signal.extractor}_{part}": F.lit(None).cast("string")
        for signal in asked.values()
        for part in ("error", "attempt_code")
    }
    known = utterances.columns
    joined = utterances.join(values, on=["utterance_id", "content_sha256"], how="left").withColumns(nothing)
    return joined.select(*known, *[name for name in joined.columns if name not in known])


def imported_now(lake: Lake) -> DataFrame:
    """Every imported value that is current of an utterance's current content, one per row.

    corpus, utterance_id, name (`<import>.<column>`), number, flag, word.
    """
    from pyspark.sql import functions as F

    from speechlake.views import located_utterances

    current = [said[0][1] for name, said in profile(lake).items() if name.startswith(PREFIX)]
    here = located_utterances(lake).where("retired_in IS NULL").select("utterance_id", "content_sha256")
    rows = lake.read("signals_imported").where(F.col("fingerprint").isin(current))
    columns = ("corpus", "utterance_id", "name", *STORED.values())
    return rows.join(here, on=["utterance_id", "content_sha256"], how="left_semi").select(*columns)


def _imported(lake: Lake) -> Mapping[str, Any]:
    """What was imported into the lake: Spark type and stored type of each value, `{}` of each text, by name."""
    now = profile(lake)
    current = {said[0][1] for name, said in now.items() if name.startswith(PREFIX)}
    found: dict[str, Any] = {}
    for row in lake.few("extractors"):
        if row.name.startswith("import:"):
            found[row.name] = {}
        elif row.fingerprint in current:
            stored = str(json.loads(row.parameters)["type"])
            found[row.name] = {"type": SPARK_TYPES[stored], "stored": stored}
    return found


def _never_imported(lake: Lake, policy: Policy, name: str, known: Sequence[str]) -> ConfigError:
    there = near(name, sorted(known)) if known else "nothing of this kind was imported."
    return ConfigError(
        f"policy {policy.name!r} reads {name!r}, which was never imported into {lake.root}",
        hint=f"{sentence(there)} `speechlake import-signals` brings values and texts in.",
    )


def _signals(value: Any) -> Iterator[Signal]:
    """Every imported value that a policy, or a part of one, reads: whatever its grammar, rules say `measured`."""
    from pydantic import BaseModel

    if isinstance(value, BaseModel):
        if isinstance(getattr(value, "signal", None), str) and split_name(value.signal):  # type: ignore[attr-defined]
            yield value.measured  # type: ignore[attr-defined]
        for name in type(value).model_fields:
            yield from _signals(getattr(value, name))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _signals(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _signals(item)
