"""Setting what is current: views follow it, per language, and only when it is set."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from speechlake.commands import profiles
from speechlake.errors import UsageError
from speechlake.schemas import CONTENT_HASHES, EXTRACTORS, PROFILES, RECORDINGS, SIGNALS_WHISPER, UTTERANCES
from speechlake.signals.catalogue import profile
from speechlake.signals.plan import Wanted
from speechlake.signals.promote import promote, promote_all
from speechlake.signals.whisper import Whisper
from speechlake.terminal import console

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame, SparkSession

    from speechlake.lake import Lake

A, TWIN, B, NEVER = "aaaa000000000001", "aaaa000000000002", "bbbb000000000001", "cccc000000000001"
MODELS = {A: "whisper-base", TWIN: "whisper-base", B: "whisper-large-v3", NEVER: "never"}
SPOKEN = {"u1": "de-AT", "u2": "ka", "u3": None}


@pytest.fixture(scope="module")
def two(
    spark: SparkSession, rows: Callable[..., DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> Lake:
    """Two models side by side over three utterances, A current; a twin of A measured one, `never` nothing."""
    from speechlake.lake import Lake
    from speechlake.signals.plan import inputs_hash
    from speechlake.views import extractor_inputs

    lake = Lake(spark, tmp_path_factory.mktemp("promote"))
    with lake.hold("fill", "c", "r") as hold:

        def put(table: Any, *literal: tuple[Any, dict[str, Any]]) -> None:
            hold.append_missing(table.name, rows(table, *literal))

        put(RECORDINGS, ("r1", {"listing_key": "k", "state": "present"}))
        put(CONTENT_HASHES, ("r1", {"listing_key": "k", "content_sha256": "content"}))
        put(UTTERANCES, *((u, {"recording_id": "r1", "language": said}) for u, said in SPOKEN.items()))
        put(EXTRACTORS, *((fp, {"name": "whisper", "model_id": model}) for fp, model in MODELS.items()))
        put(PROFILES, (1, {"extractor": "whisper", "fingerprint": A}))
        now = lake.read("utterances").select(
            "utterance_id", inputs_hash(extractor_inputs("whisper")).alias("h")
        )
        hashes = {row.utterance_id: row.h for row in now.collect()}
        measured = [(u, fp, f"by {fp[0]}") for fp in (A, B) for u in SPOKEN] + [("u1", TWIN, "by a twin")]
        filed = [
            (u, {"content_sha256": "content", "fingerprint": fp, "text": text, "inputs_hash": hashes[u]})
            for u, fp, text in measured
        ]
        put(SIGNALS_WHISPER, *filed)
    return lake


def heard(lake: Lake) -> dict[str, str]:
    """Text of each utterance as it stands in the view, by its model."""
    from speechlake.views import utterances_now

    found = utterances_now(lake).select("utterance_id", "whisper_text", "whisper_fingerprint").collect()
    assert all(row.whisper_text[-1] == row.whisper_fingerprint[0] for row in found)
    return {row.utterance_id: row.whisper_text[-1] for row in found}


def promoted(lake: Lake, what: str, language: str | None = None) -> str:
    return profiles.run(
        lake, setting=("whisper", what), language=language, out=console(io.StringIO())
    ).outcome


@pytest.mark.slow
def test_what_names_nothing_or_several_is_refused_with_what_there_is(two):
    for said in ("never", NEVER, "whisper-tiny", "bb"):
        with pytest.raises(UsageError, match="has measured nothing of whisper") as error:
            promoted(two, said)
        assert A in str(error.value)
        assert "whisper-large-v3, version x, 3 rows" in str(error.value)
    for said in ("whisper-base", "aaaa"):
        with pytest.raises(UsageError, match="names several fingerprints") as error:
            promoted(two, said)
        assert TWIN in str(error.value)
        assert B not in str(error.value)
    with pytest.raises(UsageError, match="no extractor 'whispr'"):
        profiles.run(two, setting=("whispr", A))


@pytest.mark.slow
def test_the_profile_is_listed_with_models_and_rows(two):
    out = io.StringIO()
    report = profiles.run(two, out=console(out))
    assert report.counts == {"current": 1, "others": 3, "written": 0}
    current, others = out.getvalue().split("Measured, and not current")
    assert "every other" in current
    assert A in current
    assert B in others
    assert "whisper-large-v3" in others


@pytest.mark.slow
@pytest.mark.long
def test_a_model_counts_for_a_language_once_it_is_promoted_for_it(two):
    assert heard(two) == {"u1": "a", "u2": "a", "u3": "a"}
    assert promoted(two, "whisper-large-v3", "de") == "done"
    assert heard(two) == {"u1": "b", "u2": "a", "u3": "a"}
    assert promoted(two, "bbbb", "de") == "nothing to do"
    # every other language, by the first digits; German keeps its own
    assert promoted(two, "bbbb") == "done"
    assert promoted(two, A, "de") == "done"
    assert heard(two) == {"u1": "a", "u2": "b", "u3": "b"}
    kept = [(row.n, row.language, row.fingerprint) for row in two.read("profiles").orderBy("n").collect()]
    assert kept == [(1, None, A), (2, "de", B), (3, None, B), (4, "de", A)]


def test_a_setting_is_typed_or_refused():
    assert profiles.setting_of("whisper=/models/a=b") == ("whisper", "/models/a=b")
    for wrong in ("whisper", "=x", "whisper="):
        with pytest.raises(UsageError, match="--set"):
            profiles.setting_of(wrong)


@pytest.mark.long
@pytest.mark.slow
def test_full_windows_for_all_take_the_place_of_cut_ones_and_of_no_other_model(lake, rows):
    full = Whisper(model="whisper-tiny.en", windows="full")
    cut = replace(full, windows="cut")
    wanted = [Wanted(each, each.identity()) for each in (full, cut)]
    known = [wanted[0].fingerprint, wanted[1].fingerprint, B]
    with lake.hold("fill", "c", "r") as hold:
        hold.append_missing("extractors", rows(EXTRACTORS, *((fp, {"name": "whisper"}) for fp in known)))
        measured = [("u1", {"content_sha256": "k", "fingerprint": fp, "inputs_hash": ""}) for fp in known]
        hold.append_missing("signals_whisper", rows(SIGNALS_WHISPER, *measured))
        for language, fingerprint in ((None, B), ("en", wanted[1].fingerprint), ("cy", B)):
            promote(hold, "whisper", fingerprint, language)
        promote_all(hold, wanted[:1])
    assert profile(lake)["whisper"] == [
        (frozenset(["cy"]), B),
        (frozenset(["en"]), wanted[0].fingerprint),
        (None, wanted[0].fingerprint),
    ]
