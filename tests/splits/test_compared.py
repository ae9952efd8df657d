"""Audio counts as never compared until it has keys, and a look-up has met them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from speechlake.duplicates.known import with_not_compared
from speechlake.duplicates.sampling import SAMPLING_VERSION
from speechlake.lake import Lake
from speechlake.schemas import (
    ATTEMPTS,
    CONTENT_HASHES,
    CORPORA,
    KEY_BUCKETS,
    PROFILES,
    RECORDINGS,
    SIGNALS_AUDIO,
    SIGNALS_AUDIO_KEYS,
    UTTERANCES,
)
from speechlake.signals.plan import MAX_ATTEMPTS
from speechlake.splits.compared import asked_audio, keyed_audio, never_compared, without_keys
from speechlake.splits.policy_links import Decontaminate

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.slow

KEYS = "keys-fingerprint"
# utterance -> corpus; `t` alone was looked up. `skipped` was decoded and never asked for keys, as were `archived`,
# whose file is gone by now, and `spent`, which failed too often, as `replaced` did before its file was another; `mute`
# was not even decoded; `still` has none.
OF = {
    "t": "train",
    **dict.fromkeys(("e", "gone", "mute"), "bench"),
    **dict.fromkeys(("o", "still", "skipped", "archived", "spent", "replaced"), "other"),
}

LACKING = ("skipped", "archived", "spent", "replaced")


@pytest.fixture(scope="module")
def benched(
    spark: SparkSession, rows: Callable[..., DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> Lake:
    """A training corpus and two evaluation corpora, measured; only the first was compared."""
    lake = Lake(spark, tmp_path_factory.mktemp("compared") / "lake")
    roles = {"train": "training", "bench": "evaluation", "other": "evaluation"}
    filed = {u: {"content_sha256": f"sha-{u}"} for u in OF if u != "mute"}
    keyed = {u: {**said, "fingerprint": KEYS, "frames": 40} for u, said in filed.items() if u not in LACKING}
    keyed["still"]["frames"] = 0
    filled: list[tuple[Any, list[tuple[Any, dict[str, Any]]]]] = [
        (CORPORA, [(name, {"role": role, "ids": "interval"}) for name, role in roles.items()]),
        (PROFILES, [(1, {"extractor": "audio_keys", "fingerprint": KEYS})]),
        (
            RECORDINGS,
            [
                (
                    f"r-{u}",
                    {
                        "corpus": c,
                        "state": "missing" if u == "archived" else "present",
                        "listing_key": f"k-{u}",
                    },
                )
                for u, c in OF.items()
            ],
        ),
        (CONTENT_HASHES, [(f"r-{u}", {"listing_key": f"k-{u}", "content_sha256": f"sha-{u}"}) for u in OF]),
        (
            UTTERANCES,
            [
                (u, {"corpus": c, "recording_id": f"r-{u}", "retired_in": "later" if u == "gone" else None})
                for u, c in OF.items()
            ],
        ),
        (SIGNALS_AUDIO, list(filed.items())),
        (
            ATTEMPTS,
            [
                (u, {"fingerprint": KEYS, "n": MAX_ATTEMPTS, "listing_key": key})
                for u, key in (("spent", "k-spent"), ("replaced", "k-former"))
            ],
        ),
        (SIGNALS_AUDIO_KEYS, list(keyed.items())),
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
    asked = asked_audio(lake, released, decontaminate)
    return never_compared(lake, asked, keyed_audio(lake, asked))


def test_a_build_waits_for_evaluation_corpora_that_were_never_compared(benched: Lake) -> None:
    said = refused(benched, Decontaminate())
    assert said is not None
    assert said.startswith("4 of its utterances and of those it must not hold were never compared")


def test_an_evaluation_corpus_that_the_policy_does_not_heed_is_not_waited_for(benched: Lake) -> None:
    said = refused(benched, Decontaminate(corpora=("bench",)))
    assert said is not None
    assert said.startswith("1 of its utterances")


def test_of_judged_rows_those_wait_that_were_decoded_and_have_no_keys_that_were_looked_up(
    benched: Lake,
) -> None:
    said = [(u, f"sha-{u}", "en", None if u == "mute" else "audio-1", None) for u in OF]
    said += [("t", "sha-other", "en", "audio-1", None), ("broken", "sha-b", "en", "audio-1", "CORRUPT")]
    ddl = "utterance_id string, content_sha256 string, language string, audio_fingerprint string, audio_error string"
    judged = with_not_compared(benched.spark.createDataFrame(said, ddl), benched).collect()
    waits = sorted((row.utterance_id, row.content_sha256[4:]) for row in judged if row.not_compared)
    assert waits == [(u, u) for u in ("archived", "e", "gone", "o", "replaced", "skipped", "spent")] + [
        ("t", "other")
    ]
    assert len(judged) == len(said)


def test_a_release_of_a_lake_without_keys_says_that_near_copies_are_not_known(
    benched: Lake, lake: Lake
) -> None:
    assert without_keys(benched) == []
    (told,) = without_keys(lake)
    assert "near copies and shared parts are not known" in told
