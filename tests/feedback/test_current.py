"""What policies read of imports: values by name, checked against the lake, of the content they were made for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from speechlake.errors import ConfigError
from speechlake.feedback.commit import left_behind
from speechlake.feedback.current import asked_values, refuse_unknown, with_imported, without_unasked
from speechlake.feedback.identity import identity_of
from speechlake.feedback.spec import Import, ValueColumn
from speechlake.schemas import EXTRACTORS, PROFILES, SIGNALS_IMPORTED, TRANSCRIPTS
from speechlake.splits.policy import Policy

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from speechlake.lake import Lake


def policy(*rules: dict[str, Any], **said: Any) -> Policy:
    keep = [{"rule": f"r{n}", **rule} for n, rule in enumerate(rules)]
    return Policy.model_validate({"name": "p", "keep": keep, "splits": {"scheme": "s", "salt": 1}, **said})


LOSS = {"signal": "imported.asr3.loss", "at_most": 2.0}
TYPES = [
    (LOSS, "double"),
    ({"signal": "imported.asr3.loss", "between": [0, 2]}, "double"),
    ({"signal": "imported.asr3.loss", "at_most": {"en": 1.0, "default": 2.0}}, "double"),
    ({"signal": "imported.asr3.seen", "is": True}, "boolean"),
    ({"signal": "imported.asr3.seen", "is": None}, "unknown"),
    ({"signal": "imported.review.verdict", "equals": "good"}, "string"),
    ({"signal": "imported.review.verdict", "one_of": ["good", "skip"]}, "string"),
    ({"signal": "imported.asr3.rank", "one_of": [1, 2.5]}, "double"),
]


@pytest.mark.parametrize(("rule", "type_"), TYPES)
def test_what_a_rule_asks_tells_the_type_of_an_imported_value(rule, type_):
    (signal,) = asked_values(policy(rule)).values()
    assert (signal.name, signal.type) == (rule["signal"], type_)


def test_a_rule_that_mixes_types_is_refused():
    with pytest.raises(ValueError, match="'one_of' cannot compare"):
        policy({"signal": "imported.a.b", "one_of": [1, "one"]})


@pytest.mark.parametrize("name", ["imported.asr3", "imported.asr3.", "imported.A.b", "imported.a.b.c"])
def test_a_name_that_no_import_can_have_is_refused(name):
    with pytest.raises(ValueError, match="unknown signal"):
        policy({"signal": name, "at_most": 2})


def test_a_policy_that_reads_nothing_imported_costs_nothing():
    frame: Any = object()
    assert with_imported(frame, frame, policy({"signal": "audio.error", "is": None})) is frame
    refuse_unknown(frame, policy({"signal": "audio.error", "is": None}))


def test_imported_values_that_a_policy_does_not_read_are_no_part_of_its_profile():
    current = {
        "audio": [(None, "a")],
        "imported.asr3.loss": [(None, "l")],
        "imported.asr3.rank": [(None, "r")],
    }
    assert [*without_unasked(current, policy(LOSS))] == ["audio", "imported.asr3.loss"]


@pytest.fixture
def filled(lake: Lake, rows: Callable[..., Any]) -> Lake:
    """Two versions of a loss, a flag, and a text."""
    types = {"loss1": ("loss", "number"), "loss2": ("loss", "number"), "seen": ("seen", "boolean")}
    about = [
        (fp, {"name": f"imported.asr3.{name}", "parameters": json.dumps({"type": kind})})
        for fp, (name, kind) in types.items()
    ]
    values = [
        ("u1", {"content_sha256": "c1", "fingerprint": "loss1", "number": 9.0}),
        ("u1", {"content_sha256": "c1", "fingerprint": "loss2", "number": 1.5}),
        ("u1", {"content_sha256": "c1", "fingerprint": "seen", "flag": True}),
        ("u2", {"content_sha256": "older", "fingerprint": "loss2", "number": 1.0}),
        ("u3", {"content_sha256": "c3", "fingerprint": "loss1", "number": 9.0}),
    ]
    text = ("t", {"name": "import:fixed", "parameters": "{}"})
    with lake.hold("fill", "c", "r") as hold:
        hold.append_missing("extractors", rows(EXTRACTORS, *about, text))
        profiles = [
            (n, {"extractor": f"imported.asr3.{types[fp][0]}", "fingerprint": fp})
            for n, fp in enumerate(types)
        ]
        hold.append_missing("profiles", rows(PROFILES, *profiles))
        hold.append_missing("signals_imported", rows(SIGNALS_IMPORTED, *values))
    return lake


@pytest.mark.slow
def test_values_are_those_imported_last_for_the_content_of_now_and_unknown_ones_are_refused(
    filled: Lake, spark: SparkSession
) -> None:
    both = policy(LOSS, {"signal": "imported.asr3.seen", "is": True})
    now = [("u1", "c1"), ("u2", "c2"), ("u3", "c3"), ("u4", None)]
    frame = spark.createDataFrame(now, "utterance_id string, content_sha256 string")
    found = {row.utterance_id: row for row in with_imported(frame, filled, both).collect()}
    loss, seen = (f"imported_asr3__{name}_value" for name in ("loss", "seen"))
    assert {key: (row[loss], row[seen]) for key, row in found.items()} == {
        "u1": (1.5, True),
        "u2": (None, None),
        "u3": (None, None),
        "u4": (None, None),
    }
    assert found["u1"]["imported_asr3__loss_fingerprint"] == "loss2"

    refuse_unknown(filled, both)
    refuse_unknown(filled, policy(LOSS, text={"prefer": ["import:fixed", "manifest"]}))
    wrong = [
        (policy({"signal": "imported.asr3.los", "at_most": 2}), "did you mean 'imported.asr3.loss'"),
        (policy({"signal": "imported.asr3.seen", "at_most": 2}), "as double, it was imported as boolean"),
        (policy(text={"prefer": ["import:fixes"]}), "did you mean 'import:fixed'"),
        (
            policy(text={"prefer": ["medoid"], "medoid": {"of": ["a", "b", "import:fixes"]}}),
            "did you mean 'import:fixed'",
        ),
        (
            policy(
                {"signal": "imported.asr3.seen", "at_most": 2}, {"signal": "imported.asr3.seen", "is": None}
            ),
            "as double, it was imported as boolean",
        ),
    ]
    for asked, why in wrong:
        with pytest.raises(ConfigError) as error:
            refuse_unknown(filled, asked)
        assert why in str(error.value).replace("Did", "did")


@pytest.mark.slow
def test_corpora_that_the_next_source_of_an_import_does_not_name_are_told(lake, rows):
    spec = Import("asr3", columns=(ValueColumn("loss", "loss", "number"),), text="said", kind="machine")
    before = {"content_sha256": "c", "fingerprint": "f1", "name": "asr3.loss"}
    said = {"source": "import:asr3", "text_sha256": "t", "text": "x", "kind": "machine"}
    with lake.hold("fill", "lake", "r") as hold:
        hold.append_missing(
            "signals_imported",
            rows(SIGNALS_IMPORTED, ("u1", {**before, "corpus": "x"}), ("u2", {**before, "corpus": "y"})),
        )
        hold.append_missing(
            "profiles", rows(PROFILES, (1, {"extractor": "imported.asr3.loss", "fingerprint": "f1"}))
        )
        gone = {**said, "corpus": "v", "retired_in": "import:asr3#f0"}
        hold.append_missing("transcripts", rows(TRANSCRIPTS, ("u3", {**said, "corpus": "z"}), ("u4", gone)))
    accepted = lake.spark.createDataFrame([("u2", "y")], "utterance_id string, corpus string")
    identities = [identity_of(spec, spec.columns[0], "sha", "file")]
    assert left_behind(lake, spec, identities, accepted) == ["x", "z"]
    assert left_behind(lake, replace(spec, text=None, kind=None), identities, accepted) == ["x"]
