"""With what a run measures, by the profile, the options and the device."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from speechlake.errors import UsageError
from speechlake.signals import choice
from speechlake.signals.choice import wanted_with_options
from speechlake.signals.whisper import Whisper

BASE, TINY = Whisper(model="whisper-base"), Whisper(model="whisper-tiny.en")
FULL_BASE, FULL_TINY = BASE.identity().fingerprint, TINY.identity().fingerprint
CUT_BASE = replace(BASE, windows="cut").identity().fingerprint
CPU = {"device": "cpu"}
ENGLISH, GERMAN, NOBODY = frozenset({"en"}), frozenset({"de"}), frozenset[str]()


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch) -> Any:
    """English is heard by tiny.en, every other language by base, of which German was found equal in cut windows."""
    entries = {"whisper": [(ENGLISH, FULL_TINY), (None, FULL_BASE)]}
    monkeypatch.setattr(choice, "profile", lambda lake: entries)
    equal = {CUT_BASE: GERMAN | ENGLISH}
    monkeypatch.setattr(choice, "calibrated_languages", lambda lake, fp: equal.get(fp, NOBODY))
    rows = [
        SimpleNamespace(
            name="whisper",
            fingerprint=how.identity().fingerprint,
            model_id=how.model,
            parameters=json.dumps(how.identity().parameters),
        )
        for how in (BASE, TINY)
    ]
    context = SimpleNamespace(master="local[2]")
    return SimpleNamespace(few=lambda table: rows, spark=SimpleNamespace(sparkContext=context))


def told(lake: Any, promote: bool = True, **options: Any) -> list[tuple[str, Any, Any]]:
    wanted = wanted_with_options(lake, options, CPU, quality="fast", promote=promote)
    return [(each.fingerprint, each.languages, each.but) for each in wanted]


def test_to_promote_the_profile_leaves_languages_with_a_model_of_their_own_to_it(lake: Any) -> None:
    assert told(lake) == [
        (CUT_BASE, GERMAN, NOBODY),
        (FULL_BASE, None, GERMAN | ENGLISH),
        (FULL_TINY, ENGLISH, NOBODY),
    ]


def test_a_model_that_is_named_is_for_every_language(lake: Any) -> None:
    assert told(lake, model="whisper-base") == [
        (CUT_BASE, GERMAN | ENGLISH, NOBODY),
        (FULL_BASE, None, GERMAN | ENGLISH),
    ]


def test_a_profile_in_a_number_type_that_the_device_cannot_compute_in_is_told_before_anything_starts(
    lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "compute_types", lambda device: frozenset({"float32"}))
    with pytest.raises(
        UsageError, match=f"fingerprint {FULL_TINY} .* computes in int8.* on cpu here"
    ) as error:
        told(lake, promote=False)
    assert "--model whisper-tiny.en --device cpu" in str(error.value)
    lake.spark.sparkContext.master = "spark://h:1"  # whose executors may have what it takes
    assert told(lake, promote=False)
