"""Audio of evaluation corpora counts as never compared until a look-up has met its keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from speechlake.duplicates.sampling import SAMPLING_VERSION
from speechlake.lake import Lake
from speechlake.schemas import (
    CONTENT_HASHES,
    CORPORA,
    KEY_BUCKETS,
    PROFILES,
    RECORDINGS,
    SIGNALS_AUDIO_KEYS,
    UTTERANCES,
)
from speechlake.splits.compared import keyed_audio, never_compared
from speechlake.splits.policy_links import Decontaminate

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.slow

KEYS = "keys-fingerprint"
# utterance -> corpus; all have audio keys but `mute`, and `t` alone was looked up.
OF = {"t": "train", "e": "bench", "gone": "bench", "mute": "bench", "o": "other"}


@pytest.fixture(scope="module")
def benched(
    spark: SparkSession, rows: Callable[..., DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> Lake:
    """A training corpus and two evaluation corpora, measured; only the first was compared."""
    lake = Lake(spark, tmp_path_factory.mktemp("compared") / "lake")
    roles = {"train": "training", "bench": "evaluation", "other": "evaluation"}
    keyed = [u for u in OF if u != "mute"]
    filed = {u: {"content_sha256": f"sha-{u}", "fingerprint": KEYS, "frames": 40} for u in keyed}
    filled: list[tuple[Any, list[tuple[Any, dict[str, Any]]]]] = [
        (CORPORA, [(name, {"role": role, "ids": "interval"}) for name, role in roles.items()]),
        (PROFILES, [(1, {"extractor": "audio_keys", "fingerprint": KEYS})]),
        (
            RECORDINGS,
            [(f"r-{u}", {"corpus": c, "state": "present", "listing_key": f"k-{u}"}) for u, c in OF.items()],
        ),
        (CONTENT_HASHES, [(f"r-{u}", {"listing_key": f"k-{u}", "content_sha256": f"sha-{u}"}) for u in OF]),
        (
            UTTERANCES,
            [
                (u, {"corpus": c, "recording_id": f"r-{u}", "retired_in": "later" if u == "gone" else None})
                for u, c in OF.items()
            ],
        ),
        (SIGNALS_AUDIO_KEYS, list(filed.items())),
        (
            KEY_BUCKETS,
            [("t", {"content_sha256": "sha-t", "fingerprint": f"{KEYS}.{SAMPLING_VERSION}"})],
        ),
    ]
    with lake.hold("fill", "c", "r") as hold:
        for table, literal in filled:
            hold.append_missing(table.name, rows(table, *literal))
    return lake


def refused(lake: Lake, decontaminate: Decontaminate) -> str | None:
    """What is said of a build of the training corpus alone."""
    from pyspark.sql import functions as F

    released = lake.spark.createDataFrame([("t", "sha-t")], "utterance_id string, content_sha256 string")
    released = released.withColumn("language", F.lit(None).cast("string"))
    return never_compared(lake, keyed_audio(lake, released, decontaminate))


def test_a_build_waits_for_evaluation_corpora_that_were_never_compared(benched: Lake) -> None:
    said = refused(benched, Decontaminate())
    assert said is not None
    assert said.startswith("2 of its utterances and of those it must not hold have audio keys")


def test_an_evaluation_corpus_that_the_policy_does_not_heed_is_not_waited_for(benched: Lake) -> None:
    said = refused(benched, Decontaminate(corpora=("bench",)))
    assert said is not None
    assert said.startswith("1 of its utterances")
